/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/pl031.h"

#include "base/real_time.h"
#include "unit.h"

static uint64_t read_at(struct pl031 *pl031, uint64_t offset, unsigned size)
{
	return pl031->region.ops->read(pl031->region.owner, offset, size);
}

static void it_tells_the_hosts_time(void **state)
{
	struct pl031 pl031;
	time_t before = real_time().tv_sec;
	uint64_t told;

	(void)state;
	pl031_init(&pl031, 0x1000);
	told = read_at(&pl031, 0, 4);
	assert_true(told >= (uint32_t)before && told <= (uint32_t)real_time().tv_sec);
	/* Setting it changes nothing. */
	assert_null(pl031.region.ops->write);
	assert_true(read_at(&pl031, 0, 4) >= told);
	assert_int_equal(read_at(&pl031, 0xc, 4), 1);
}

/* DDI 0224 §3.3.9, §3.3.10: by these a driver knows it. */
static void it_can_be_identified(void **state)
{
	static const uint8_t id[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct pl031 pl031;

	(void)state;
	pl031_init(&pl031, 0x1000);
	for (unsigned i = 0; i < sizeof(id); i++)
		assert_int_equal(read_at(&pl031, 0xfe0 + 4 * i, 4), id[i]);
	assert_int_equal(read_at(&pl031, 0xfe0, 1), 0);
	assert_int_equal(read_at(&pl031, 0xfe2, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_tells_the_hosts_time),
		cmocka_unit_test(it_can_be_identified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
