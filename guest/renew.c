/* SPDX-License-Identifier: Apache-2.0 */
#include "renew.h"

#include "log.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <linux/random.h>
#include <linux/time_types.h>
#include <stdint.h>
#include <time.h>

enum { RANDOM_LEN = 32 };

/* A number and the space after it. */
static const char *number(const char *at, int64_t *value)
{
	*value = 0;
	while (*at >= '0' && *at <= '9')
		*value = *value * 10 + (*at++ - '0');
	return *at == ' ' ? at + 1 : at;
}

static int digit(char c)
{
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1;
}

static void bytes(const char *at, uint8_t *to)
{
	for (unsigned i = 0; i < RANDOM_LEN; i++, at += 2) {
		int high = digit(at[0]), low = high < 0 ? -1 : digit(at[1]);

		if (low < 0)
			give_up("Kinglet's answer", "damaged", 0);
		to[i] = (uint8_t)(high * 16 + low);
	}
}

/* The pool takes the bytes; the generators, which have been seeded before, must do so at once. */
static void stir(const char *hex)
{
	struct {
		int bits, len; /* struct rand_pool_info */
		uint8_t data[RANDOM_LEN];
	} entropy = { .bits = 8 * RANDOM_LEN, .len = RANDOM_LEN };
	int fd = sys_open(EARLY_DEV "/urandom", O_RDWR | O_CLOEXEC);
	long ret = fd;

	bytes(hex, entropy.data);
	if (ret >= 0)
		ret = SYS(ioctl, fd, RNDADDENTROPY, &entropy, 0, 0);
	if (ret >= 0)
		ret = SYS(ioctl, fd, RNDRESEEDCRNG, 0, 0, 0);
	sys_close(&fd);
	if (ret < 0)
		give_up("random numbers", NULL, (int)-ret);
}

void renew(const char *answer)
{
	static const char restored[] = "restored ";
	struct __kernel_timespec now;
	int64_t nanoseconds;
	long ret;

	if (!begins_with(answer, restored))
		return;
	answer = number(answer + sizeof(restored) - 1, (int64_t *)&now.tv_sec);
	answer = number(answer, &nanoseconds);
	now.tv_nsec = nanoseconds;
	ret = SYS(clock_settime, CLOCK_REALTIME, &now, 0, 0, 0);
	if (ret < 0)
		give_up("time of day", NULL, (int)-ret);
	stir(answer);
}
