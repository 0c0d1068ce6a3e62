/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 8: a virtqueue by hand: two requests at once, one of them in two pieces. */
#include "virtio.h"

enum { SIZE = 4 };

/* The three parts of a split ring, each where its alignment allows (virtio 1.2 §2.7). */
static struct descriptor desc[SIZE] __attribute__((aligned(16)));
static volatile struct {
	uint16_t flags, index, ring[SIZE];
} avail; /* the driver writes */
static volatile struct {
	uint16_t flags, index;
	struct {
		uint32_t id, len;
	} ring[SIZE];
} used __attribute__((aligned(4))); /* the device writes */

static uint8_t first[32], second[8], third[16];

int main(const void *handoff)
{
	struct virtio rng;
	uintptr_t bell;

	(void)handoff;
	virtio_find(&rng, VIRTIO_RNG);
	check(virtio_negotiate(&rng, 0) & FEATURES_OK);
	write16(rng.common + QUEUE_SELECT, 0);
	write16(rng.common + QUEUE_SIZE, SIZE);
	write32(rng.common + QUEUE_DESC, (uint32_t)(uintptr_t)desc);
	write32(rng.common + QUEUE_DRIVER, (uint32_t)(uintptr_t)&avail);
	write32(rng.common + QUEUE_DEVICE, (uint32_t)(uintptr_t)&used);
	write16(rng.common + QUEUE_ENABLE, 1);
	bell = rng.notify + read16(rng.common + QUEUE_NOTIFY_OFF) * rng.notify_multiplier;
	virtio_set_ready(&rng);

	/* One request of 32 bytes, and one of 8 + 16 whose pieces are chained. */
	desc[0] = (struct descriptor){ (uintptr_t)first, 32, DESC_WRITE, 0 };
	desc[1] = (struct descriptor){ (uintptr_t)second, 8, DESC_WRITE | DESC_NEXT, 3 };
	desc[3] = (struct descriptor){ (uintptr_t)third, 16, DESC_WRITE, 0 };
	avail.ring[0] = 0; /* the heads of both chains */
	avail.ring[1] = 1;
	order_writes();
	avail.index = 2; /* the device may look from here on */
	order_writes();
	write16(bell, 0);

	while (used.index != 2)
		relax();
	order_reads();
	for (unsigned i = 0; i < 2; i++) {
		print("chain ");
		print_number(used.ring[i].id);
		print(": ");
		print_number(used.ring[i].len);
		print(" bytes\n");
	}
	return 0;
}
