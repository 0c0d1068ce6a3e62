/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States that releases have saved are loaded by this Kinglet, and what it then saves says the same:
 * tests/machine/stored/VERSION/state, of a machine on a fake KVM that keeps what it is told. Runs
 * in the source folder; `--write FILE` saves such a state (make stored-state).
 */
#include "arch/x86_64/layout.h"
#include "devices/balloon.h"
#include "devices/blk.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/vsock.h"
#include "fake_machine.h"
#include "fake_sys.h"
#include "fake_vhost.h"
#include "kept_kvm.h"
#include "machine/machine.h"
#include "machine/snapshot.h"
#include "same_state.h"
#include "unit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Whose states are loaded, the newest last. */
static const char *const releases[] = { "0.1.0" };

enum { ACCESSES_MAX = 400, PATH_LEN = 80 };
/* Where a driver finds things in Kinglet's devices: the same as long as old states are loaded. */
enum { MSIX_CAP = 0xa0, MSIX_CAP_OF_RNG = 0x90, TABLE = 0x4000 };
/* Slots. */
enum { CONSOLE = 1, RNG, BLK, NET, VSOCK, BALLOON };
/* Where the guest has the devices' registers: beyond where they are at first. */
#define BARS (X86_PCI_MMIO32_BASE + 0x1000000)

struct access {
	uint64_t address; /* below 64 KiB: a port */
	uint32_t value;
	unsigned size;
};

struct run {
	struct fake_sys fake;
	struct fake_vhost vhost;
	struct kept_kvm kvm;
	struct machine_config config;
	struct verdict verdict;
	const struct machine_parts *parts;
	struct access accesses[ACCESSES_MAX]; /* of the guest, before it is saved */
	unsigned access_count, accessed;
	bool asked;
	struct fake_kernel kernel;
	int tap, wire;
	char place[32], disk[PATH_LEN], dir[PATH_LEN], saved[PATH_LEN];
};

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct run *r = container_of(fake, struct run, fake);

	if (request == SIOCGIFFLAGS)
		((struct ifreq *)arg)->ifr_flags = IFF_UP;
	else if (request == TUNSETIFF)
		return dup3(r->tap, fd, O_CLOEXEC) < 0 ? -errno : 0;
	else if (_IOC_TYPE(request) == VHOST_VIRTIO)
		return fake_vhost_ioctl(&r->vhost, request, arg);
	else
		return kept_kvm_ioctl(&r->kvm, request, arg);
	return 0;
}

/* --- The guest -------------------------------------------------------------------------------- */

static void add(struct run *r, uint64_t address, unsigned size, uint32_t value)
{
	assert_true(r->access_count < ACCESSES_MAX);
	r->accesses[r->access_count++] =
		(struct access){ .address = address, .value = value, .size = size };
}

#define COMMON(field) (bar + offsetof(struct virtio_pci_common_cfg, field))

/* Rings without buffers, in memory of zeros. */
static void add_queue(struct run *r, uint64_t bar, unsigned slot, unsigned index)
{
	uint32_t ring = 0x100000 + (slot * 8 + index) * 0x1000;

	add(r, COMMON(queue_select), 2, index);
	add(r, COMMON(queue_size), 2, 16);
	add(r, COMMON(queue_msix_vector), 2, 0);
	add(r, COMMON(queue_desc_lo), 4, ring);
	add(r, COMMON(queue_avail_lo), 4, ring + 0x400);
	add(r, COMMON(queue_used_lo), 4, ring + 0x800);
	add(r, COMMON(queue_enable), 2, 1);
}

