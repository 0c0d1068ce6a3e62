/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card, a disk and a SCSI disk, whichever is present, reset three times with requests in
 * flight: by their status register, by function-level reset, and by clearing bus mastering, as a
 * kernel does before kexec. Each time they restart in other memory; no byte of the old memory may
 * change any more. Then the machine is rebooted under load for each 'r' of serial input; 'q' ends.
 *
 * The tap has the address 10.9.0.1, for which the card keeps asking; the disks hold "kinglet\n"
 * throughout.
 *
 *	printf rrq | kinglet run resets.elf --net tap=tap0 --scsi path=disk.img --on-reboot restart
 */
#include "irq.h"
#include "virtio.h"

enum {
	RESETS = 3, /* one of each kind */
	NET_RX = 0,
	NET_TX = 1,
	NET_HEADER = 12,
	FRAME = NET_HEADER + 1514, /* the largest */
	QUESTION = NET_HEADER + 42,
	FRAMES = 50, /* each way before a reset */
	BLK_REQUESTS = 0, /* the queues */
	SCSI_REQUESTS = 2,
	BLK_SECTORS = 128,
	SCSI_SECTORS = 1024,
	COMMANDS = 10, /* before a reset */
	PATTERN = 0x5a,
};

/* §5.2.6: all zero it reads from sector 0 on. */
struct blk_request {
	uint32_t type, reserved;
	uint64_t sector;
};

/* §5.6.6.1, as long as the configuration space says at power-on. */
struct scsi_request {
	uint8_t lun[8];
	uint64_t id;
	uint8_t attributes[3];
	uint8_t cdb[32];
} __attribute__((packed));

struct scsi_response {
	uint32_t sense_len, residual;
	uint16_t status_qualifier;
	uint8_t status, response, sense[96];
} __attribute__((packed));

/* A chain of three descriptors, so the ring has room for two. */
enum { CHAIN = 3, DEPTH = RING_SIZE / CHAIN };

/* All memory that devices may write to between two resets. */
static struct area {
	struct ring net[2], blk, scsi;
	uint8_t received[RING_SIZE][FRAME], sent[RING_SIZE][QUESTION];
	uint8_t statuses[DEPTH];
	struct scsi_response responses[DEPTH];
	uint8_t blk_data[DEPTH][BLK_SECTORS * 512] __attribute__((aligned(8)));
	uint8_t scsi_data[DEPTH][SCSI_SECTORS * 512] __attribute__((aligned(8)));
} areas[2] __attribute__((aligned(4096)));

static struct area *area;
/* RFC 826: an Ethernet broadcast, "who has 10.9.0.1? Tell 10.9.0.2". */
static const uint8_t question[QUESTION] = {
	[NET_HEADER] =
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 2, 0x08, 0x06,
	0, 1, 0x08, 0x00, 6, 4, 0, 1,
	0x52, 0x54, 0, 0, 0, 2, 10, 9, 0, 2,
	0, 0, 0, 0, 0, 0, 10, 9, 0, 1,
};
static const struct blk_request blk_request;
static struct scsi_request request;
static volatile unsigned interrupts, keys;
static volatile uint8_t key;

static void arrived(void)
{
	interrupts++;
}

static void key_pressed(void)
{
	key = serial_read(SERIAL_DATA);
	keys++;
}

/* A device with its MSI-X vector 0 for all queues, accepted up to FEATURES_OK. */
static void introduce(struct virtio *v)
{
	struct irq_message message = irq_message(v->slot, 0, arrived);

	write16(pci_ecam(v->slot, v->msix + MSIX_CONTROL), MSIX_ENABLE);
	check(virtio_negotiate(v, 0) & FEATURES_OK);
	write32(v->msix_table + MSIX_ENTRY_CONTROL, 1);
	write32(v->msix_table, (uint32_t)message.address);
	write32(v->msix_table + 4, (uint32_t)(message.address >> 32));
	write32(v->msix_table + 8, message.data);
	write32(v->msix_table + MSIX_ENTRY_CONTROL, 0);
}

/*
 * The head of the next chain that the device has used. An interrupt after the check of the ring
 * also comes after `before` was read.
 */
static uint32_t await_used(volatile struct ring *r, uint16_t *seen)
{
	for (;;) {
		unsigned before = interrupts;

		if (r->used.index != *seen) {
			order_reads();
			return r->used.ring[(*seen)++ % RING_SIZE].id;
		}
		irq_wait(&interrupts, before);
	}
}

