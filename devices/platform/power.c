/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/power.h"

#include "arch/power_block.h"

enum { SLEEP_TYPE_SHIFT = 2, SLEEP_TYPE_MASK = 7, SLEEP_ENABLE = 1 << 5 };

static uint64_t power_read(void *owner, uint64_t offset, unsigned size)
{
	struct power *power = owner;
	uint64_t events;

	(void)size;
	/* Sleep status reads zero: no wake-up ever happens. */
	if (offset != POWER_EVENTS)
		return 0;
	pthread_mutex_lock(&power->lock);
	events = power->events;
	power->events = 0;
	/* Fails only where there is no interrupt controller: then there was no event either. */
	if (events && irqs_set_level(power->options.irqs, power->options.gsi, false))
		events = 0;
	pthread_mutex_unlock(&power->lock);
	return events;
}

static void power_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct power *power = owner;

	(void)size;
	switch (offset) {
	case POWER_SLEEP_CONTROL:
		if (value & SLEEP_ENABLE &&
		    (value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == POWER_SLEEP_TYPE_S5)
			power->options.power_off(power->options.owner);
		break;
	case POWER_RESET:
		if ((uint8_t)value == POWER_RESET_VALUE)
			power->options.reset(power->options.owner);
		break;
	default:
		break;
	}
}

static void power_describe(void *owner, uint64_t offset, struct text *out)
{
	static const char *const names[POWER_BLOCK_LEN] = {
		[POWER_SLEEP_CONTROL] = "sleep control",
		[POWER_SLEEP_STATUS] = "sleep status",
		[POWER_RESET] = "reset",
		[POWER_EVENTS] = "events",
	};

	(void)owner;
	if (names[offset])
		text_add(out, "%s", names[offset]);
}

static const struct bus_ops power_bus_ops = {
	.read = power_read,
	.write = power_write,
	.describe = power_describe,
};

void power_init(struct power *power, const struct power_options *options)
{
	*power = (struct power){
		.region = { options->base, POWER_BLOCK_LEN, &power_bus_ops, power, "power" },
		.options = *options,
	};
	pthread_mutex_init(&power->lock, NULL);
}

void power_destroy(struct power *power)
{
	pthread_mutex_destroy(&power->lock);
}

void power_reset(struct power *power)
{
	power_read(power, POWER_EVENTS, 4);
}

int power_raise(struct power *power, uint32_t event)
{
	int ret;

	pthread_mutex_lock(&power->lock);
	ret = irqs_set_level(power->options.irqs, power->options.gsi, true);
	if (!ret)
		power->events |= event;
	pthread_mutex_unlock(&power->lock);
	return ret;
}

static const struct state_field fields[] = {
	STATE_LIMITED(struct power, events, POWER_EVENT_ALL),
	STATE_END,
};

const struct state_table power_state_table = {
	.name = "power",
	.version = 1,
	.size = sizeof(struct power),
	.fields = fields,
};

int power_state(struct power *power, struct state *state)
{
	return state_section(state, &power_state_table, "", power);
}
