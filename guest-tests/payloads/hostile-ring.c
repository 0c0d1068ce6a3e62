/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that breaks every rule of the virtqueue. Each time the device must set
 * DEVICE_NEEDS_RESET (§2.1.1), write nothing, and work again after that reset; and the machine must
 * run on.
 *
 *	kinglet run hostile-ring.elf
 */
#include "virtio.h"

static struct virtio rng;
static uint8_t buffer[64];

static uint64_t own_bar;

/* The index last: the device may look at the ring at any time, kicked or not. */
static void offer(uint16_t head)
{
	rng.ring->avail.ring[0] = head;
	order_writes();
	rng.ring->avail.index = 1;
}

static void one_descriptor(uint64_t address, uint32_t len, uint16_t flags, uint16_t next)
{
	rng.ring->desc[0] = (struct descriptor){ address, len, flags, next };
	offer(0);
}

/* --- Chains (§2.7.5) --- */

static void loop_to_itself(void)
{
	one_descriptor((uintptr_t)buffer, 1, DESC_WRITE | DESC_NEXT, 0);
}

static void loop_of_nothing(void)
{
	rng.ring->desc[1] = (struct descriptor){ 0, 0, DESC_WRITE | DESC_NEXT, 0 };
	one_descriptor((uintptr_t)buffer, 0, DESC_WRITE | DESC_NEXT, 1);
}

static void next_beyond_table(void)
{
	one_descriptor((uintptr_t)buffer, 1, DESC_WRITE | DESC_NEXT, RING_SIZE);
}

static void head_beyond_table(void)
{
	offer(0xffff);
}

static void buffer_outside_ram(void)
{
	one_descriptor(no_ram, 64, DESC_WRITE, 0);
}

static void buffer_is_own_bar(void)
{
	one_descriptor(own_bar, 64, DESC_WRITE, 0);
}

static void buffer_wraps(void)
{
	one_descriptor(UINT64_MAX - 15, 64, DESC_WRITE, 0);
}

static void buffer_of_4_gib(void)
{
	one_descriptor((uintptr_t)buffer, UINT32_MAX, DESC_WRITE, 0);
}

static void readable_after_writable(void)
{
	rng.ring->desc[1] = (struct descriptor){ (uintptr_t)buffer, 8, 0, 0 };
	one_descriptor((uintptr_t)buffer, 8, DESC_WRITE | DESC_NEXT, 1);
}

static void nothing_to_fill(void)
{
	one_descriptor((uintptr_t)buffer, 64, 0, 0);
}

/* --- The available index (§2.7.6): it may be at most the ring's size ahead --- */

static void index_jumps(void)
{
	rng.ring->avail.index = RING_SIZE + 1;
}

static void index_goes_back(void)
{
	rng.ring->avail.index = 0xffff;
}

/* --- Indirect tables (§2.7.5.3) --- */

static struct descriptor table[4] __attribute__((aligned(16)));

static void indirect_table(uint64_t address, uint32_t len, uint16_t flags)
{
	table[0] = (struct descriptor){ (uintptr_t)buffer, 8, DESC_WRITE, 0 };
	one_descriptor(address, len, flags, 1);
}

static void indirect(void)
{
	indirect_table((uintptr_t)table, sizeof(table), DESC_INDIRECT);
}

static void indirect_and_next(void)
{
	indirect_table((uintptr_t)table, sizeof(table), DESC_INDIRECT | DESC_NEXT);
}

static void indirect_empty(void)
{
	indirect_table((uintptr_t)table, 0, DESC_INDIRECT);
}

static void indirect_odd_size(void)
{
	indirect_table((uintptr_t)table, 17, DESC_INDIRECT);
}

static void indirect_huge(void)
{
	indirect_table(0, 0xfffffff0, DESC_INDIRECT);
}

static void indirect_outside_ram(void)
{
	indirect_table(no_ram, sizeof(table), DESC_INDIRECT);
}

static void indirect_nested(void)
{
	table[0] = (struct descriptor){ (uintptr_t)table, sizeof(table), DESC_INDIRECT, 0 };
	one_descriptor((uintptr_t)table, sizeof(table), DESC_INDIRECT, 0);
}

static void indirect_loop(void)
{
	table[0] = (struct descriptor){ (uintptr_t)buffer, 8, DESC_WRITE | DESC_NEXT, 1 };
	table[1] = (struct descriptor){ (uintptr_t)buffer, 8, DESC_WRITE | DESC_NEXT, 0 };
	one_descriptor((uintptr_t)table, sizeof(table), DESC_INDIRECT, 0);
}