/* --- Network --- */

/* Written anew each time: passt makes a question in shared memory into its answer. */
static void ask(uint16_t i)
{
	memcpy(area->sent[i], question, QUESTION);
	ring_add(&area->net[NET_TX], i);
}

static void net_start(struct virtio *v)
{
	introduce(v);
	virtio_set_queue(v, NET_RX, &area->net[NET_RX], 0);
	virtio_set_queue(v, NET_TX, &area->net[NET_TX], 0);
	virtio_set_ready(v);
	for (uint16_t i = 0; i < RING_SIZE; i++) {
		area->net[NET_TX].desc[i] = (struct descriptor){
			(uintptr_t)area->sent[i], QUESTION, 0, 0
		};
		area->net[NET_RX].desc[i] = (struct descriptor){
			(uintptr_t)area->received[i], FRAME, DESC_WRITE, 0
		};
		ask(i);
		ring_add(&area->net[NET_RX], i);
	}
	virtio_kick(v, NET_TX);
	virtio_kick(v, NET_RX);
}

/* Leaves the rings with work for the device. */
static void net_work(struct virtio *v)
{
	uint16_t seen[2] = { 0, 0 };

	for (unsigned i = 0; i < FRAMES; i++) {
		ring_add(&area->net[NET_RX],
			 (uint16_t)await_used(&area->net[NET_RX], &seen[NET_RX]));
		virtio_kick(v, NET_RX);
		ask((uint16_t)await_used(&area->net[NET_TX], &seen[NET_TX]));
		virtio_kick(v, NET_TX);
	}
}

/* --- Disks --- */

static void expect_words(const void *at, size_t len, uint64_t word)
{
	for (const uint64_t *w = at; len; w++, len -= sizeof(*w))
		check(*w == word);
}

static void check_data(uint8_t *data, size_t len)
{
	uint64_t word;

	memcpy(&word, "kinglet\n", sizeof(word));
	expect_words(data, len, word);
	data[0] = data[len - 1] = 0;
}

/* A request and the two that the device writes to. */
static void add_chain(volatile struct ring *r, uint16_t i, struct descriptor out,
		      struct descriptor in, struct descriptor last)
{
	uint16_t head = i * CHAIN;

	r->desc[head] = (struct descriptor){ out.address, out.len, DESC_NEXT, head + 1 };
	r->desc[head + 1] = (struct descriptor){ in.address, in.len, DESC_NEXT | DESC_WRITE,
						 head + 2 };
	r->desc[head + 2] = (struct descriptor){ last.address, last.len, DESC_WRITE, 0 };
	ring_add(r, head);
}

#define PIECE(what) (struct descriptor){ (uintptr_t)&(what), sizeof(what), 0, 0 }

static void disk_work(struct virtio *v, uint16_t queue, volatile struct ring *r,
		      void (*check_answer)(unsigned i))
{
	uint16_t seen = 0;

	for (unsigned i = 0; i < COMMANDS; i++) {
		uint16_t head = (uint16_t)await_used(r, &seen);

		check_answer(head / CHAIN);
		ring_add(r, head);
		virtio_kick(v, queue);
	}
}

static void blk_start(struct virtio *v)
{
	introduce(v);
	virtio_set_queue(v, BLK_REQUESTS, &area->blk, 0);
	virtio_set_ready(v);
	for (uint16_t i = 0; i < DEPTH; i++)
		add_chain(&area->blk, i, PIECE(blk_request), PIECE(area->blk_data[i]),
			  PIECE(area->statuses[i]));
	virtio_kick(v, BLK_REQUESTS);
}

static void blk_check(unsigned i)
{
	check(area->statuses[i] == 0);
	check_data(area->blk_data[i], sizeof(area->blk_data[i]));
	area->statuses[i] = 0xff;
}

static void blk_work(struct virtio *v)
{
	disk_work(v, BLK_REQUESTS, &area->blk, blk_check);
}

static void scsi_start(struct virtio *v)
{
	introduce(v);
	virtio_set_queue(v, SCSI_REQUESTS, &area->scsi, 0);
	virtio_set_ready(v);
	/* §5.6.6.1: target 1, LUN 0; READ(10) from block 0 on. */
	request = (struct scsi_request){
		.lun = { 1, 1, 0x40 },
		.cdb = { 0x28, [7] = SCSI_SECTORS >> 8, [8] = SCSI_SECTORS & 0xff },
	};
	for (uint16_t i = 0; i < DEPTH; i++)
		add_chain(&area->scsi, i, PIECE(request), PIECE(area->responses[i]),
			  PIECE(area->scsi_data[i]));
	virtio_kick(v, SCSI_REQUESTS);
}

