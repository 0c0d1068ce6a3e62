/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices whose queues vhost runs, on fake kernels: a network card with two pairs, a SCSI host, a
 * vsock. Whatever the driver does, the kernel walks the rings that the device says are running, at
 * the addresses that the driver gave, all in guest RAM, and no others; no request to it is ever
 * refused; and while there is a log of writes, it has every page that a kernel wrote.
 */
#include "fake_vhost.h"
#include "guest.h"

#include "backend/local.h"
#include "core/dirty.h"
#include "devices/vhost_net.h"
#include "devices/vhost_scsi.h"
#include "devices/vhost_vsock.h"
#include "devices/net.h"
#include "devices/scsi.h"
#include "devices/vsock.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <linux/virtio_scsi.h>

enum { NET, SCSI, VSOCK, DEVICES };
enum { PAIRS = 2, KERNELS = PAIRS + 2, CID = 3 };

/* In the order of their opening: each pair of the card, the SCSI host, the vsock. */
static const struct {
	unsigned device, first, count;
} served[KERNELS] = {
	{ NET, NET_QUEUE_RX(0), 2 },
	{ NET, NET_QUEUE_RX(1), 2 },
	{ SCSI, 0, 4 },
	{ VSOCK, VSOCK_QUEUE_RX, 2 },
};

enum { PAGES = FUZZ_RAM_END / DIRTY_PAGE };

struct scene {
	struct fuzz_guest g;
	struct gmem_kvm memslots;
	struct dirty_log log;
	bool logging;
	bool unread[PAGES]; /* written by a kernel, and not yet in a round of the log */
	struct fake_vhost kernels[KERNELS];
	int fds[KERNELS];
	unsigned opened;
	unsigned fail_in; /* set-up requests until one fails; 0: none does */
};

static struct fake_vhost *kernel_of(struct scene *s, int fd, unsigned long request)
{
	if (request == VHOST_SET_OWNER) {
		FUZZ_CHECK(s->opened < KERNELS);
		s->fds[s->opened++] = fd;
	}
	for (unsigned i = 0; i < s->opened; i++)
		if (s->fds[i] == fd)
			return &s->kernels[i];
	return NULL;
}

/* Requests that stop a device do not fail, as in the kernel. */
static bool sets_up(unsigned long request, const void *arg)
{
	switch (request) {
	case VHOST_SET_LOG_BASE:
	case VHOST_SET_FEATURES:
	case VHOST_SET_MEM_TABLE:
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SCSI_SET_ENDPOINT:
	case TUNSETVNETHDRSZ:
	case TUNSETOFFLOAD:
		return true;
	case VHOST_SET_VRING_ERR:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
	case VHOST_NET_SET_BACKEND:
		return ((const struct vhost_vring_file *)arg)->fd >= 0;
	case VHOST_VSOCK_SET_RUNNING:
		return *(const int *)arg;
	default:
		return false;
	}
}

static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct scene *s = fake->hook_data;
	struct fake_vhost *kernel = kernel_of(s, fd, request);

	if (s->fail_in && sets_up(request, arg) && !--s->fail_in)
		return -ENOMEM;
	/* vCPUs have written nothing. */
	if (request == KVM_GET_DIRTY_LOG)
		return 0;
	return kernel ? fake_vhost_ioctl(kernel, request, arg) : FAKE_PASS;
}

static void wrote(void *owner, const void *hva, uint64_t len)
{
	struct scene *s = owner;
	uint64_t at = (uint64_t)((const uint8_t *)hva - s->g.mem.base);

	for (uint64_t page = at / DIRTY_PAGE; len && page <= (at + len - 1) / DIRTY_PAGE; page++)
		s->unread[page] = s->logging;
}

/* --- The machine ------------------------------------------------------------------------------ */

