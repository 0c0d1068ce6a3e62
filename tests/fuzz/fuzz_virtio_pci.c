/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real devices behind the PCI transport, and a guest that brings them up, or half of it, or
 * wrongly, fills their rings with requests or rubbish, resets and moves them whenever it likes.
 */
#include "fuzz.h"
#include "pci_rig.h"

#include "backend/local.h"
#include "base/checked.h"
#include "base/le.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/net.h"
#include "virtio/pci.h"
#include "virtio/rng.h"

#include <linux/if_tun.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { RNG, BLK, CONSOLE, NET, DEVICES };
enum { BLK_QUEUES = 2, SECTORS = 64 };

/* Where the transport has what; pinned here, as a driver finds it in the capabilities. */
enum { COMMON = 0, ISR = 0x1000, CONFIG = 0x2000, NOTIFY = 0x3000, TABLE = 0x4000, PBA = 0x5000 };

/* RAM: two slots that touch at SEAM. The first has a place for each ring, the second buffers. */
enum { SLOT_LEN = 0x40000, SEAM = SLOT_LEN, RAM_END = 2 * SLOT_LEN };
enum { RING_STEP = 0x2000, AVAIL = 0x1000, USED = 0x1400, MAX_QUEUES = 8, MAX_RING = 128 };

struct scene {
	struct pci_rig rig;
	struct gmem mem;
	struct virtio_dev *devs[DEVICES]; /* owned by the bus; in slot 1 + index */
	int image;			  /* memfd */
	int wire;			  /* the other end of the tap */
	size_t room;			  /* bytes that the terminal takes */
};

/* --- The machine ------------------------------------------------------------------------------ */

static size_t take_output(void *owner, unsigned port, const uint8_t *data, size_t len)
{
	struct scene *s = owner;
	size_t taken = len < s->room ? len : s->room;

	(void)port;
	(void)data;
	s->room -= taken;
	return taken;
}

static void ignore_wish(void *owner, unsigned port)
{
	(void)owner;
	(void)port;
}

static void ignore_status(void *owner, uint8_t status)
{
	(void)owner;
	(void)status;
}

static void ignore_drained(void *owner)
{
	(void)owner;
}

static const struct virtio_console_ops console_ops = {
	.output = take_output,
	.input_wanted = ignore_wish,
	.status = ignore_status,
	.drained = ignore_drained,
};

static struct virtio_dev *new_blk(struct scene *s, const struct virtio_env *env)
{
	struct virtio_blk_options options = { .serial = "fuzzed", .queues = BLK_QUEUES };
	struct virtio_dev *dev;
	char path[32];

	s->image = memfd_create("fuzzed", MFD_CLOEXEC);
	FUZZ_CHECK(s->image >= 0 && !ftruncate(s->image, SECTORS * IMAGE_SECTOR));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->image);
	options.path = path;
	FUZZ_CHECK(!virtio_blk_new(env, 0, &options, &dev));
	return dev;
}

static struct virtio_dev *new_net(struct scene *s, const struct virtio_env *env)
{
	struct tap tap = { .sys = &s->rig.fake.sys, .name = "tap0", .mtu = 1500,
			   .offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 };
	const struct virtio_net_options options = { .taps = &tap, .pairs = 1, .features = ~0ULL };
	int fds[2];

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
	tap.fd = fds[0];
	s->wire = fds[1];
	return virtio_net_new(env, 0, &options);
}

static void make_ram(struct gmem *mem)
{
	static const struct gmem_range ranges[] = {
		{ .gpa = 0, .len = SLOT_LEN },
		{ .gpa = SEAM, .len = SLOT_LEN },
	};
	static const struct gmem_options options;

	FUZZ_CHECK(!gmem_init(mem, ranges, ARRAY_SIZE(ranges), &options));
}

