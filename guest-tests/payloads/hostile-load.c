/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endless work for the machine's devices, from every CPU. The command line selects the work and has
 * the number of CPUs. Prints "go" when it begins; the run has to be ended from outside.
 *
 *	kinglet run hostile-load.elf --cpus 4 --append 'disk 4' --disk big.img --timeout 2s
 */
#include "cpus.h"
#include "irq.h"
#include "virtio.h"

enum { DEVICES = 4 };

static struct virtio devices[DEVICES];
static struct ring rings[DEVICES][VIRTIO_QUEUES];
static unsigned device_count;
static uint8_t buffer[4096];

static void find_all(void)
{
	static const uint32_t ids[DEVICES] = { VIRTIO_RNG, VIRTIO_CONSOLE, VIRTIO_BLK, VIRTIO_NET };

	for (unsigned i = 0; i < DEVICES; i++)
		if (pci_look_for(ids[i]) < PCI_SLOTS)
			virtio_find(&devices[device_count++], ids[i]);
	check(device_count);
}

/* The device may be in any state: other CPUs do the same concurrently. */
static void start(unsigned i, uint16_t vector)
{
	struct virtio *v = &devices[i];

	write8(v->common + DEVICE_STATUS, 0);
	virtio_negotiate(v, 0);
	for (uint16_t queue = 0; queue < VIRTIO_QUEUES; queue++) {
		volatile struct ring *r = &rings[i][queue];

		virtio_set_queue(v, queue, r, vector);
		for (uint16_t d = 0; d < RING_SIZE; d++)
			r->desc[d] = (struct descriptor){
				(uintptr_t)buffer, sizeof(buffer), queue == 1 ? 0 : DESC_WRITE, 0
			};
	}
	write8(v->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void start_all(void)
{
	find_all();
	for (unsigned i = 0; i < device_count; i++)
		start(i, NO_VECTOR);
}

/* As many requests as fit into the ring. */
static void fill(volatile struct ring *r)
{
	for (uint16_t d = 0; d < RING_SIZE; d++)
		r->avail.ring[d] = d;
	order_writes();
	r->avail.index = (uint16_t)(r->used.index + RING_SIZE);
}

/* --- The loads: what is done once, then what every CPU repeats ------------------------ */

static void flood(void)
{
	print("all work and no play makes a console log that is long and that tells nothing new\n");
}

static void kick_all(void)
{
	for (unsigned i = 0; i < device_count; i++) {
		for (uint16_t queue = 0; queue < VIRTIO_QUEUES; queue++) {
			fill(&rings[i][queue]);
			virtio_kick(&devices[i], queue);
		}
	}
}

static void move_bars(void)
{
	for (unsigned i = 0; i < device_count; i++) {
		unsigned slot = devices[i].slot;

		write16(pci_ecam(slot, PCI_COMMAND), 0);
		write32(pci_ecam(slot, PCI_BAR0), (uint32_t)(pci_new_home + (i << 20)));
		write32(pci_ecam(slot, PCI_BAR0 + 4), 0);
		write16(pci_ecam(slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
}

static void reset_all(void)
{
	for (unsigned i = 0; i < device_count; i++) {
		start(i, NO_VECTOR);
		fill(&rings[i][0]);
		virtio_kick(&devices[i], 0);
		write8(devices[i].common + DEVICE_STATUS, 0);
	}
}

static void ignore(void)
{
}

static void begin_masks(void)
{
	irq_init();
	find_all();
	for (unsigned i = 0; i < device_count; i++) {
		struct irq_message message = irq_message(devices[i].slot, 0, ignore);

		write16(pci_ecam(devices[i].slot, devices[i].msix + MSIX_CONTROL), MSIX_ENABLE);
		write32(devices[i].msix_table, (uint32_t)message.address);
		write32(devices[i].msix_table + 4, (uint32_t)(message.address >> 32));
		write32(devices[i].msix_table + 8, message.data);
		start(i, 0);
	}
}

static void toggle_masks(void)
{
	kick_all();
	for (unsigned i = 0; i < device_count; i++) {
		struct virtio *v = &devices[i];

		write32(v->msix_table + MSIX_ENTRY_CONTROL, 0);
		write32(v->msix_table + MSIX_ENTRY_CONTROL, 1);
		write16(pci_ecam(v->slot, v->msix + MSIX_CONTROL), MSIX_ENABLE | MSIX_MASK_ALL);
		write16(pci_ecam(v->slot, v->msix + MSIX_CONTROL), MSIX_ENABLE);
	}
}

/* virtio 1.2 §5.2.6: 126 segments of 32 MiB, nearly 4 GiB, all of the same RAM. */
enum { SEGMENTS = 126, SEGMENT = 32 << 20, TABLE = SEGMENTS + 2 };

static void begin_disk(void)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	static uint8_t status;
	static struct descriptor table[TABLE] __attribute__((aligned(16)));
	volatile struct ring *r = &rings[0][0];

	virtio_find(&devices[0], VIRTIO_BLK);
	table[0] = (struct descriptor){ (uintptr_t)&header, sizeof(header), DESC_NEXT, 1 };
	for (uint16_t i = 1; i <= SEGMENTS; i++)
		table[i] = (struct descriptor){ ram_base + SEGMENT, SEGMENT,
						DESC_NEXT | DESC_WRITE, (uint16_t)(i + 1) };
	table[TABLE - 1] = (struct descriptor){ (uintptr_t)&status, 1, DESC_WRITE, 0 };
	check(virtio_negotiate(&devices[0], FEATURE_INDIRECT) & FEATURES_OK);
	virtio_set_queue(&devices[0], 0, r, NO_VECTOR);
	for (uint16_t d = 0; d < RING_SIZE; d++)
		r->desc[d] = (struct descriptor){ (uintptr_t)table, sizeof(table), DESC_INDIRECT,
						  0 };
	virtio_set_ready(&devices[0]);
	fill(r);
	virtio_kick(&devices[0], 0);
}

static void wait(void)
{
	relax();
}

/* A reset drains the requests in flight. */
static void begin_again(void)
{
	virtio_reset(&devices[0]);
	begin_disk();
}

/* §5.1.6.5.6: the number of queue pairs, changed with each command. */
static void begin_pairs(void)
{
	enum { FEATURE_CTRL_VQ = 1 << 17, FEATURE_MQ = 1 << 22 };
	static struct {
		uint8_t class, command;
		uint16_t pairs;
	} __attribute__((packed)) commands[2] = { { 4, 0, 1 }, { 4, 0, 16 } };
	static uint8_t acks[2];
	struct virtio *v = &devices[0];
	volatile struct ring *r = &rings[0][0];
	uint16_t control;

	virtio_find(v, VIRTIO_NET);
	check(virtio_negotiate(v, FEATURE_CTRL_VQ | FEATURE_MQ) & FEATURES_OK);
	control = read16(v->common + NUM_QUEUES) - 1;
	check(control == 32);
	virtio_set_queue(v, control, r, NO_VECTOR);
	for (uint16_t d = 0; d < RING_SIZE; d += 2) {
		unsigned n = d / 2 % 2;

		r->desc[d] = (struct descriptor){ (uintptr_t)&commands[n], 4, DESC_NEXT, d + 1 };
		r->desc[d + 1] = (struct descriptor){ (uintptr_t)&acks[n], 1, DESC_WRITE, 0 };
	}
	virtio_set_ready(v);
}

static void change_pairs(void)
{
	enum { CONTROL = 32 };
	volatile struct ring *r = &rings[0][0];

	for (uint16_t d = 0; d < RING_SIZE; d++)
		r->avail.ring[d] = d & ~1u;
	order_writes();
	r->avail.index = (uint16_t)(r->used.index + RING_SIZE);
	virtio_kick(&devices[0], CONTROL);
}

/* Each time the log has a line, until the log is limited. */
static void break_all(void)
{
	for (unsigned i = 0; i < device_count; i++) {
		start(i, NO_VECTOR);
		rings[i][0].desc[0].len = UINT32_MAX;
		fill(&rings[i][0]);
		virtio_kick(&devices[i], 0);
	}
	flood();
}

static const struct load {
	const char *name;
	void (*begin)(void); /* or NULL */
	void (*step)(void);
	bool once; /* the other CPUs idle */
} loads[] = {
	{ "flood", NULL, flood, false },
	{ "kick", start_all, kick_all, false },
	{ "bar", start_all, move_bars, false },
	{ "reset", start_all, reset_all, false },
	{ "mask", begin_masks, toggle_masks, false },
	{ "disk", begin_disk, wait, false },
	{ "disk-reset", begin_disk, begin_again, true },
	{ "pairs", begin_pairs, change_pairs, false },
	{ "broken", start_all, break_all, false },
};
enum { LOADS = sizeof(loads) / sizeof(loads[0]) };

static const struct load *load;

static void work(void)
{
	for (;;)
		load->step();
}

static void stand_by(void)
{
	for (;;)
		relax();
}

/* Splits "NAME CPUS". */
static unsigned parse(const char *text)
{
	static char name[16];
	unsigned len = 0;

	while (text[len] && text[len] != ' ' && len < sizeof(name) - 1) {
		name[len] = text[len];
		len++;
	}
	for (unsigned i = 0; i < LOADS; i++)
		if (same_text(loads[i].name, name))
			load = &loads[i];
	check(load);
	return text[len] ? parse_number(text + len + 1) : 1;
}

int main(const void *handoff)
{
	unsigned cpus = parse(command_line(handoff));

	irq_init();
	if (load->begin)
		load->begin();
	print("go\n"); /* before others print, too */
	for (unsigned n = 1; n < cpus; n++)
		check(cpu_start(n, load->once ? stand_by : work) == 0);
	work();
	return 0;
}
