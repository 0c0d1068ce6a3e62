/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence of each request and each kind of exit. */
#include "narrate_rig.h"
#include "backend/vhost_worker.h"

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

static const struct narrate_table *const tables[] = {
	&narrate_kvm,
	&narrate_arch,
	&narrate_tun,
	&narrate_vhost,
	&narrate_vdpa,
};

static const char *said_exit(struct rig *r, const struct kvm_run *run, int result)
{
	struct text out = text_of(r->said, sizeof(r->said));

	r->event = (struct sys_event){ .kind = SYS_RUN, .fd = 7, .arg = run, .result = result };
	narrate_event(&out, &r->n, NULL);
	return r->said;
}

static const char *cause(struct rig *r, const struct kvm_run *run, int result)
{
	struct text out = text_of(r->said, sizeof(r->said));

	r->event = (struct sys_event){ .kind = SYS_RUN, .fd = 7, .arg = run, .result = result };
	narrate_exit_cause(&out, &r->n);
	return r->said;
}

#define NUMBER(n) ((void *)(long)(n))

static void test_kvm_creates(void **state)
{
	struct rig *r = *state;

	assert_string_equal(said(r, 4, KVM_GET_API_VERSION, NULL, 12),
			    "KVM_GET_API_VERSION: asks for the version of the interface: 12");
	assert_string_equal(said(r, 4, KVM_GET_VCPU_MMAP_SIZE, NULL, 12288),
			    "KVM_GET_VCPU_MMAP_SIZE: asks how much to map of each vCPU's fd: 12288 "
			    "bytes, struct kvm_run and rings shared with KVM");
	assert_string_equal(said(r, 4, KVM_CREATE_VM, NUMBER(0), 5),
			    "KVM_CREATE_VM: creates a virtual machine of type 0, without memory, "
			    "CPUs or devices; it is fd 5");
	assert_string_equal(said(r, 5, KVM_CREATE_VCPU, NUMBER(3), 9),
			    "KVM_CREATE_VCPU: creates vCPU 3; it is fd 9");
	assert_string_equal(said(r, 9, KVM_SET_MP_STATE, &(struct kvm_mp_state){ 0 }, 0),
			    "KVM_SET_MP_STATE: fd 9 (vCPU 3) is runnable");
	assert_string_equal(said(r, 5, KVM_CHECK_EXTENSION, NUMBER(KVM_CAP_IMMEDIATE_EXIT), 1),
			    "KVM_CHECK_EXTENSION: asks for KVM_CAP_IMMEDIATE_EXIT: 1");
	assert_string_equal(said(r, 5, KVM_CHECK_EXTENSION, NUMBER(9999), 0),
			    "KVM_CHECK_EXTENSION: asks for capability 9999: not there");
}

static void test_a_failure_says_why(void **state)
{
	struct rig *r = *state;

	assert_string_equal(said(r, 4, KVM_CREATE_VM, NUMBER(0), -ENOMEM),
			    "KVM_CREATE_VM: creates a virtual machine of type 0, without memory, "
			    "CPUs or devices: refused: Cannot allocate memory");
	assert_string_equal(said(r, 7, 0x1234, NULL, -ENOTTY),
			    "ioctl 0x1234 on fd 7 (vCPU 0): refused: Inappropriate ioctl for device");
}

