/* SPDX-License-Identifier: Apache-2.0 */
/* The small devices: power block, 8042, exit port, pvpanic, CMOS clock. */
#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "base/real_time.h"
#include "platform/cmos.h"
#include "platform/exit_port.h"
#include "platform/i8042.h"
#include "platform/power.h"
#include "platform/pvpanic.h"

#include "mock_ring.h"
#include "unit.h"

#include <string.h>
#include <time.h>

static uint64_t in(struct bus_region *region, uint64_t offset, unsigned size)
{
	return region->ops->read ? region->ops->read(region->owner, offset, size) : 0;
}

static void out(struct bus_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	if (region->ops->write)
		region->ops->write(region->owner, offset, value, size);
}

static void count(void *owner)
{
	++*(unsigned *)owner;
}

/* --- Power ------------------------------------------------------------------------------------ */

struct power_fixture {
	struct mock_env env;
	struct power power;
	unsigned offs, resets;
};

static void count_off(void *owner)
{
	((struct power_fixture *)owner)->offs++;
}

static void count_reset(void *owner)
{
	((struct power_fixture *)owner)->resets++;
}

static int power_setup(void **state)
{
	struct power_fixture *f = test_calloc(1, sizeof(*f));
	struct power_options options = {
		.base = X86_POWER_PORT,
		.irqs = &f->env.irqs,
		.gsi = X86_POWER_GSI,
		.power_off = count_off,
		.reset = count_reset,
		.owner = f,
	};

	mock_env_init(&f->env);
	power_init(&f->power, &options);
	*state = f;
	return 0;
}

static int power_teardown(void **state)
{
	struct power_fixture *f = *state;

	power_destroy(&f->power);
	return mock_env_teardown(state);
}

static void only_s5_powers_off(void **state)
{
	struct power_fixture *f = *state;
	unsigned before;

	for (unsigned value = 0; value < 256; value++) {
		bool s5 = value & 0x20 && (value >> 2 & 7) == POWER_SLEEP_TYPE_S5;

		before = f->offs;
		out(&f->power.region, POWER_SLEEP_CONTROL, value, 1);
		assert_int_equal(f->offs, before + s5);
	}
	assert_true(f->offs > 0);
	assert_int_equal(f->resets, 0);
	/* WAK_STS is never set: the guest waits until the machine stops it. */
	out(&f->power.region, POWER_SLEEP_STATUS, 0x80, 1);
	assert_int_equal(in(&f->power.region, POWER_SLEEP_STATUS, 1), 0);
}

static void only_the_reset_value_resets(void **state)
{
	struct power_fixture *f = *state;

	out(&f->power.region, POWER_RESET, 0, 1);
	out(&f->power.region, POWER_RESET, 2, 1);
	out(&f->power.region, POWER_EVENTS, POWER_RESET_VALUE, 4);
	assert_int_equal(f->resets, 0);
	out(&f->power.region, POWER_RESET, POWER_RESET_VALUE, 1);
	assert_int_equal(f->resets, 1);
	assert_int_equal(f->offs, 0);
}

static void button_raises_and_the_read_clears(void **state)
{
	struct power_fixture *f = *state;

	assert_int_equal(in(&f->power.region, POWER_EVENTS, 4), 0);
	assert_int_equal(power_raise(&f->power, POWER_EVENT_BUTTON), 0);
	assert_int_equal(power_raise(&f->power, POWER_EVENT_BUTTON), 0);
	assert_true(f->env.fake.levels[X86_POWER_GSI]);
	assert_int_equal(in(&f->power.region, POWER_EVENTS, 4), POWER_EVENT_BUTTON);
	assert_false(f->env.fake.levels[X86_POWER_GSI]);
	assert_int_equal(in(&f->power.region, POWER_EVENTS, 4), 0);

	assert_int_equal(power_raise(&f->power, POWER_EVENT_BUTTON), 0);
	power_reset(&f->power);
	assert_false(f->env.fake.levels[X86_POWER_GSI]);
	assert_int_equal(in(&f->power.region, POWER_EVENTS, 4), 0);
}