/* What a driver does up to DRIVER_OK, with MSI-X. */
static void add_driver(struct run *r, unsigned slot, uint32_t features, unsigned queues)
{
	uint64_t bar = BARS + slot * 0x10000;
	uint64_t config = X86_ECAM_BASE + (slot << 15);

	add(r, config + PCI_BASE_ADDRESS_0, 4, (uint32_t)bar);
	add(r, config + PCI_BASE_ADDRESS_1, 4, 0);
	add(r, config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	add(r, config + (slot == RNG ? MSIX_CAP_OF_RNG : MSIX_CAP) + PCI_MSIX_FLAGS, 2,
	    PCI_MSIX_FLAGS_ENABLE);
	add(r, bar + TABLE + PCI_MSIX_ENTRY_LOWER_ADDR, 4, X86_LAPIC_BASE);
	add(r, bar + TABLE + PCI_MSIX_ENTRY_DATA, 4, 0x20 + slot);
	add(r, bar + TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	add(r, COMMON(device_status), 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	add(r, COMMON(guest_feature_select), 4, 0);
	add(r, COMMON(guest_feature), 4, features);
	add(r, COMMON(guest_feature_select), 4, 1);
	add(r, COMMON(guest_feature), 4, 1); /* VIRTIO_F_VERSION_1 */
	add(r, COMMON(device_status), 1, 0xb);
	add(r, COMMON(msix_config), 2, 0);
	for (unsigned i = 0; i < queues; i++)
		add_queue(r, bar, slot, i);
	add(r, COMMON(device_status), 1, 0xf);
}

static void add_accesses(struct run *r)
{
	static const struct {
		uint32_t features;
		unsigned queues;
	} drivers[] = {
		[CONSOLE] = { 1 << VIRTIO_CONSOLE_F_SIZE | 1 << VIRTIO_CONSOLE_F_MULTIPORT, 4 },
		[RNG] = { 0, 1 },
		[BLK] = { 1 << VIRTIO_BLK_F_BLK_SIZE | 1 << VIRTIO_BLK_F_FLUSH, 1 },
		[NET] = { 1 << VIRTIO_NET_F_MAC | 1 << VIRTIO_NET_F_STATUS |
				  1 << VIRTIO_NET_F_CTRL_VQ | 1 << VIRTIO_NET_F_CTRL_RX |
				  1 << VIRTIO_NET_F_GUEST_ANNOUNCE,
			  3 },
		[VSOCK] = { 0, 3 },
		[BALLOON] = { 1 << VIRTIO_BALLOON_F_STATS_VQ, 3 },
	};

	add(r, X86_COM1_PORT + 3, 1, 0x83); /* divisor */
	add(r, X86_COM1_PORT, 1, 12);
	add(r, X86_COM1_PORT + 3, 1, 3);
	add(r, X86_COM1_PORT + 2, 1, 0x81); /* FIFOs */
	add(r, X86_COM1_PORT + 4, 1, 0xb);
	add(r, X86_COM1_PORT + 7, 1, 0x5a);
	add(r, X86_CMOS_INDEX, 1, 0x0b);
	add(r, X86_PCI_CONFIG_ADDRESS, 4, 0x80001004);
	for (unsigned slot = CONSOLE; slot <= BALLOON; slot++)
		add_driver(r, slot, drivers[slot].features, drivers[slot].queues);
}

static void make_access(struct kvm_run *run, const struct access *access)
{
	if (access->address < 0x10000) {
		run->exit_reason = KVM_EXIT_IO;
		run->io.direction = KVM_EXIT_IO_OUT;
		run->io.port = (uint16_t)access->address;
		run->io.size = (uint8_t)access->size;
		run->io.count = 1;
		run->io.data_offset = 4096;
		memcpy((uint8_t *)run + 4096, &access->value, 4);
	} else {
		run->exit_reason = KVM_EXIT_MMIO;
		run->mmio.is_write = 1;
		run->mmio.phys_addr = access->address;
		run->mmio.len = access->size;
		memcpy(run->mmio.data, &access->value, 4);
	}
}

/* It sets everything up, and is saved. A restored one is saved at once. */
static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct run *r = container_of(fake, struct run, fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (!r->config.restore && r->accessed < r->access_count) {
		make_access(run, &r->accesses[r->accessed++]);
		return 0;
	}
	if (!r->asked) {
		r->asked = true;
		if (!r->config.restore)
			kept_kvm_set_registers(&r->kvm);
		r->parts->ops->save_soon(r->parts->vm);
	}
	poll(NULL, 0, 1);
	return -EINTR;
}

/* --- The machine ------------------------------------------------------------------------------ */

static int begin(void *owner, const struct machine_parts *parts)
{
	((struct run *)owner)->parts = parts;
	return 0;
}

static void add_devices(struct run *r)
{
	struct device_set *set = &r->config.devices;
	struct disk_config *disk;
	struct net_config *net;

	((struct rng_config *)device_set_add(set, &rng_kind))->on = true;
	disk = device_set_add(set, &blk_kind);
	*disk = (struct disk_config){ .image.path = r->disk, .serial = "stored", .queues = 1 };
	net = device_set_add(set, &net_kind);
	*net = (struct net_config){ .tap = "tap0", .mac = { 0x52, 0x54, 0, 1, 2, 3 },
				    .mac_set = true, .vhost = VHOST_OFF, .offloads = true,
				    .queues = 1 };
	((struct vsock_config *)device_set_add(set, &vsock_kind))->cid = 3;
	((struct balloon_config *)device_set_add(set, &balloon_kind))->size = 1 << 20;
}

static void init_fake(struct run *r)
{
	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->fake.hook = answer;
	fake_vhost_init(&r->vhost, NULL, UINT64_MAX);
	kept_kvm_init(&r->kvm);
	r->asked = false;
}

static void make_file(const char *path, off_t len)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, len), 0);
	close(fd);
}

