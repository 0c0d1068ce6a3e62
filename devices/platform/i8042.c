/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/i8042.h"

enum {
	BUFFERED_AT_POWER_ON = 32,
	KEYBOARD_OVERRUN = 0xff,
	STATUS_OUTPUT_FULL = 0x01, /* bit 1, input buffer full, stays clear: commands go at once */
};

static uint64_t read_data(void *owner, uint64_t offset, unsigned size)
{
	struct i8042 *i8042 = owner;
	uint64_t value = 0;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->lock);
	if (i8042->buffered) {
		i8042->buffered--;
		value = KEYBOARD_OVERRUN;
	}
	pthread_mutex_unlock(&i8042->lock);
	return value;
}

static void write_data(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	(void)owner;
	(void)offset;
	(void)value;
	(void)size;
}

static uint64_t read_status(void *owner, uint64_t offset, unsigned size)
{
	struct i8042 *i8042 = owner;
	uint64_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->lock);
	value = i8042->buffered ? STATUS_OUTPUT_FULL : 0;
	pthread_mutex_unlock(&i8042->lock);
	return value;
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

static const struct bus_ops data_ops = { .read = read_data, .write = write_data };
static const struct bus_ops command_ops = { .read = read_status, .write = write_command };

int i8042_init(struct i8042 *i8042, uint64_t data_port, uint64_t command_port,
	       void (*pulse_reset)(void *owner), void *owner)
{
	*i8042 = (struct i8042){
		.data = { data_port, 1, &data_ops, i8042, "i8042 data" },
		.command = { command_port, 1, &command_ops, i8042, "i8042 command" },
		.buffered = BUFFERED_AT_POWER_ON,
		.pulse_reset = pulse_reset,
		.owner = owner,
	};
	return -pthread_mutex_init(&i8042->lock, NULL);
}

void i8042_destroy(struct i8042 *i8042)
{
	pthread_mutex_destroy(&i8042->lock);
}

void i8042_reset(struct i8042 *i8042)
{
	pthread_mutex_lock(&i8042->lock);
	i8042->buffered = BUFFERED_AT_POWER_ON;
	pthread_mutex_unlock(&i8042->lock);
}
