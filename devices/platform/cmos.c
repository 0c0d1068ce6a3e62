/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cmos.h"

#include "base/real_time.h"

#include <stdatomic.h>

/* MC146818A registers, with the century register of PCs. */
enum {
	SECONDS = 0x00,
	MINUTES = 0x02,
	HOURS = 0x04,
	WEEKDAY = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	STATUS_A = 0x0a,
	STATUS_B = 0x0b,
	STATUS_D = 0x0d,
	CENTURY = 0x32,
};

enum {
	INDEX_MASK = 0x7f, /* bit 7 masks the NMI */

	A_32KHZ = 0x20,
	A_UPDATING = 0x80,
	B_24_HOURS = 0x02,
	D_VALID = 0x80,
};

static uint8_t bcd(int value)
{
	return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

/*
 * An update ends as a second begins, and is in progress for 2.2 ms. A guest whose exits take longer
 * would miss it, and Xen panics if it sees none in a second, or one for more than 3 ms. So a guest
 * that polls sees each update by one read: the first one in a second, if there was one in the
 * second before.
 */
static bool is_updating(struct cmos *cmos, int64_t second)
{
	return atomic_exchange(&cmos->polled, second) == second - 1;
}

static uint8_t read_clock(struct cmos *cmos, uint8_t index)
{
	struct timespec now = real_time();
	struct tm tm;

	gmtime_r(&now.tv_sec, &tm);
	switch (index) {
	case SECONDS:
		return bcd(tm.tm_sec);
	case MINUTES:
		return bcd(tm.tm_min);
	case HOURS:
		return bcd(tm.tm_hour);
	case WEEKDAY:
		return bcd(tm.tm_wday + 1);
	case DAY:
		return bcd(tm.tm_mday);
	case MONTH:
		return bcd(tm.tm_mon + 1);
	case YEAR:
		return bcd(tm.tm_year % 100);
	case CENTURY:
		return bcd((tm.tm_year + 1900) / 100);
	case STATUS_A:
		return A_32KHZ | (is_updating(cmos, now.tv_sec) ? A_UPDATING : 0);
	case STATUS_B:
		return B_24_HOURS;
	case STATUS_D:
		return D_VALID;
	default:
		return 0;
	}
}

static uint64_t cmos_read(void *owner, uint64_t offset, unsigned size)
{
	struct cmos *cmos = owner;

	(void)size;
	return offset == 1 ? read_clock(cmos, cmos->index) : 0;
}

static void cmos_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct cmos *cmos = owner;

	(void)size;
	if (offset == 0)
		cmos->index = value & INDEX_MASK;
}

static const struct bus_ops cmos_ops = { .read = cmos_read, .write = cmos_write };

void cmos_init(struct cmos *cmos, uint64_t index_port)
{
	*cmos = (struct cmos){ .region = { index_port, 2, &cmos_ops, cmos, "CMOS" } };
}

void cmos_reset(struct cmos *cmos)
{
	cmos->index = 0;
	cmos->polled = 0;
}

static const struct state_field fields[] = {
	STATE_LIMITED(struct cmos, index, INDEX_MASK),
	STATE_END,
};

const struct state_table cmos_state_table = {
	.name = "CMOS",
	.version = 1,
	.size = sizeof(struct cmos),
	.fields = fields,
};

int cmos_state(struct cmos *cmos, struct state *state)
{
	return state_section(state, &cmos_state_table, "", cmos);
}