static void button_without_irqchip_is_an_error(void **state)
{
	struct power_fixture *f = *state;

	f->env.fake.no_irqchip = true;
	assert_int_equal(power_raise(&f->power, POWER_EVENT_BUTTON), -ENXIO);
	assert_int_equal(in(&f->power.region, POWER_EVENTS, 4), 0);
}

/* --- 8042 ------------------------------------------------------------------------------------- */

static void i8042_pulses_reset(void **state)
{
	struct i8042 i8042;
	unsigned resets = 0;

	(void)state;
	i8042_init(&i8042, X86_I8042_DATA, X86_I8042_COMMAND, count, &resets);
	for (unsigned command = 0; command < 256; command++) {
		unsigned before = resets;

		out(&i8042.command, 0, command, 1);
		assert_int_equal(resets, before + (command >= 0xf0 && !(command & 1)));
	}
	out(&i8042.data, 0, 0xfe, 1);
	assert_int_equal(resets, 8);
}

/* What Linux does before it accepts a controller (drivers/input/serio/i8042.c, i8042_flush). */
static bool linux_gives_up(struct i8042 *i8042)
{
	unsigned drained = 0;

	while (in(&i8042->command, 0, 1) & 1) {
		if (drained++ == 16)
			return true;
		in(&i8042->data, 0, 1);
	}
	return false;
}

static void i8042_is_given_up_at_once_and_drains(void **state)
{
	struct i8042 i8042;
	unsigned resets = 0, reads = 0;

	(void)state;
	i8042_init(&i8042, X86_I8042_DATA, X86_I8042_COMMAND, count, &resets);
	assert_int_equal(in(&i8042.command, 0, 1) & 2, 0); /* never busy */
	assert_true(linux_gives_up(&i8042));
	/* Draining it ends, and yields no keys afterwards. */
	while (in(&i8042.command, 0, 1) & 1 && reads++ < 100)
		assert_int_equal(in(&i8042.data, 0, 1), 0xff);
	assert_in_range(reads, 1, 99);
	assert_int_equal(in(&i8042.command, 0, 1), 0);
	assert_int_equal(in(&i8042.data, 0, 1), 0);
	i8042_reset(&i8042);
	assert_true(linux_gives_up(&i8042));
	assert_int_equal(resets, 0);
}

/* --- Exit port and pvpanic -------------------------------------------------------------------- */

static void keep_status(void *owner, uint8_t status)
{
	*(int *)owner = status;
}

static void exit_port_passes_the_byte(void **state)
{
	struct exit_port port;
	int status = -1;

	(void)state;
	exit_port_init(&port, X86_EXIT_PORT, keep_status, &status);
	assert_int_equal(in(&port.region, 0, 1), 0);
	assert_int_equal(status, -1);
	for (int value = 0; value < 256; value++) {
		out(&port.region, 0, (uint64_t)value, value % 2 ? 1 : 4);
		assert_int_equal(status, value);
	}
	/* 256 must not become success. */
	out(&port.region, 0, 256, 4);
	assert_int_equal(status, 255);
	status = -1;
	out(&port.region, 1, 3, 1);
	assert_int_equal(status, -1);
}

static void keep_event(void *owner, enum pvpanic_event event)
{
	*(unsigned *)owner = event;
}

static void pvpanic_reports(void **state)
{
	static const struct {
		uint8_t written;
		unsigned event;
	} cases[] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 1 }, { 4, 0 }, { 0xfc, 0 } };
	struct pvpanic pvpanic;
	unsigned event;

	(void)state;
	pvpanic_init(&pvpanic, X86_PVPANIC_PORT, keep_event, &event);
	assert_int_equal(in(&pvpanic.region, 0, 1), 3);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		event = 0;
		out(&pvpanic.region, 0, cases[i].written, 1);
		assert_int_equal(event, cases[i].event);
	}
}

