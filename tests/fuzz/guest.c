/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include "base/le.h"
#include "virtio/pci.h"

#include <linux/virtio_pci.h>

/* The transport's layout, fixed here; a driver reads it from the capabilities. */
enum { COMMON = 0, ISR = 0x1000, CONFIG = 0x2000, NOTIFY = 0x3000, TABLE = 0x4000, PBA = 0x5000 };

/* RAM: two slots that touch at SEAM. The first has a place for each ring, the second buffers. */
enum { SLOT_LEN = FUZZ_RAM_END / 2, SEAM = SLOT_LEN };
enum { RING_STEP = 0x2000, AVAIL = 0x1000, USED = 0x1400, MAX_QUEUES = 8, MAX_RING = 128 };

static void make_ram(struct gmem *mem, bool shared)
{
	static const struct gmem_range ranges[] = {
		{ .gpa = 0, .len = SLOT_LEN },
		{ .gpa = SEAM, .len = SLOT_LEN },
	};
	const struct gmem_options options = { .shared = shared };

	FUZZ_CHECK(!gmem_init(mem, ranges, ARRAY_SIZE(ranges), &options));
}

void fuzz_guest_init(struct fuzz_guest *g)
{
	if (!g->mem.count)
		make_ram(&g->mem, g->shared);
	memset(g->mem.base, 0, g->mem.size);
	g->count = 0;
	FUZZ_CHECK(!pci_rig_init(&g->rig));
	g->env = (struct virtio_env){
		.mem = &g->mem,
		.loop = &g->rig.loop,
		.irqs = &g->rig.irqs,
		.sys = &g->rig.fake.sys,
	};
}

void fuzz_guest_add(struct fuzz_guest *g, struct virtio_dev *dev)
{
	FUZZ_CHECK(dev && g->count < FUZZ_DEVICES && dev->queue_count <= MAX_QUEUES);
	FUZZ_CHECK(!virtio_pci_add(&g->rig.bus, dev));
	g->devs[g->count++] = dev;
}

void fuzz_guest_destroy(struct fuzz_guest *g)
{
	pci_rig_destroy(&g->rig);
}