static const struct attack {
	const char *name;
	void (*mount)(void);
	uint32_t features;
} attacks[] = {
	{ "loop to itself", loop_to_itself, 0 },
	{ "loop of empty buffers", loop_of_nothing, 0 },
	{ "next beyond the table", next_beyond_table, 0 },
	{ "head beyond the table", head_beyond_table, 0 },
	{ "buffer outside RAM", buffer_outside_ram, 0 },
	{ "buffer in the device's own BAR", buffer_is_own_bar, 0 },
	{ "buffer that wraps", buffer_wraps, 0 },
	{ "buffer longer than RAM", buffer_of_4_gib, 0 },
	{ "readable behind writable", readable_after_writable, 0 },
	{ "nothing to fill", nothing_to_fill, 0 },
	{ "available index too far ahead", index_jumps, 0 },
	{ "available index before the used one", index_goes_back, 0 },
	{ "indirect without the feature", indirect, 0 },
	{ "indirect and next", indirect_and_next, FEATURE_INDIRECT },
	{ "indirect, empty", indirect_empty, FEATURE_INDIRECT },
	{ "indirect, odd size", indirect_odd_size, FEATURE_INDIRECT },
	{ "indirect, huge", indirect_huge, FEATURE_INDIRECT },
	{ "indirect outside RAM", indirect_outside_ram, FEATURE_INDIRECT },
	{ "indirect in indirect", indirect_nested, FEATURE_INDIRECT },
	{ "indirect loop", indirect_loop, FEATURE_INDIRECT },
};

static void kick(void)
{
	order_writes();
	write16(rng.notify, 0);
}

static void expect_needs_reset(const char *name)
{
	for (unsigned tries = 0; tries < 10000000; tries++)
		if (read8(rng.common + DEVICE_STATUS) & NEEDS_RESET)
			return;
	print(name);
	print(": ");
	fail(__FILE__, __LINE__, "the device needs a reset");
}

static void expect_works(void)
{
	virtio_start(&rng, 0);
	virtio_fill(&rng, buffer, sizeof(buffer));
}

static void run(const struct attack *attack)
{
	virtio_start(&rng, attack->features);
	attack->mount();
	kick();
	expect_needs_reset(attack->name);
	check(rng.ring->used.index == 0);
	kick(); /* the device does not run */
	check(read8(rng.common + DEVICE_STATUS) & NEEDS_RESET);
	expect_works();
}

/* A ring outside RAM is detected when the device is started. */
static void test_ring_addresses(void)
{
	const struct {
		unsigned reg;
		uint64_t address;
	} bad[] = {
		{ QUEUE_DESC, no_ram },
		{ QUEUE_DRIVER, own_bar },
		{ QUEUE_DEVICE, no_ram },
		{ QUEUE_DESC, UINT64_MAX - 15 },
		{ QUEUE_DEVICE, ram_base + 0x100002 },
		{ QUEUE_DESC, ram_base + 0x100008 },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check(virtio_negotiate(&rng, 0) & FEATURES_OK);
		write32(rng.common + bad[i].reg, (uint32_t)bad[i].address);
		write32(rng.common + bad[i].reg + 4, (uint32_t)(bad[i].address >> 32));
		write16(rng.common + QUEUE_ENABLE, 1);
		write8(rng.common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
		expect_needs_reset("ring address");
		expect_works();
	}
}

/* Registers keep their value when the driver may not write them. */
static void test_registers(void)
{
	virtio_start(&rng, 0);
	write16(rng.common + QUEUE_SIZE, 4);
	check(read16(rng.common + QUEUE_SIZE) == RING_SIZE);
	write32(rng.common + QUEUE_DESC, 0);
	check(read32(rng.common + QUEUE_DESC) == (uintptr_t)rng.ring);
	write16(rng.common + QUEUE_SELECT, 1000);
	check(read16(rng.common + QUEUE_SIZE) == 0);
	write16(rng.common + QUEUE_ENABLE, 1);
	write16(rng.common + QUEUE_MSIX_VECTOR, 0);
	check(read16(rng.common + QUEUE_MSIX_VECTOR) == 0xffff);
	write16(rng.common + QUEUE_SELECT, 0);
	virtio_fill(&rng, buffer, sizeof(buffer));

	virtio_reset(&rng);
	write16(rng.common + QUEUE_SIZE, 7); /* no power of two */
	write16(rng.common + QUEUE_SIZE, 0x8000);
	check(read16(rng.common + QUEUE_SIZE) == 64);
}

/*
 * §3.1.1: a feature that was not offered is refused, and so is DRIVER_OK without negotiation; a
 * driver without VERSION_1 is accepted, as devices may do (§6.1).
 */
static void test_negotiation(void)
{
	check(!(virtio_negotiate(&rng, 1) & FEATURES_OK));
	write8(rng.common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
	expect_needs_reset("DRIVER_OK without FEATURES_OK");

	virtio_reset(&rng);
	write8(rng.common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK); /* no VERSION_1 */
	check(read8(rng.common + DEVICE_STATUS) & FEATURES_OK);
	expect_works();
}

int main(const void *handoff)
{
	(void)handoff;
	virtio_find(&rng, VIRTIO_RNG);
	own_bar = pci_bar(rng.slot);
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		run(&attacks[i]);
	test_ring_addresses();
	test_registers();
	test_negotiation();
	print("ok\n");
	return 0;
}