/* --- CMOS ------------------------------------------------------------------------------------- */

static unsigned cmos_get(struct cmos *cmos, uint8_t index)
{
	out(&cmos->region, 0, index, 1);
	return (unsigned)in(&cmos->region, 1, 1);
}

static int from_bcd(unsigned value)
{
	assert_in_range(value & 0xf, 0, 9);
	assert_in_range(value >> 4, 0, 9);
	return (int)(value >> 4) * 10 + (int)(value & 0xf);
}

static void cmos_tells_the_time(void **state)
{
	struct cmos cmos;
	int weekday;
	time_t now;
	struct tm tm;

	(void)state;
	cmos_init(&cmos, X86_CMOS_INDEX);
	do {
		now = real_time().tv_sec;
		tm = (struct tm){
			.tm_sec = from_bcd(cmos_get(&cmos, 0x00)),
			.tm_min = from_bcd(cmos_get(&cmos, 0x02)),
			.tm_hour = from_bcd(cmos_get(&cmos, 0x84)), /* with the NMI mask */
			.tm_mday = from_bcd(cmos_get(&cmos, 0x07)),
			.tm_mon = from_bcd(cmos_get(&cmos, 0x08)) - 1,
			.tm_year = from_bcd(cmos_get(&cmos, 0x09)) +
				   100 * from_bcd(cmos_get(&cmos, 0x32)) - 1900,
		};
		weekday = from_bcd(cmos_get(&cmos, 0x06));
	} while (real_time().tv_sec != now);
	assert_int_equal(timegm(&tm), now);
	assert_int_equal(weekday, tm.tm_wday + 1);
}

/* However slowly a guest polls: Xen's cmos-rtc-probe panics without an update, or in one of 3 ms. */
static void cmos_shows_each_update_once(void **state)
{
	bool asleep, first, second;
	struct cmos cmos;
	time_t now;

	(void)state;
	do {
		cmos_init(&cmos, X86_CMOS_INDEX);
		now = real_time().tv_sec;
		asleep = cmos_get(&cmos, 0x0a) & 0x80;
		cmos.polled = now - 1;
		first = cmos_get(&cmos, 0x0a) & 0x80;
		second = cmos_get(&cmos, 0x0a) & 0x80;
	} while (real_time().tv_sec != now);
	assert_false(asleep);
	assert_true(first);
	assert_false(second);
}

static void cmos_is_read_only(void **state)
{
	struct cmos cmos;

	(void)state;
	cmos_init(&cmos, X86_CMOS_INDEX);
	assert_int_equal(cmos_get(&cmos, 0x0b), 0x02);
	assert_int_equal(cmos_get(&cmos, 0x0c), 0);
	assert_int_equal(cmos_get(&cmos, 0x0d), 0x80);
	out(&cmos.region, 1, 0xff, 1);
	assert_int_equal(in(&cmos.region, 1, 1), 0x80);
	for (unsigned index = 0x0e; index < 0x32; index++)
		assert_int_equal(cmos_get(&cmos, (uint8_t)index), 0);
}

int main(void)
{
#define POWER(name) cmocka_unit_test_setup_teardown(name, power_setup, power_teardown)
	const struct CMUnitTest tests[] = {
		POWER(only_s5_powers_off),
		POWER(only_the_reset_value_resets),
		POWER(button_raises_and_the_read_clears),
		POWER(button_without_irqchip_is_an_error),
		cmocka_unit_test(i8042_pulses_reset),
		cmocka_unit_test(i8042_is_given_up_at_once_and_drains),
		cmocka_unit_test(exit_port_passes_the_byte),
		cmocka_unit_test(pvpanic_reports),
		cmocka_unit_test(cmos_tells_the_time),
		cmocka_unit_test(cmos_shows_each_update_once),
		cmocka_unit_test(cmos_is_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