static void add_net(struct scene *s)
{
	struct sys *sys = &s->g.rig.fake.sys;
	struct vhost *vhosts[PAIRS];
	struct tap taps[PAIRS];
	struct virtio_net_options options = { .taps = taps, .pairs = PAIRS, .in_kernel = true };
	struct virtio_dev *dev;

	for (unsigned i = 0; i < PAIRS; i++) {
		FUZZ_CHECK(!vhost_net_open(&vhosts[i], sys, -1, false));
		taps[i] = (struct tap){ .sys = sys, .name = "tap0", .mtu = 1500,
					.offloads = TUN_F_CSUM | TUN_F_TSO4,
					.fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	}
	options.features = vhost_net_features(vhosts[0]);
	FUZZ_CHECK(!virtio_net_new(&dev, &s->g.env, 0, &options));
	FUZZ_CHECK(!local_backend_bind(dev, NET_QUEUE_CONTROL(PAIRS), 1));
	for (unsigned i = 0; i < PAIRS; i++)
		FUZZ_CHECK(!vhost_net_bind(vhosts[i], dev, NET_QUEUE_RX(i),
					   virtio_net_tap_fd(dev, i)));
	fuzz_guest_add(&s->g, dev);
}

static void add_scsi(struct scene *s)
{
	struct vhost *vhost;
	struct virtio_scsi_options options = { .request_queues = 2, .max_target = 1 };
	struct virtio_dev *dev;

	FUZZ_CHECK(!vhost_scsi_open(&vhost, &s->g.rig.fake.sys, "naa.5001405000000001", false));
	options.features = vhost_scsi_features(vhost);
	FUZZ_CHECK(!virtio_scsi_new(&dev, &s->g.env, 0, &options));
	FUZZ_CHECK(!vhost_bind(vhost, dev, 0, dev->queue_count));
	fuzz_guest_add(&s->g, dev);
}

static void add_vsock(struct scene *s)
{
	struct vhost *vhost;
	struct virtio_dev *dev;

	FUZZ_CHECK(!vhost_vsock_open(&vhost, &s->g.rig.fake.sys, CID));
	FUZZ_CHECK(!virtio_vsock_new(&dev, &s->g.env, 0, CID, vhost->features));
	FUZZ_CHECK(!vhost_bind(vhost, dev, VSOCK_QUEUE_RX, VSOCK_QUEUE_EVENT));
	FUZZ_CHECK(!local_backend_bind(dev, VSOCK_QUEUE_EVENT, 1));
	fuzz_guest_add(&s->g, dev);
}

static void build(struct scene *s)
{
	const uint64_t features = 1ULL << VIRTIO_F_VERSION_1 | VIRTQ_FEATURES |
				  1ULL << VHOST_F_LOG_ALL | 1ULL << VIRTIO_NET_F_MRG_RXBUF |
				  1ULL << VIRTIO_SCSI_F_HOTPLUG;

	fuzz_guest_init(&s->g);
	FUZZ_CHECK(!gmem_kvm_attach(&s->memslots, &s->g.mem, &s->g.rig.kvm));
	s->opened = s->fail_in = 0;
	for (unsigned i = 0; i < KERNELS; i++) {
		fake_vhost_init(&s->kernels[i], &s->g.rig.loop, features);
		s->kernels[i].wrote = wrote;
		s->kernels[i].owner = s;
	}
	s->g.rig.fake.hook = hook;
	s->g.rig.fake.hook_data = s;
	add_net(s);
	add_scsi(s);
	add_vsock(s);
}

/* --- What must hold --------------------------------------------------------------------------- */

static void check_addresses(const struct scene *s, const struct fake_vring *ring,
			    const struct virtq *q)
{
	struct virtq_rings rings;
	bool event_index = virtio_has(q->dev, VIRTIO_RING_F_EVENT_IDX);

	FUZZ_CHECK(!virtq_map(q, &s->g.mem, event_index, &rings));
	FUZZ_CHECK(ring->addr.desc_user_addr == (uintptr_t)rings.desc);
	FUZZ_CHECK(ring->addr.avail_user_addr == (uintptr_t)rings.avail);
	FUZZ_CHECK(ring->addr.used_user_addr == (uintptr_t)rings.used);
}

static void check_ring(const struct scene *s, const struct fake_vring *ring, const struct virtq *q)
{
	bool ours = !strcmp(q->backend->ops->name, "local");

	FUZZ_CHECK((ring->backend >= 0) == (q->running && !ours));
	if (ring->backend < 0) {
		FUZZ_CHECK(ring->kick < 0 && ring->call < 0 && ring->err < 0);
		return;
	}
	FUZZ_CHECK(ring->kick == q->kick_fd && ring->call == q->irq.fd && ring->err >= 0);
	FUZZ_CHECK(ring->num == q->state.size);
	check_addresses(s, ring, q);
}

static void check_kernels(const struct scene *s)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		const struct fake_vhost *kernel = &s->kernels[i];
		const struct virtio_dev *dev = s->g.devs[served[i].device];

		FUZZ_CHECK(!kernel->refusals);
		for (unsigned n = 0; n < served[i].count; n++)
			check_ring(s, &kernel->rings[n], &dev->queues[served[i].first + n]);
		FUZZ_CHECK(!fake_vhost_running(kernel) ||
			   !(kernel->features & ~(dev->acked | 1ULL << VHOST_F_LOG_ALL)));
	}
}