static void test_kvm_memory(void **state)
{
	struct rig *r = *state;
	struct kvm_userspace_memory_region region = {
		.slot = 1,
		.guest_phys_addr = 0x100000000,
		.memory_size = 256 << 20,
		.userspace_addr = 0x7f0000000000,
	};
	struct kvm_clear_dirty_log clear = { .slot = 1, .first_page = 0x40, .num_pages = 0x40 };

	assert_string_equal(said(r, 5, KVM_SET_USER_MEMORY_REGION, &region, 0),
			    "KVM_SET_USER_MEMORY_REGION: memory slot 1: guest-physical 0x100000000 to "
			    "0x10fffffff, 256 MiB, is Kinglet's own memory at 0x7f0000000000");
	assert_string_equal(said(r, 5, KVM_GET_DIRTY_LOG, &(struct kvm_dirty_log){ .slot = 1 }, 0),
			    "KVM_GET_DIRTY_LOG: asks which pages of memory slot 1 were written to since "
			    "it last asked");
	assert_string_equal(said(r, 5, KVM_CLEAR_DIRTY_LOG, &clear, 0),
			    "KVM_CLEAR_DIRTY_LOG: counts as clean, in memory slot 1, of pages 0x40 to "
			    "0x7f those that it is about to read");
	region.memory_size = 0;
	assert_string_equal(said(r, 5, KVM_SET_USER_MEMORY_REGION, &region, 0),
			    "KVM_SET_USER_MEMORY_REGION: takes memory slot 1, at guest-physical "
			    "0x100000000, away");
}

static void test_kvm_interrupts(void **state)
{
	struct rig *r = *state;
	_Alignas(struct kvm_irq_routing) char buf[sizeof(struct kvm_irq_routing) +
						  2 * sizeof(struct kvm_irq_routing_entry)] = { 0 };
	struct kvm_irq_routing *routes = (struct kvm_irq_routing *)buf;
	const struct kvm_irq_routing_entry entries[] = {
		{ .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP },
		{ .gsi = 24, .type = KVM_IRQ_ROUTING_MSI, .u.msi = { .address_lo = 0xfee01000, .data = 0x41 } },
	};

	routes->nr = 2;
	memcpy(routes->entries, entries, sizeof(entries));
	assert_string_equal(said(r, 5, KVM_SET_GSI_ROUTING, routes, 0),
			    "KVM_SET_GSI_ROUTING: replaces the interrupt routes: 1 to controller pins, "
			    "1 to MSIs, the last of them GSI 24: data 0x41 to address 0xfee01000");
	assert_string_equal(said(r, 5, KVM_IRQFD, &(struct kvm_irqfd){ .fd = 17, .gsi = 24 }, 0),
			    "KVM_IRQFD: from now on a signal of fd 17 (kick of queue 0 of virtio-net 0 "
			    "at 00:03.0) injects GSI 24, inside the kernel");
	assert_string_equal(said(r, 5, KVM_IRQFD,
				 &(struct kvm_irqfd){ .fd = 99, .gsi = 24,
						      .flags = KVM_IRQFD_FLAG_DEASSIGN }, 0),
			    "KVM_IRQFD: a signal of fd 99 no longer injects GSI 24: it waits in the "
			    "eventfd");
	assert_string_equal(said(r, 5, KVM_IRQ_LINE, &(struct kvm_irq_level){ .irq = 4, .level = 1 }, 0),
			    "KVM_IRQ_LINE: raises GSI 4, a pin of the interrupt controllers in the "
			    "kernel");
	assert_string_equal(said(r, 5, KVM_IRQ_LINE, &(struct kvm_irq_level){ .irq = 4 }, 0),
			    "KVM_IRQ_LINE: lowers GSI 4, a pin of the interrupt controllers in the "
			    "kernel");
}

static void test_kvm_kicks(void **state)
{
	struct rig *r = *state;
	struct kvm_ioeventfd io = { .addr = 0xc0003000, .fd = 17 };
	struct kvm_coalesced_mmio_zone zone = { .addr = 0x3f8, .size = 4, .pio = 1 };

	assert_string_equal(said(r, 5, KVM_IOEVENTFD, &io, 0),
			    "KVM_IOEVENTFD: a guest write to 0xc0003000: virtio-net 0 (register "
			    "12288), signals fd 17 (kick of queue 0 of virtio-net 0 at 00:03.0) inside "
			    "the kernel and is no exit");
	io.len = 2;
	io.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	assert_string_equal(said(r, 5, KVM_IOEVENTFD, &io, 0),
			    "KVM_IOEVENTFD: a guest write to 0xc0003000 of 2 bytes: virtio-net 0 "
			    "(register 12288), is an exit again and no longer signals fd 17 (kick of "
			    "queue 0 of virtio-net 0 at 00:03.0)");
	assert_string_equal(said(r, 5, KVM_REGISTER_COALESCED_MMIO, &zone, 0),
			    "KVM_REGISTER_COALESCED_MMIO: collects guest writes to ports 0x3f8 to "
			    "0x3fb, COM1, in a ring: they wait for the next exit");
}