static void scsi_check(unsigned i)
{
	check(area->responses[i].response == 0 && area->responses[i].status == 0);
	check(area->responses[i].residual == 0);
	check_data(area->scsi_data[i], sizeof(area->scsi_data[i]));
	area->responses[i].response = 0xff;
}

static void scsi_work(struct virtio *v)
{
	disk_work(v, SCSI_REQUESTS, &area->scsi, scsi_check);
}

/* --- All devices --- */

static const struct driver {
	uint32_t id;
	void (*start)(struct virtio *v);
	void (*work)(struct virtio *v);
} drivers[] = {
	{ VIRTIO_NET, net_start, net_work },
	{ VIRTIO_BLK, blk_start, blk_work },
	{ VIRTIO_SCSI, scsi_start, scsi_work },
};
enum { DRIVERS = sizeof(drivers) / sizeof(drivers[0]) };

static struct virtio devices[DRIVERS];
static bool present[DRIVERS];

static void find_all(void)
{
	for (unsigned i = 0; i < DRIVERS; i++) {
		present[i] = pci_look_for(drivers[i].id) < PCI_SLOTS;
		if (present[i])
			virtio_find(&devices[i], drivers[i].id);
	}
}

static void start_all(unsigned round)
{
	area = &areas[round % 2];
	for (unsigned i = 0; i < DRIVERS; i++)
		if (present[i])
			drivers[i].start(&devices[i]);
	for (unsigned i = 0; i < DRIVERS; i++)
		if (present[i])
			drivers[i].work(&devices[i]);
}

/* Clears its BAR and everything else in configuration space. */
static void reset_function(unsigned slot)
{
	unsigned af = pci_next_cap(slot, 0, PCI_CAP_AF);
	uint32_t low = read32(pci_ecam(slot, PCI_BAR0)), high = read32(pci_ecam(slot, PCI_BAR0 + 4));

	check(af);
	write8(pci_ecam(slot, af + 4), 1);
	check(!(read16(pci_ecam(slot, PCI_COMMAND)) & PCI_COMMAND_MEMORY));
	write32(pci_ecam(slot, PCI_BAR0), low);
	write32(pci_ecam(slot, PCI_BAR0 + 4), high);
}

/* The device is kicked and must not work; nor when the next kernel has found it. */
static void take_bus(struct virtio *v)
{
	write16(pci_ecam(v->slot, PCI_COMMAND), PCI_COMMAND_MEMORY);
	for (uint16_t queue = 0; queue < VIRTIO_QUEUES; queue++)
		virtio_kick(v, queue);
	check(!(read8(v->common + DEVICE_STATUS) & (DRIVER_OK | NEEDS_RESET)));
}

static void reset_all(unsigned round)
{
	for (unsigned i = 0; i < DRIVERS; i++) {
		if (!present[i])
			continue;
		if (round % 3 == 0)
			virtio_reset(&devices[i]);
		else if (round % 3 == 1)
			reset_function(devices[i].slot);
		else
			take_bus(&devices[i]);
		virtio_find(&devices[i], drivers[i].id);
		check(round % 3 == 2 || read8(devices[i].common + DEVICE_STATUS) == 0);
	}
}

/* Sleeps while it waits: others need the CPU. */
static uint8_t next_byte(void)
{
	irq_wire(SERIAL_IRQ, key_pressed);
	serial_write(SERIAL_INTERRUPT_ENABLE, 1);
	irq_wait(&keys, 0);
	return key;
}

int main(const void *handoff)
{
	const uint64_t pattern = PATTERN * 0x0101010101010101;

	(void)handoff;
	expect_words(areas, sizeof(areas), 0);
	irq_init();
	find_all();
	start_all(0);
	for (unsigned round = 0; round < RESETS; round++) {
		struct area *old = area;

		reset_all(round);
		memset(old, PATTERN, sizeof(*old));
		start_all(round + 1);
		expect_words(old, sizeof(*old), pattern);
	}
	print("works\n");
	if (next_byte() == 'r') {
		start_all(0);
		machine_reset();
		sleep_forever();
	}
	return 0;
}