static const struct pci_bar *bar_of(const struct fuzz_guest *g, unsigned which)
{
	return &g->rig.bus.devs[1 + which]->bars[0];
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

static bool has_kick(const struct fuzz_guest *g, uint64_t gpa, int fd)
{
	for (unsigned i = 0; i < g->rig.fake.ioeventfd_count; i++)
		if (g->rig.fake.ioeventfds[i].addr == gpa)
			return g->rig.fake.ioeventfds[i].fd == fd;
	return false;
}

/* Each running queue of a mapped device has its ioeventfd in the BAR, and nothing else has one. */
static void check_kicks(const struct fuzz_guest *g)
{
	unsigned expected = 0;

	for (unsigned i = 0; i < g->count; i++)
		for (unsigned q = 0; q < g->devs[i]->queue_count; q++)
			expected += bar_of(g, i)->mapped && g->devs[i]->queues[q].running;
	FUZZ_CHECK(g->rig.fake.ioeventfd_count == expected);
	for (unsigned i = 0; i < g->count; i++)
		for (unsigned q = 0; bar_of(g, i)->mapped && q < g->devs[i]->queue_count; q++)
			FUZZ_CHECK(!g->devs[i]->queues[q].running ||
				   has_kick(g, bar_of(g, i)->region.base + NOTIFY + 4 * q,
					    g->devs[i]->queues[q].kick_fd));
}

void fuzz_guest_check(const struct fuzz_guest *g)
{
	for (unsigned i = 0; i < g->count; i++)
		check_device(g->devs[i]);
	check_kicks(g);
}

/* --- The driver ------------------------------------------------------------------------------- */

static void set(struct fuzz_guest *g, unsigned which, uint64_t off, uint64_t value, unsigned size)
{
	rig_write(&g->rig, bar_of(g, which)->region.base + off, value, size);
}

#define COMMON_SIZE(reg) sizeof(((struct virtio_pci_common_cfg *)NULL)->reg)
#define common_set(g, which, reg, value)                                                           \
	set(g, which, COMMON + offsetof(struct virtio_pci_common_cfg, reg), value, COMMON_SIZE(reg))

void fuzz_put(struct fuzz_guest *g, uint64_t gpa, const void *data, uint64_t len)
{
	/* A guest may write outside RAM. */
	if (gmem_write(&g->mem, gpa, data, len))
		return;
}

static uint64_t ring_of(unsigned which, unsigned queue)
{
	return (uint64_t)(which * MAX_QUEUES + queue) * RING_STEP;
}

static void set_up_queue(struct fuzz_guest *g, struct fuzz_input *in, unsigned which, unsigned queue)
{
	uint64_t ring = ring_of(which, queue);

	common_set(g, which, queue_select, queue);
	common_set(g, which, queue_size, 1U << fuzz_pick(in, 8));
	common_set(g, which, queue_msix_vector, fuzz_pick(in, 12));
	common_set(g, which, queue_desc_lo, ring);
	common_set(g, which, queue_avail_lo, ring + AVAIL);
	common_set(g, which, queue_used_lo, ring + USED);
	common_set(g, which, queue_enable, fuzz_pick(in, 8) != 0);
}

/* virtio 1.2 §3.1.1, as a driver should; the script may then do anything to it. */
static void bring_up(struct fuzz_guest *g, struct fuzz_input *in, unsigned which)
{
	const struct virtio_dev *dev = g->devs[which];
	uint64_t features = fuzz_pick(in, 2) ? UINT64_MAX : fuzz_take(in, 6);

	features = dev->offered & features;
	rig_cfg_write(&g->rig, 1 + which, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	common_set(g, which, device_status, 0);
	common_set(g, which, device_status, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		common_set(g, which, guest_feature_select, word);
		common_set(g, which, guest_feature, features >> 32 * word & UINT32_MAX);
	}
	common_set(g, which, device_status, VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned i = 0; i < dev->queue_count; i++)
		set_up_queue(g, in, which, i);
	common_set(g, which, device_status, VIRTIO_CONFIG_S_DRIVER_OK);
}

void fuzz_kick(struct fuzz_guest *g, unsigned which, unsigned queue)
{
	set(g, which, NOTIFY + 4 * queue, queue, 2);
}

void fuzz_write_desc(struct fuzz_guest *g, unsigned which, unsigned queue, unsigned index,
		       uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	const struct {
		struct le64 addr;
		struct le32 len;
		struct le16 flags, next;
	} d = { le64_of(gpa), le32_of(len), le16_of(flags), le16_of(next) };

	_Static_assert(sizeof(d) == sizeof(struct vring_desc), "virtio 1.2 §2.7.5");
	fuzz_put(g, ring_of(which, queue) + index % MAX_RING * sizeof(d), &d, sizeof(d));
}

void fuzz_make_available(struct fuzz_guest *g, unsigned which, unsigned queue, uint16_t head)
{
	uint64_t avail = ring_of(which, queue) + AVAIL;
	uint16_t size = g->devs[which]->queues[queue].state.size;
	struct le16 index = { 0 }, entry = le16_of(head);

	if (!size || gmem_read(&g->mem, avail + 2, &index, sizeof(index)))
		return;
	fuzz_put(g, avail + 4 + 2 * (le16_get(index) % size), &entry, sizeof(entry));
	index = le16_of(le16_get(index) + 1);
	fuzz_put(g, avail + 2, &index, sizeof(index));
}

uint64_t fuzz_pick_buffer(struct fuzz_input *in)
{
	return fuzz_pick(in, 16) ? SEAM - 0x800 + fuzz_take(in, 2) : fuzz_take(in, 8);
}

/* A chain of one or several buffers, all one way. */
static void add_buffers(struct fuzz_guest *g, struct fuzz_input *in, unsigned which, unsigned queue)
{
	unsigned head = fuzz_pick(in, 16), count = 1 + fuzz_pick(in, 3);
	uint16_t flags = fuzz_pick(in, 2) ? VRING_DESC_F_WRITE : 0;

	for (unsigned i = 0; i < count; i++)
		fuzz_write_desc(g, which, queue, head + i, fuzz_pick_buffer(in), (uint32_t)fuzz_take(in, 2),
			   flags | (i + 1 < count ? VRING_DESC_F_NEXT : 0),
			   (uint16_t)(head + i + 1));
	fuzz_make_available(g, which, queue, (uint16_t)head);
}

static void write_any_desc(struct fuzz_guest *g, struct fuzz_input *in, unsigned which, unsigned queue)
{
	fuzz_write_desc(g, which, queue, fuzz_pick(in, 16), fuzz_pick_buffer(in),
		   (uint32_t)fuzz_take(in, fuzz_pick(in, 4) ? 2 : 4), (uint16_t)fuzz_pick(in, 8),
		   (uint16_t)fuzz_pick(in, 20));
}

static void access_bar(struct fuzz_guest *g, struct fuzz_input *in, unsigned which)
{
	static const uint16_t pages[] = { COMMON, COMMON, COMMON, COMMON, ISR, CONFIG, NOTIFY,
					  TABLE, TABLE, PBA };
	uint64_t off = pages[fuzz_pick(in, ARRAY_SIZE(pages))] + fuzz_take(in, 1) % 0x48;
	unsigned size = fuzz_size(in);

	if (!fuzz_pick(in, 8))
		off = fuzz_take(in, 2);
	if (fuzz_pick(in, 4))
		set(g, which, off, fuzz_take(in, size), size);
	else
		rig_read(&g->rig, bar_of(g, which)->region.base + off, size);
}

static void access_config(struct fuzz_guest *g, struct fuzz_input *in, unsigned which)
{
	unsigned off = (unsigned)fuzz_take(in, 1), size = fuzz_size(in);
	const struct pci_dev *dev = g->rig.bus.devs[1 + which];

	switch (fuzz_pick(in, 8)) {
	case 0: /* the BAR: to the current or old address of another one */
		rig_cfg_write(&g->rig, 1 + which, PCI_BASE_ADDRESS_0,
			      bar_of(g, fuzz_pick(in, g->count))->region.base, 4);
		break;
	case 1:
		rig_cfg_write(&g->rig, 1 + which, PCI_COMMAND, fuzz_take(in, 1), 2);
		break;
	case 2:
		rig_cfg_write(&g->rig, 1 + which, dev->af_cap + PCI_AF_CTRL, fuzz_pick(in, 2), 1);
		break;
	case 3:
		rig_cfg_write(&g->rig, 1 + which, dev->msix->cap + PCI_MSIX_FLAGS,
			      (uint64_t)fuzz_pick(in, 4) << 14, 2);
		break;
	case 4:
		rig_cfg_read(&g->rig, 1 + which, off, size);
		break;
	default:
		rig_cfg_write(&g->rig, 1 + which, off, fuzz_take(in, size), size);
		break;
	}
}

/* --- The script ------------------------------------------------------------------------------- */

/* The limit for a guest that keeps a device busy endlessly. */
enum { MAX_ROUNDS = 50 };

void fuzz_dispatch(struct fuzz_guest *g)
{
	struct epoll_event events[16];
	int n = 1;

	for (unsigned round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		n = epoll_wait(g->rig.loop.epoll_fd, events, ARRAY_SIZE(events), 0);
		for (int i = 0; i < n; i++) {
			struct loop_event *event = events[i].data.ptr;

			event->fn(event, events[i].events);
		}
	}
}

void fuzz_guest_step(struct fuzz_guest *g, struct fuzz_input *in, unsigned which, unsigned queue)
{
	uint64_t value;

	switch (fuzz_pick(in, 18)) {
	case 0:
	case 1:
		bring_up(g, in, which);
		break;
	case 2:
		if (!fuzz_pick(in, 16))
			pci_bus_reset(&g->rig.bus);
		break;
	case 3:
		access_config(g, in, which);
		break;
	case 4:
	case 5:
	case 6:
		access_bar(g, in, which);
		break;
	case 7:
		value = fuzz_take(in, 8);
		fuzz_put(g, fuzz_take(in, 3) % FUZZ_RAM_END, &value, sizeof(value));
		break;
	case 8:
		write_any_desc(g, in, which, queue);
		break;
	case 9:
		fuzz_make_available(g, which, queue, (uint16_t)fuzz_pick(in, 20));
		break;
	case 10:
	case 11:
	case 12:
		add_buffers(g, in, which, queue);
		break;
	case 13:
	case 14:
		fuzz_kick(g, which, queue);
		break;
	default:
		fuzz_kick(g, which, queue);
		fuzz_dispatch(g);
		break;
	}
}