static void test_kvm_debugger(void **state)
{
	struct rig *r = *state;
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };

	assert_string_equal(said(r, 7, KVM_SET_GUEST_DEBUG, &debug, 0),
			    "KVM_SET_GUEST_DEBUG: fd 7 (vCPU 0): a debugger is told of its breakpoints");
	debug.control |= KVM_GUESTDBG_SINGLESTEP;
	assert_string_equal(said(r, 7, KVM_SET_GUEST_DEBUG, &debug, 0),
			    "KVM_SET_GUEST_DEBUG: fd 7 (vCPU 0): a debugger is told of its breakpoints, "
			    "and of each instruction");
	debug.control = 0;
	assert_string_equal(said(r, 7, KVM_SET_GUEST_DEBUG, &debug, 0),
			    "KVM_SET_GUEST_DEBUG: fd 7 (vCPU 0): no debugger any more");
}

static void test_tun(void **state)
{
	struct rig *r = *state;
	struct ifreq ifr = { .ifr_name = "tap7", .ifr_flags = IFF_TAP };
	int ten = 10;

	assert_string_equal(said(r, 30, TUNSETIFF, &ifr, 0),
			    "TUNSETIFF: fd 30 is the one queue of the tap tap7 from now on; each frame "
			    "has a virtio-net header");
	assert_string_equal(said(r, 30, TUNSETVNETHDRSZ, &ten, 0),
			    "TUNSETVNETHDRSZ: fd 30 (tap tap7): the virtio-net header has 10 bytes");
	assert_string_equal(said(r, 21, TUNSETOFFLOAD, NUMBER(TUN_F_CSUM | TUN_F_TSO4), 0),
			    "TUNSETOFFLOAD: fd 21 (tap tap0): the guest takes frames with checksums "
			    "TSO4 left to do");
	assert_string_equal(said(r, 21, TUNSETOFFLOAD, NULL, 0),
			    "TUNSETOFFLOAD: fd 21 (tap tap0): every frame for the guest has its "
			    "checksum and fits the MTU");
	assert_string_equal(said(r, 21, TUNSETVNETLE, &ten, 0),
			    "TUNSETVNETLE: fd 21 (tap tap0): the numbers of the virtio-net header are "
			    "little-endian, as virtio 1 wants");
	ifr.ifr_flags = IFF_DETACH_QUEUE;
	assert_string_equal(said(r, 21, TUNSETQUEUE, &ifr, 0),
			    "TUNSETQUEUE: fd 21 (tap tap0): the interface leaves this queue out, for "
			    "the driver uses fewer");
	assert_string_equal(said(r, 31, TUNGETIFF, &ifr, 0), "TUNGETIFF: asks which tap fd 31 is: tap7");
	ifr.ifr_flags = IFF_UP;
	assert_string_equal(said(r, 32, SIOCGIFFLAGS, &ifr, 0),
			    "SIOCGIFFLAGS: asks whether tap7 is up: yes");
	memcpy(ifr.ifr_hwaddr.sa_data, "\x52\x54\0\x12\x34\x56", 6);
	assert_string_equal(said(r, 21, SIOCGIFHWADDR, &ifr, 0),
			    "SIOCGIFHWADDR: asks for the MAC address of fd 21: 52:54:00:12:34:56");
	assert_string_equal(said(r, 21, TUNGETFEATURES, &ten, 0),
			    "TUNGETFEATURES: asks what fd 21 can do: flags 0xa");
	ifr.ifr_mtu = 1500;
	assert_string_equal(said(r, 32, SIOCGIFMTU, &ifr, 0),
			    "SIOCGIFMTU: asks for the MTU of tap7: 1500");
}

