/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bus.h"
#include "unit.h"

#include <poll.h>
#include <string.h>

/* Sixteen bytes of registers that remember the sizes of accesses. */
struct registers {
	struct bus_region region;
	uint8_t bytes[16];
	unsigned sizes[16];
	unsigned accesses;
};

static uint64_t registers_read(void *owner, uint64_t offset, unsigned size)
{
	struct registers *r = owner;
	uint64_t value = 0;

	assert_true(offset + size <= sizeof(r->bytes));
	r->sizes[r->accesses++ % 16] = size;
	memcpy(&value, r->bytes + offset, size);
	return value;
}

static void registers_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct registers *r = owner;

	assert_true(offset + size <= sizeof(r->bytes));
	r->sizes[r->accesses++ % 16] = size;
	memcpy(r->bytes + offset, &value, size);
}

static const struct bus_ops registers_ops = { .read = registers_read, .write = registers_write };

static void registers_at(struct registers *r, uint64_t base)
{
	*r = (struct registers){
		.region = { .base = base, .len = 16, .ops = &registers_ops, .owner = r },
	};
	for (unsigned i = 0; i < 16; i++)
		r->bytes[i] = (uint8_t)i;
}

static int setup(void **state)
{
	struct bus *bus = malloc(sizeof(*bus));

	assert_int_equal(bus_init(bus), 0);
	*state = bus;
	return 0;
}

static int teardown(void **state)
{
	bus_destroy(*state);
	free(*state);
	return 0;
}

static void test_unmapped_reads_all_ones(void **state)
{
	uint64_t value = 0;

	assert_false(bus_read(*state, 0x1234, &value, 8));
	assert_int_equal(value, UINT64_MAX);
	assert_false(bus_write(*state, 0x1234, &value, 8));
}

static void test_access_across_the_end_is_nobodys(void **state)
{
	struct registers r;
	uint32_t value = 0;

	registers_at(&r, 0x100);
	assert_int_equal(bus_add(*state, &r.region), 0);
	assert_true(bus_read(*state, 0x10c, &value, 4));
	assert_int_equal(value, 0x0f0e0d0c);
	assert_false(bus_read(*state, 0x10d, &value, 4));
	assert_int_equal(value, UINT32_MAX);
	assert_false(bus_write(*state, 0xfe, &value, 4));
	assert_int_equal(r.bytes[0], 0);
}

static void test_odd_sizes_go_byte_by_byte(void **state)
{
	struct registers r;
	uint8_t three[3] = { 0xa, 0xb, 0xc };

	registers_at(&r, 0);
	assert_int_equal(bus_add(*state, &r.region), 0);
	assert_true(bus_write(*state, 5, three, 3));
	assert_int_equal(r.accesses, 3);
	assert_int_equal(r.sizes[0], 1);
	assert_memory_equal(r.bytes + 5, three, 3);
}

static void test_overlap_empty_and_wrapping_are_refused(void **state)
{
	struct registers a, b;

	registers_at(&a, 0x100);
	assert_int_equal(bus_add(*state, &a.region), 0);
	for (uint64_t base = 0xf1; base < 0x110; base++) {
		registers_at(&b, base);
		assert_int_equal(bus_add(*state, &b.region), -EBUSY);
	}
	registers_at(&b, UINT64_MAX - 14);
	assert_int_equal(bus_add(*state, &b.region), -EINVAL);
	b.region.len = 0;
	assert_int_equal(bus_add(*state, &b.region), -EINVAL);
	registers_at(&b, UINT64_MAX - 15);
	assert_int_equal(bus_add(*state, &b.region), 0);
	assert_true(bus_read(*state, UINT64_MAX, &b.bytes, 1));
}

static void test_many_regions_in_any_order(void **state)
{
	static struct registers many[100];
	uint8_t value;

	for (unsigned i = 0; i < 100; i++) {
		unsigned slot = i * 37 % 100;

		registers_at(&many[slot], slot * 32);
		assert_int_equal(bus_add(*state, &many[slot].region), 0);
	}
	for (unsigned i = 0; i < 100; i++) {
		many[i].bytes[3] = (uint8_t)i;
		assert_true(bus_read(*state, i * 32 + 3, &value, 1));
		assert_int_equal(value, i);
		assert_false(bus_read(*state, i * 32 + 16, &value, 1));
	}
	for (unsigned i = 0; i < 100; i += 2)
		bus_remove(*state, &many[i].region);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(bus_read(*state, i * 32, &value, 1), i % 2);
}

/* A BAR write arrives through ECAM: the callback moves a region of the same bus. */
static void move_on_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct {
		struct bus *bus;
		struct registers *moved;
	} *mover = owner;

	(void)offset;
	(void)size;
	bus_remove(mover->bus, &mover->moved->region);
	mover->moved->region.base = value;
	assert_int_equal(bus_add(mover->bus, &mover->moved->region), 0);
}

static void test_callback_may_move_regions_of_its_own_bus(void **state)
{
	static const struct bus_ops mover_ops = { .read = registers_read, .write = move_on_write };
	struct registers moved;
	struct {
		struct bus *bus;
		struct registers *moved;
	} mover = { *state, &moved };
	struct bus_region config = { .base = 0, .len = 4, .ops = &mover_ops, .owner = &mover };
	uint32_t target = 0x5000;

	registers_at(&moved, 0x1000);
	assert_int_equal(bus_add(*state, &moved.region), 0);
	assert_int_equal(bus_add(*state, &config), 0);
	assert_true(bus_write(*state, 0, &target, 4));
	assert_false(bus_read(*state, 0x1000, &target, 4));
	assert_true(bus_read(*state, 0x5000, &target, 4));
}

static void *remove_nothing(void *bus)
{
	struct bus_region absent = { .base = 0 };

	bus_remove(bus, &absent);
	return NULL;
}

static void test_without_handlers_it_reads_zero_and_ignores_writes(void **state)
{
	static const struct bus_ops none = { 0 };
	struct bus_region region = { .base = 0x1000, .len = 16, .ops = &none };
	uint64_t value = UINT64_MAX;

	assert_int_equal(bus_add(*state, &region), 0);
	assert_true(bus_write(*state, 0x1000, &value, 8));
	assert_true(bus_read(*state, 0x1000, &value, 8));
	assert_int_equal(value, 0);
}

/* A look-up that comes while somebody waits to change the table waits behind it. */
static void test_look_ups_cannot_starve_a_change(void **state)
{
	bool behind = false;
	struct bus bus;
	pthread_t writer;

	(void)state;
	assert_int_equal(bus_init(&bus), 0);
	pthread_rwlock_rdlock(&bus.lock); /* a look-up in progress */
	pthread_create(&writer, NULL, remove_nothing, &bus);
	for (int i = 0; i < 1000 && !behind; i++) {
		behind = pthread_rwlock_tryrdlock(&bus.lock);
		if (!behind)
			pthread_rwlock_unlock(&bus.lock);
		poll(NULL, 0, 1); /* the writer is starting to wait */
	}
	pthread_rwlock_unlock(&bus.lock);
	pthread_join(writer, NULL);
	assert_true(behind);
	bus_destroy(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unmapped_reads_all_ones),
		TEST(test_access_across_the_end_is_nobodys),
		TEST(test_odd_sizes_go_byte_by_byte),
		TEST(test_overlap_empty_and_wrapping_are_refused),
		TEST(test_many_regions_in_any_order),
		TEST(test_callback_may_move_regions_of_its_own_bus),
		TEST(test_without_handlers_it_reads_zero_and_ignores_writes),
		cmocka_unit_test(test_look_ups_cannot_starve_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