static int setup(void **state)
{
	static const struct machine_observer_ops ops = { .begin = begin };
	static const char *const words[] = { "--memory=8M", "--disk=disk" };
	struct run *r = calloc(1, sizeof(*r));
	int ends[2];

	init_fake(r);
	strcpy(r->place, "/tmp/kinglet-stored-XXXXXX");
	assert_non_null(mkdtemp(r->place));
	snprintf(r->disk, sizeof(r->disk), "%s/disk", r->place);
	make_file(r->disk, 1 << 20);
	snprintf(r->dir, sizeof(r->dir), "%s/new", r->place);
	snprintf(r->saved, sizeof(r->saved), "%s/new/state", r->place);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	r->tap = ends[0];
	r->wire = ends[1];
	fake_machine_init(&r->config, &r->kernel);
	r->config.serial = SERIAL_STDIO;
	r->config.console = CONSOLE_NULL;
	r->config.words = words;
	r->config.word_count = ARRAY_SIZE(words);
	r->config.snapshot_port = true;
	r->config.snapshot = r->dir;
	r->config.snapshot_ends = true;
	r->config.observers[0] = (struct machine_observer){ &ops, r };
	r->config.observer_count = 1;
	r->config.no_input = r->config.no_output = true;
	add_devices(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct run *r = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", r->place);
	close_fd(&r->kernel.fd);
	close_fd(&r->tap);
	close_fd(&r->wire);
	fake_sys_destroy(&r->fake);
	free(r);
	return system(command); /* NOLINT: no input */
}

static void run_until_saved(struct run *r)
{
	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	alarm(0);
	if (r->verdict.outcome != OUTCOME_QUIT || r->verdict.status)
		fail_msg("a state of a release was refused, or none could be saved: why, is in the "
			 "line above; what to do, in docs/state.md, When a table changes");
}

/* What differs in a machine that goes on. */
static const struct moving_field moving[] = {
	{ "snapshot", "version" },
	{ "snapshot", "saved_ns" },
	{ "kvmclock", "clock" },
	{ "tsc", "value" },
	{ "virtio", "offered" }, /* may become more */
	/* The guest is told to announce its card, and of its CID. */
	{ "virtio-pci", "isr" },
	{ "virtio", "config_generation" },
	{ "virtio", "config_pending" },
	{ "net", "announce" },
	{ "net", "announcements_left" },
	{ "vsock", "reset_owed" },
	{ NULL, NULL },
};

/* --- Tests ------------------------------------------------------------------------------------ */

static void stored_path(const char *release, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, "tests/machine/stored/%s/state", release);
}

static void copy(const char *from, const char *to)
{
	char command[3 * PATH_LEN];

	snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0); /* NOLINT: names of this file */
}

/* A snapshot of the stored state. RAM was all zeros, so its file is made here. */
static struct snapshot *open_stored(const struct run *r, const char *path)
{
	char name[PATH_LEN];
	struct snapshot *snapshot;

	umask(077);
	snprintf(name, sizeof(name), "%s/stored", r->place);
	assert_true(!mkdir(name, 0700) || errno == EEXIST);
	copy(path, name);
	snprintf(name, sizeof(name), "%s/stored/memory", r->place);
	make_file(name, 8 << 20);
	snprintf(name, sizeof(name), "%s/stored", r->place);
	assert_int_equal(snapshot_open(&snapshot, name), 0);
	return snapshot;
}

static void test_states_of_releases_are_loaded(void **state)
{
	struct run *r = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(releases); i++) {
		struct snapshot *snapshot;
		char path[PATH_LEN];

		stored_path(releases[i], path);
		snapshot = open_stored(r, path);
		fake_sys_destroy(&r->fake);
		init_fake(r);
		r->config.restore = snapshot;
		run_until_saved(r);
		snapshot_free(snapshot);
		same_state(path, r->saved, moving);
	}
}

/* So that the next release has one to store. */
static void test_a_state_like_the_stored_one_can_be_saved(void **state)
{
	struct run *r = *state;
	char path[PATH_LEN];

	stored_path(releases[ARRAY_SIZE(releases) - 1], path);
	add_accesses(r);
	run_until_saved(r);
	same_state(path, r->saved, moving);
}

static int write_state(const char *path)
{
	void *state;
	struct run *r;

	if (setup(&state))
		return 1;
	r = state;
	add_accesses(r);
	run_until_saved(r);
	copy(r->saved, path);
	return teardown(&state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_states_of_releases_are_loaded),
		TEST(test_a_state_like_the_stored_one_can_be_saved),
	};

	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_state(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