static void test_vhost_rings(void **state)
{
	struct rig *r = *state;
	struct vhost_vring_state ring = { .index = 1, .num = 256 };
	struct vhost_vring_addr addr = { 1, 0, 0x1000, 0x3000, 0x2000, 0 };
	struct vhost_vring_file file = { .index = 1, .fd = 17 };

	assert_string_equal(said(r, 20, VHOST_SET_VRING_NUM, &ring, 0),
			    "VHOST_SET_VRING_NUM: fd 20 (/dev/vhost-net) ring 1: it has 256 entries");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_BASE, &ring, 0),
			    "VHOST_SET_VRING_BASE: fd 20 (/dev/vhost-net) ring 1: the next entry to "
			    "take from the available ring is number 256");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &ring, 0),
			    "VHOST_SET_VRING_BUSYLOOP_TIMEOUT: fd 20 (/dev/vhost-net) ring 1: when "
			    "it is empty, the kernel looks for work for 256 us before it sleeps");
	assert_string_equal(said(r, 20, VHOST_NEW_WORKER, &(unsigned){ 7 }, 0),
			    "VHOST_NEW_WORKER: fd 20 (/dev/vhost-net) gets one more thread of the "
			    "kernel: number 7");
	assert_string_equal(said(r, 20, VHOST_ATTACH_VRING_WORKER, &ring, 0),
			    "VHOST_ATTACH_VRING_WORKER: fd 20 (/dev/vhost-net) ring 1: thread number "
			    "256 will run it");
	assert_string_equal(said(r, 20, VHOST_FREE_WORKER, &(unsigned){ 7 }, 0),
			    "VHOST_FREE_WORKER: fd 20 (/dev/vhost-net) does not need thread number 7 "
			    "any more");
	assert_string_equal(said(r, 20, VHOST_GET_VRING_BASE, &ring, 0),
			    "VHOST_GET_VRING_BASE: fd 20 (/dev/vhost-net) ring 1: it stops; the next "
			    "entry to take is number 256");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_ADDR, &addr, 0),
			    "VHOST_SET_VRING_ADDR: fd 20 (/dev/vhost-net) ring 1: descriptors at "
			    "0x1000, available ring at 0x2000, used ring at 0x3000 of this process");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_KICK, &file, 0),
			    "VHOST_SET_VRING_KICK: fd 20 (/dev/vhost-net) ring 1: the guest's kick "
			    "comes by fd 17 (kick of queue 0 of virtio-net 0 at 00:03.0)");
	file.fd = 18;
	assert_string_equal(said(r, 20, VHOST_SET_VRING_CALL, &file, 0),
			    "VHOST_SET_VRING_CALL: fd 20 (/dev/vhost-net) ring 1: an interrupt is "
			    "asked for by fd 18");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_ERR, &file, 0),
			    "VHOST_SET_VRING_ERR: fd 20 (/dev/vhost-net) ring 1: a broken ring is "
			    "reported by fd 18");
	file.fd = 21;
	assert_string_equal(said(r, 20, VHOST_NET_SET_BACKEND, &file, 0),
			    "VHOST_NET_SET_BACKEND: fd 20 (/dev/vhost-net) ring 1: the kernel runs it "
			    "from now on, on fd 21 (tap tap0)");
	file.fd = VHOST_FILE_UNBIND;
	assert_string_equal(said(r, 20, VHOST_NET_SET_BACKEND, &file, 0),
			    "VHOST_NET_SET_BACKEND: fd 20 (/dev/vhost-net) ring 1: the kernel has let "
			    "go of it");
}