/* --- The script ------------------------------------------------------------------------------- */

/* vhost reports an invalid ring; it may also be late. */
static void report_error(struct scene *s, struct fuzz_input *in)
{
	unsigned which = fuzz_pick(in, KERNELS);
	const struct fake_vring *ring =
		&s->kernels[which].rings[fuzz_pick(in, served[which].count)];

	if (ring->err >= 0)
		eventfd_signal(ring->err);
}

static void read_page(void *owner, uint64_t gpa)
{
	struct scene *s = owner;

	s->unread[gpa / DIRTY_PAGE] = false;
}

/* Each page that a kernel wrote since the last round is in this one. */
static void read_log(struct scene *s)
{
	FUZZ_CHECK(!dirty_log_read(&s->log, read_page, s));
	for (unsigned i = 0; i < PAGES; i++)
		FUZZ_CHECK(!s->unread[i]);
}

static void stop_log(struct scene *s)
{
	dirty_log_stop(&s->log);
	s->logging = false;
	memset(s->unread, 0, sizeof(s->unread));
}

/* Turned on, which may fail; read twice as often as turned off. */
static void use_log(struct scene *s, struct fuzz_input *in)
{
	if (!s->logging)
		s->logging = !dirty_log_start(&s->log, &s->memslots, &s->g.mem);
	else if (fuzz_pick(in, 3))
		read_log(s);
	else
		stop_log(s);
}

static void step(struct scene *s, struct fuzz_input *in)
{
	unsigned which = fuzz_pick(in, DEVICES);
	unsigned queue = fuzz_pick(in, s->g.devs[which]->queue_count);

	switch (fuzz_pick(in, 24)) {
	case 0:
		report_error(s, in);
		break;
	case 1:
		s->fail_in = fuzz_pick(in, 20);
		break;
	case 22:
		use_log(s, in);
		break;
	case 23:
		virtio_net_set_link(s->g.devs[NET], fuzz_pick(in, 2) ? LINK_UP : LINK_DOWN);
		break;
	default:
		fuzz_guest_step(&s->g, in, which, queue);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct scene s;
	unsigned fds = fake_open_fds();

	build(&s);
	while (in.left) {
		step(&s, &in);
		fuzz_guest_check(&s.g);
		check_kernels(&s);
	}
	stop_log(&s);
	gmem_del_listener(&s.g.mem, &s.memslots.listener);
	fuzz_guest_destroy(&s.g);
	for (unsigned i = 0; i < KERNELS; i++)
		FUZZ_CHECK(!fake_vhost_running(&s.kernels[i]));
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
