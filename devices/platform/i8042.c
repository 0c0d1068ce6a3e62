/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/i8042.h"

#include <stdatomic.h>

enum {
	BUFFERED_AT_POWER_ON = 32,
	KEYBOARD_OVERRUN = 0xff,
	STATUS_OUTPUT_FULL = 0x01, /* bit 1, input buffer full, stays clear: commands go at once */
};

static uint64_t read_data(void *owner, uint64_t offset, unsigned size)
{
	struct i8042 *i8042 = owner;
	unsigned buffered = i8042->buffered;

	(void)offset;
	(void)size;
	while (buffered && !atomic_compare_exchange_weak(&i8042->buffered, &buffered, buffered - 1))
		; /* another vCPU took one, too */
	return buffered ? KEYBOARD_OVERRUN : 0;
}

static uint64_t read_status(void *owner, uint64_t offset, unsigned size)
{
	struct i8042 *i8042 = owner;

	(void)offset;
	(void)size;
	return i8042->buffered ? STATUS_OUTPUT_FULL : 0;
}

/* Commands f0..ff pulse the output lines whose bit is clear; bit 0 is the CPU's reset. */
static void write_command(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8042 *i8042 = owner;

	(void)offset;
	(void)size;
	if ((value & 0xf1) == 0xf0)
		i8042->pulse_reset(i8042->owner);
}

static const struct bus_ops data_ops = { .read = read_data };
static const struct bus_ops command_ops = { .read = read_status, .write = write_command };

void i8042_init(struct i8042 *i8042, uint64_t data_port, uint64_t command_port,
		void (*pulse_reset)(void *owner), void *owner)
{
	*i8042 = (struct i8042){
		.data = { data_port, 1, &data_ops, i8042, "i8042 data" },
		.command = { command_port, 1, &command_ops, i8042, "i8042 command" },
		.buffered = BUFFERED_AT_POWER_ON,
		.pulse_reset = pulse_reset,
		.owner = owner,
	};
}

void i8042_reset(struct i8042 *i8042)
{
	i8042->buffered = BUFFERED_AT_POWER_ON;
}

static const struct state_field fields[] = {
	STATE_LIMITED(struct i8042, buffered, BUFFERED_AT_POWER_ON),
	STATE_END,
};

const struct state_table i8042_state_table = {
	.name = "i8042",
	.version = 1,
	.size = sizeof(struct i8042),
	.fields = fields,
};

int i8042_state(struct i8042 *i8042, struct state *state)
{
	return state_section(state, &i8042_state_table, "", i8042);
}