static void test_vdpa(void **state)
{
	struct rig *r = *state;
	struct vhost_vring_state on = { 1, 1 };
	struct vhost_vdpa_iova_range range = { 0, 0xffff };
	struct vhost_vdpa_config space = { .off = 8, .len = 2 };
	struct vhost_msg_v2 message = {
		.type = VHOST_IOTLB_MSG_V2,
		.iotlb = { .iova = 0x1000, .size = 0x2000, .uaddr = 0x70000, .type = VHOST_IOTLB_UPDATE },
	};
	struct text out = text_of(r->said, sizeof(r->said));
	uint8_t status = 0x0f;

	assert_string_equal(said(r, 24, VHOST_VDPA_SET_STATUS, &status, 0),
			    "VHOST_VDPA_SET_STATUS: fd 24: its status becomes 0x0f DRIVER FEATURES_OK "
			    "DRIVER_OK");
	status = 0;
	assert_string_equal(said(r, 24, VHOST_VDPA_SET_STATUS, &status, 0),
			    "VHOST_VDPA_SET_STATUS: fd 24: its status becomes 0x00, a reset");
	assert_string_equal(said(r, 24, VHOST_VDPA_SET_VRING_ENABLE, &on, 0),
			    "VHOST_VDPA_SET_VRING_ENABLE: fd 24 ring 1: it is enabled");
	assert_string_equal(said(r, 24, VHOST_VDPA_GET_IOVA_RANGE, &range, 0),
			    "VHOST_VDPA_GET_IOVA_RANGE: fd 24 is asked which guest-physical addresses "
			    "it reaches: 0x0 to 0xffff");
	assert_string_equal(said(r, 24, VHOST_VDPA_SET_CONFIG, &space, 0),
			    "VHOST_VDPA_SET_CONFIG: fd 24: the driver writes its configuration space, "
			    "2 bytes from 8");
	r->event = (struct sys_event){ .kind = SYS_WRITE, .fd = 24, .arg = &message,
				       .result = -EFAULT };
	narrate_event(&out, &r->n, NULL);
	assert_string_equal(r->said, "write: fd 24 can use guest RAM 0x1000 to 0x2fff, at 0x70000 of "
				     "this process: its pages are pinned: refused: Bad address");
}

static void test_vhost_devices(void **state)
{
	struct rig *r = *state;
	uint64_t bits = 0x100000000, cid = 3;
	struct vhost_scsi_target target = { .vhost_wwpn = "naa.1" };
	int one = 1;

	assert_string_equal(said(r, 20, VHOST_SET_OWNER, NULL, 0),
			    "VHOST_SET_OWNER: fd 20 (/dev/vhost-net) is this process's: a worker of "
			    "the kernel may use its memory");
	assert_string_equal(said(r, 20, VHOST_GET_FEATURES, &bits, 0),
			    "VHOST_GET_FEATURES: fd 20 (/dev/vhost-net) is asked which virtio features "
			    "it serves: 0x100000000");
	assert_string_equal(said(r, 20, VHOST_SET_FEATURES, &bits, 0),
			    "VHOST_SET_FEATURES: fd 20 (/dev/vhost-net): the driver has acknowledged "
			    "features 0x100000000");
	assert_string_equal(said(r, 22, VHOST_SCSI_SET_ENDPOINT, &target, 0),
			    "VHOST_SCSI_SET_ENDPOINT: fd 22: the kernel runs all rings from now on, on "
			    "the target naa.1");
	assert_string_equal(said(r, 22, VHOST_SCSI_CLEAR_ENDPOINT, &target, 0),
			    "VHOST_SCSI_CLEAR_ENDPOINT: fd 22: the kernel has finished all commands "
			    "and let go of the target naa.1");
	assert_string_equal(said(r, 22, VHOST_SCSI_GET_ABI_VERSION, &one, 0),
			    "VHOST_SCSI_GET_ABI_VERSION: fd 22 is asked for the version of its "
			    "interface: 1");
	assert_string_equal(said(r, 22, VHOST_VSOCK_SET_GUEST_CID, &cid, 0),
			    "VHOST_VSOCK_SET_GUEST_CID: fd 22: the guest has the vsock address (CID) 3");
	assert_string_equal(said(r, 22, VHOST_VSOCK_SET_RUNNING, &one, 0),
			    "VHOST_VSOCK_SET_RUNNING: fd 22: the kernel runs both rings from now on");
}