static void build(struct scene *s)
{
	static const char *const streams[] = { "fuzzed" };
	const struct virtio_env env = { &s->mem, &s->rig.loop, &s->rig.irqs };
	const struct virtio_console_options console = {
		.ops = &console_ops,
		.owner = s,
		.streams = streams,
		.stream_count = ARRAY_SIZE(streams),
	};

	FUZZ_CHECK(!pci_rig_init(&s->rig));
	s->devs[RNG] = virtio_rng_new(&env, 0);
	s->devs[BLK] = new_blk(s, &env);
	s->devs[CONSOLE] = virtio_console_new(&env, 0, &console);
	s->devs[NET] = new_net(s, &env);
	for (unsigned i = 0; i < DEVICES; i++) {
		FUZZ_CHECK(s->devs[i]);
		FUZZ_CHECK(local_backend_new(s->devs[i], 0, s->devs[i]->queue_count));
		FUZZ_CHECK(s->devs[i]->queue_count <= MAX_QUEUES);
		FUZZ_CHECK(!virtio_pci_add(&s->rig.bus, s->devs[i]));
	}
}

static void destroy(struct scene *s)
{
	pci_rig_destroy(&s->rig);
	close(s->image);
	close(s->wire);
}

static const struct pci_bar *bar_of(const struct scene *s, unsigned which)
{
	return &s->rig.bus.devs[1 + which]->bars[0];
}

/* --- What must hold --------------------------------------------------------------------------- */

static void check_device(const struct virtio_dev *dev)
{
	FUZZ_CHECK(!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK) || !(dev->acked & ~dev->offered));
	FUZZ_CHECK(!dev->started || dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
	FUZZ_CHECK(!dev->started || dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	FUZZ_CHECK(!dev->started || !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET));
	for (unsigned i = 0; i < dev->queue_count; i++) {
		FUZZ_CHECK(!dev->queues[i].running || dev->started);
		FUZZ_CHECK(!dev->queues[i].running || dev->queues[i].state.enabled);
	}
}

static bool has_kick(const struct scene *s, uint64_t gpa, int fd)
{
	for (unsigned i = 0; i < s->rig.fake.ioeventfd_count; i++)
		if (s->rig.fake.ioeventfds[i].addr == gpa)
			return s->rig.fake.ioeventfds[i].fd == fd;
	return false;
}

/* Each running queue of a mapped device has its ioeventfd in the BAR, and nothing else has one. */
static void check_kicks(const struct scene *s)
{
	unsigned expected = 0;

	for (unsigned i = 0; i < DEVICES; i++)
		for (unsigned q = 0; q < s->devs[i]->queue_count; q++)
			expected += bar_of(s, i)->mapped && s->devs[i]->queues[q].running;
	FUZZ_CHECK(s->rig.fake.ioeventfd_count == expected);
	for (unsigned i = 0; i < DEVICES; i++)
		for (unsigned q = 0; bar_of(s, i)->mapped && q < s->devs[i]->queue_count; q++)
			FUZZ_CHECK(!s->devs[i]->queues[q].running ||
				   has_kick(s, bar_of(s, i)->region.base + NOTIFY + 4 * q,
					    s->devs[i]->queues[q].kick_fd));
}

/* --- The guest -------------------------------------------------------------------------------- */

static void set(struct scene *s, unsigned which, uint64_t off, uint64_t value, unsigned size)
{
	rig_write(&s->rig, bar_of(s, which)->region.base + off, value, size);
}

#define COMMON_SIZE(reg) sizeof(((struct virtio_pci_common_cfg *)NULL)->reg)
#define common_set(s, which, reg, value)                                                           \
	set(s, which, COMMON + offsetof(struct virtio_pci_common_cfg, reg), value, COMMON_SIZE(reg))

static void put(struct scene *s, uint64_t gpa, const void *data, uint64_t len)
{
	/* A guest may write to what is no RAM. */
	if (gmem_write(&s->mem, gpa, data, len))
		return;
}