static void test_vhost_log(void **state)
{
	struct rig *r = *state;
	uint64_t base = 0x7f00, bits = 0x100000000 | 1ULL << VHOST_F_LOG_ALL;
	struct vhost_vring_addr addr = { 1, 1U << VHOST_VRING_F_LOG, 0x1000, 0x3000, 0x2000, 0x9000 };

	assert_string_equal(said(r, 20, VHOST_SET_LOG_BASE, &base, 0),
			    "VHOST_SET_LOG_BASE: fd 20 (/dev/vhost-net): its write log, a bit for each "
			    "4 KiB of guest-physical memory, is this process's memory at 0x7f00");
	assert_string_equal(said(r, 20, VHOST_SET_FEATURES, &bits, 0),
			    "VHOST_SET_FEATURES: fd 20 (/dev/vhost-net): the driver has acknowledged "
			    "features 0x100000000; what the kernel writes to buffers goes into the "
			    "log");
	assert_string_equal(said(r, 20, VHOST_SET_VRING_ADDR, &addr, 0),
			    "VHOST_SET_VRING_ADDR: fd 20 (/dev/vhost-net) ring 1: descriptors at "
			    "0x1000, available ring at 0x2000, used ring at 0x3000 of this process; "
			    "what the kernel writes to the used ring, guest-physical 0x9000, goes "
			    "into the log");
}

static void test_vhost_memory(void **state)
{
	struct rig *r = *state;
	_Alignas(struct vhost_memory) char buf[sizeof(struct vhost_memory) +
					       sizeof(struct vhost_memory_region)] = { 0 };
	struct vhost_memory *table = (struct vhost_memory *)buf;

	table->nregions = 1;
	table->regions[0] = (struct vhost_memory_region){ 0, 0x1000, 0x7f00, 0 };
	assert_string_equal(said(r, 20, VHOST_SET_MEM_TABLE, table, 0),
			    "VHOST_SET_MEM_TABLE: fd 20 (/dev/vhost-net): guest RAM is 0x0 to 0xfff at "
			    "0x7f00 of this process");
}

/* A guest's page of struct kvm_run, followed by the data of a port access. */
union page {
	struct kvm_run run;
	char bytes[8192];
};

static union page io(uint8_t direction, uint16_t port, uint8_t value)
{
	union page page = { .run = { .exit_reason = KVM_EXIT_IO } };

	page.run.io.direction = direction;
	page.run.io.size = 1;
	page.run.io.count = 1;
	page.run.io.port = port;
	page.run.io.data_offset = 4096;
	page.bytes[4096] = (char)value;
	return page;
}

static void test_port_exits(void **state)
{
	struct rig *r = *state;
	union page page = io(KVM_EXIT_IO_OUT, 0x3f8, 'H');

	assert_string_equal(said_exit(r, &page.run, 0),
			    "KVM_EXIT_IO: the guest writes 1 byte, 0x48 'H', to port 0x3f8: COM1");
	assert_string_equal(cause(r, &page.run, 0), "write to COM1");
	page = io(KVM_EXIT_IO_IN, 0x3fd, 0);
	assert_string_equal(said_exit(r, &page.run, 0),
			    "KVM_EXIT_IO: the guest reads 1 byte from port 0x3fd: COM1 (register 5)");
	assert_string_equal(cause(r, &page.run, 0), "read of COM1");
	page = io(KVM_EXIT_IO_OUT, 0x80, 1);
	assert_string_equal(said_exit(r, &page.run, 0),
			    "KVM_EXIT_IO: the guest writes 1 byte, 0x1, to port 0x80: no device");
	assert_string_equal(cause(r, &page.run, 0), "write to port 0x80, where nobody is");
	page.run.io.count = 12;
	assert_string_equal(said_exit(r, &page.run, 0),
			    "KVM_EXIT_IO: the guest writes 12 times 1 byte, to port 0x80: no device");
}

static void test_memory_exits(void **state)
{
	struct rig *r = *state;
	struct kvm_run run = { .exit_reason = KVM_EXIT_MMIO };

	run.mmio.phys_addr = 0xc0000014;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	run.mmio.data[0] = 0xf;
	assert_string_equal(said_exit(r, &run, 0),
			    "KVM_EXIT_MMIO: the guest writes 4 bytes, 0xf, to 0xc0000014, which is no "
			    "RAM: virtio-net 0 (register 20)");
	assert_string_equal(cause(r, &run, 0), "write to virtio-net 0");
	run.mmio.is_write = 0;
	run.mmio.phys_addr = 0xd0000000;
	assert_string_equal(said_exit(r, &run, 0),
			    "KVM_EXIT_MMIO: the guest reads 4 bytes from 0xd0000000, which is no RAM: "
			    "no device");
	assert_string_equal(cause(r, &run, 0), "read of memory where nobody is");
}

static void test_other_exits(void **state)
{
	struct rig *r = *state;
	struct kvm_run run = { .exit_reason = KVM_EXIT_HLT };

	assert_string_equal(said_exit(r, &run, 0),
			    "KVM_EXIT_HLT: the guest halts; without an interrupt controller nothing can "
			    "wake it");
	assert_string_equal(cause(r, &run, 0), "HLT");
	assert_string_equal(said_exit(r, &run, -EINTR),
			    "KVM_RUN: back without an exit: a signal or immediate_exit wants the vCPU "
			    "out of the guest");
	assert_string_equal(cause(r, &run, -EINTR), "interruption");
	run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run.system_event.type = KVM_SYSTEM_EVENT_RESET;
	assert_string_equal(said_exit(r, &run, 0), "KVM_EXIT_SYSTEM_EVENT: the guest resets itself");
	run.exit_reason = 1000;
	assert_string_equal(said_exit(r, &run, 0), "KVM_EXIT_1000: see KVM's api.rst 5");
}

/* The entries of a table are distinct, and each has a text and a reference. */
static void test_tables_are_whole(void **state)
{
	(void)state;
	for (unsigned t = 0; t < ARRAY_SIZE(tables); t++) {
		for (unsigned i = 0; i < tables[t]->count; i++) {
			const struct narrate_entry *entry = &tables[t]->entries[i];

			assert_ptr_equal(narrate_find(entry->request),
					 entry);
			assert_true(*entry->text || entry->say);
			assert_true(*entry->doc);
		}
	}
}

static void test_numbers_have_commas(void **state)
{
	char buf[32];
	struct text out = text_of(buf, sizeof(buf));

	(void)state;
	narrate_number(&out, 7);
	text_add(&out, " ");
	narrate_number(&out, 1204);
	text_add(&out, " ");
	narrate_number(&out, 1234567);
	assert_string_equal(buf, "7 1,204 1,234,567");
}

static void test_text_is_cut(void **state)
{
	char buf[8];
	struct text out = text_of(buf, sizeof(buf));

	(void)state;
	text_add(&out, "%s", "1234");
	text_add(&out, "%s", "56789");
	text_add(&out, "%s", "x");
	assert_string_equal(buf, "1234567");
	out = text_of(buf, sizeof(buf));
	text_add_bytes(&out, 1536);
	assert_string_equal(buf, "1.5 KiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kvm_creates),
		TEST(test_a_failure_says_why),
		TEST(test_kvm_memory),
		TEST(test_kvm_interrupts),
		TEST(test_kvm_kicks),
		TEST(test_kvm_debugger),
		TEST(test_tun),
		TEST(test_vhost_rings),
		TEST(test_vdpa),
		TEST(test_vhost_devices),
		TEST(test_vhost_log),
		TEST(test_vhost_memory),
		TEST(test_port_exits),
		TEST(test_memory_exits),
		TEST(test_other_exits),
		cmocka_unit_test(test_tables_are_whole),
		cmocka_unit_test(test_numbers_have_commas),
		cmocka_unit_test(test_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