static uint64_t ring_of(unsigned which, unsigned queue)
{
	return (uint64_t)(which * MAX_QUEUES + queue) * RING_STEP;
}

static void set_up_queue(struct scene *s, struct fuzz_input *in, unsigned which, unsigned queue)
{
	uint64_t ring = ring_of(which, queue);

	common_set(s, which, queue_select, queue);
	common_set(s, which, queue_size, 1U << fuzz_pick(in, 8));
	common_set(s, which, queue_msix_vector, fuzz_pick(in, 12));
	common_set(s, which, queue_desc_lo, ring);
	common_set(s, which, queue_avail_lo, ring + AVAIL);
	common_set(s, which, queue_used_lo, ring + USED);
	common_set(s, which, queue_enable, fuzz_pick(in, 8) != 0);
}

/* virtio 1.2 §3.1.1, as a driver should; what the script then does to it is another matter. */
static void bring_up(struct scene *s, struct fuzz_input *in, unsigned which)
{
	const struct virtio_dev *dev = s->devs[which];
	uint64_t features = fuzz_pick(in, 2) ? UINT64_MAX : fuzz_take(in, 6);

	features = dev->offered & (features | 1ULL << VIRTIO_F_VERSION_1);
	rig_cfg_write(&s->rig, 1 + which, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	common_set(s, which, device_status, 0);
	common_set(s, which, device_status, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		common_set(s, which, guest_feature_select, word);
		common_set(s, which, guest_feature, features >> 32 * word & UINT32_MAX);
	}
	common_set(s, which, device_status, VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned i = 0; i < dev->queue_count; i++)
		set_up_queue(s, in, which, i);
	common_set(s, which, device_status, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void kick(struct scene *s, unsigned which, unsigned queue)
{
	set(s, which, NOTIFY + 4 * queue, queue, 2);
}

static void write_desc(struct scene *s, unsigned which, unsigned queue, unsigned index,
		       uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	const struct {
		struct le64 addr;
		struct le32 len;
		struct le16 flags, next;
	} d = { le64_of(gpa), le32_of(len), le16_of(flags), le16_of(next) };

	_Static_assert(sizeof(d) == sizeof(struct vring_desc), "virtio 1.2 §2.7.5");
	put(s, ring_of(which, queue) + index % MAX_RING * sizeof(d), &d, sizeof(d));
}

static void make_available(struct scene *s, unsigned which, unsigned queue, uint16_t head)
{
	uint64_t avail = ring_of(which, queue) + AVAIL;
	uint16_t size = s->devs[which]->queues[queue].state.size;
	struct le16 index = { 0 }, entry = le16_of(head);

	if (!size || gmem_read(&s->mem, avail + 2, &index, sizeof(index)))
		return;
	put(s, avail + 4 + 2 * (le16_get(index) % size), &entry, sizeof(entry));
	index = le16_of(le16_get(index) + 1);
	put(s, avail + 2, &index, sizeof(index));
}

static uint64_t pick_buffer(struct fuzz_input *in)
{
	return fuzz_pick(in, 16) ? SEAM - 0x800 + fuzz_take(in, 2) : fuzz_take(in, 8);
}

/* A request that may be right: header, data, status. */
static void add_blk_request(struct scene *s, struct fuzz_input *in)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES };
	uint32_t type = fuzz_pick(in, 8) ? types[fuzz_pick(in, ARRAY_SIZE(types))] :
					   (uint32_t)fuzz_take(in, 4);
	const struct {
		struct le32 type, reserved;
		struct le64 sector;
	} header = { le32_of(type), le32_of(0),
		     le64_of(fuzz_take(in, fuzz_pick(in, 8) ? 1 : 8)) };
	unsigned queue = fuzz_pick(in, BLK_QUEUES), head = fuzz_pick(in, 16);
	uint64_t at = pick_buffer(in), data = pick_buffer(in);
	bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint32_t len = fuzz_pick(in, 4) ? IMAGE_SECTOR * fuzz_pick(in, 9) :
					  (uint32_t)fuzz_take(in, 2);
	uint16_t flags = VRING_DESC_F_NEXT | (reads ? VRING_DESC_F_WRITE : 0);
	uint16_t last = (uint16_t)(head + (len ? 2 : 1));

	put(s, at, &header, sizeof(header));
	write_desc(s, BLK, queue, head, at, 16, VRING_DESC_F_NEXT, (uint16_t)(head + 1));
	if (len)
		write_desc(s, BLK, queue, head + 1, data, len, flags, last);
	write_desc(s, BLK, queue, last, pick_buffer(in), 1, VRING_DESC_F_WRITE, 0);
	make_available(s, BLK, queue, (uint16_t)head);
}

/* A chain of one or several buffers, all one way. */
static void add_buffers(struct scene *s, struct fuzz_input *in, unsigned which, unsigned queue)
{
	unsigned head = fuzz_pick(in, 16), count = 1 + fuzz_pick(in, 3);
	uint16_t flags = fuzz_pick(in, 2) ? VRING_DESC_F_WRITE : 0;

	for (unsigned i = 0; i < count; i++)
		write_desc(s, which, queue, head + i, pick_buffer(in), (uint32_t)fuzz_take(in, 2),
			   flags | (i + 1 < count ? VRING_DESC_F_NEXT : 0),
			   (uint16_t)(head + i + 1));
	make_available(s, which, queue, (uint16_t)head);
}

static void write_any_desc(struct scene *s, struct fuzz_input *in, unsigned which, unsigned queue)
{
	write_desc(s, which, queue, fuzz_pick(in, 16), pick_buffer(in),
		   (uint32_t)fuzz_take(in, fuzz_pick(in, 4) ? 2 : 4), (uint16_t)fuzz_pick(in, 8),
		   (uint16_t)fuzz_pick(in, 20));
}

static void access_bar(struct scene *s, struct fuzz_input *in, unsigned which)
{
	static const uint16_t pages[] = { COMMON, COMMON, COMMON, COMMON, ISR, CONFIG, NOTIFY,
					  TABLE, TABLE, PBA };
	uint64_t off = pages[fuzz_pick(in, ARRAY_SIZE(pages))] + fuzz_take(in, 1) % 0x48;
	unsigned size = fuzz_size(in);

	if (!fuzz_pick(in, 8))
		off = fuzz_take(in, 2);
	if (fuzz_pick(in, 4))
		set(s, which, off, fuzz_take(in, size), size);
	else
		rig_read(&s->rig, bar_of(s, which)->region.base + off, size);
}

static void access_config(struct scene *s, struct fuzz_input *in, unsigned which)
{
	unsigned off = (unsigned)fuzz_take(in, 1), size = fuzz_size(in);
	const struct pci_dev *dev = s->rig.bus.devs[1 + which];

	switch (fuzz_pick(in, 8)) {
	case 0: /* the BAR: to where another one is, or was */
		rig_cfg_write(&s->rig, 1 + which, PCI_BASE_ADDRESS_0,
			      bar_of(s, fuzz_pick(in, DEVICES))->region.base, 4);
		break;
	case 1:
		rig_cfg_write(&s->rig, 1 + which, PCI_COMMAND, fuzz_take(in, 1), 2);
		break;
	case 2:
		rig_cfg_write(&s->rig, 1 + which, dev->af_cap + PCI_AF_CTRL, fuzz_pick(in, 2), 1);
		break;
	case 3:
		rig_cfg_write(&s->rig, 1 + which, dev->msix->cap + PCI_MSIX_FLAGS,
			      (uint64_t)fuzz_pick(in, 4) << 14, 2);
		break;
	case 4:
		rig_cfg_read(&s->rig, 1 + which, off, size);
		break;
	default:
		rig_cfg_write(&s->rig, 1 + which, off, fuzz_take(in, size), size);
		break;
	}
}

/* --- The host --------------------------------------------------------------------------------- */

/* A guest that keeps a device busy with itself gets no more than this. */
enum { MAX_ROUNDS = 50 };

static void dispatch(struct scene *s)
{
	struct epoll_event events[16];
	int n = 1;

	for (unsigned round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		n = epoll_wait(s->rig.loop.epoll_fd, events, ARRAY_SIZE(events), 0);
		for (int i = 0; i < n; i++) {
			struct loop_event *event = events[i].data.ptr;

			event->fn(event, events[i].events);
		}
	}
}

static void use_wire(struct scene *s, struct fuzz_input *in)
{
	uint8_t frame[2048];
	size_t len = fuzz_take(in, 2) % sizeof(frame);
	bool takes = fuzz_pick(in, 2);

	memset(frame, (int)fuzz_take(in, 1), sizeof(frame));
	/* Full or empty is nothing to care about. */
	while (takes && recv(s->wire, frame, sizeof(frame), 0) > 0)
		;
	if (!takes && send(s->wire, frame, len, 0) < 0)
		return;
}

static void use_terminal(struct scene *s, struct fuzz_input *in)
{
	static const uint8_t text[] = "poweroff\n";

	unsigned port = fuzz_pick(in, 2) ? VIRTIO_CONSOLE_FIRST_STREAM : VIRTIO_CONSOLE_PORT;

	switch (fuzz_pick(in, 4)) {
	case 0:
		virtio_console_input(s->devs[CONSOLE], port, text, sizeof(text));
		break;
	case 1:
		virtio_console_resize(s->devs[CONSOLE], (uint16_t)fuzz_take(in, 1), 25);
		break;
	case 2:
		virtio_console_hang_up(s->devs[CONSOLE], VIRTIO_CONSOLE_FIRST_STREAM);
		break;
	default:
		s->room = fuzz_take(in, 2);
		virtio_console_output_ready(s->devs[CONSOLE], port);
		break;
	}
}

/* --- The script ------------------------------------------------------------------------------- */

static void step(struct scene *s, struct fuzz_input *in)
{
	unsigned which = fuzz_pick(in, DEVICES);
	unsigned queue = fuzz_pick(in, s->devs[which]->queue_count);
	uint64_t value;

	switch (fuzz_pick(in, 24)) {
	case 0:
	case 1:
		bring_up(s, in, which);
		break;
	case 2:
		if (!fuzz_pick(in, 16))
			pci_bus_reset(&s->rig.bus);
		break;
	case 3:
		access_config(s, in, which);
		break;
	case 4:
	case 5:
	case 6:
		access_bar(s, in, which);
		break;
	case 7:
		use_wire(s, in);
		break;
	case 8:
		use_terminal(s, in);
		break;
	case 9:
		value = fuzz_take(in, 8);
		put(s, fuzz_take(in, 3) % RAM_END, &value, sizeof(value));
		break;
	case 10:
		write_any_desc(s, in, which, queue);
		break;
	case 11:
		make_available(s, which, queue, (uint16_t)fuzz_pick(in, 20));
		break;
	case 12:
	case 13:
	case 14:
		add_blk_request(s, in);
		break;
	case 15:
	case 16:
	case 17:
		add_buffers(s, in, which, queue);
		break;
	case 18:
	case 19:
		kick(s, which, queue);
		break;
	default:
		kick(s, which, queue);
		dispatch(s);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct scene s;
	unsigned fds;

	if (!s.mem.count)
		make_ram(&s.mem);
	memset(s.mem.base, 0, s.mem.size);
	fds = fake_open_fds();
	s.room = 0;
	build(&s);
	while (in.left) {
		step(&s, &in);
		for (unsigned i = 0; i < DEVICES; i++)
			check_device(s.devs[i]);
		check_kicks(&s);
	}
	destroy(&s);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
