/* SPDX-License-Identifier: Apache-2.0 */
/* What exec's init does with Kinglet's answer: guest/renew.c with system calls that only record. */
#include "../../guest/log.h"
#include "../../guest/renew.h"
#include "unit.h"

#include <errno.h>
#include <linux/random.h>
#include <linux/time_types.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum { FD = 7 };

/* Of the one renew() that runs. */
static struct {
	jmp_buf given_up;
	char said[200];
	long fails; /* the system call, or the request of ioctl(2), that does */
	struct __kernel_timespec time;
	int bits, len;
	uint8_t bytes[32];
	unsigned times, reseeds, closed;
} guest;

static long random_ioctl(long request, const int *info)
{
	if (request == RNDRESEEDCRNG) {
		assert_int_equal(guest.len, 32); /* afterwards */
		guest.reseeds++;
		return 0;
	}
	assert_int_equal(request, RNDADDENTROPY);
	guest.bits = info[0];
	guest.len = info[1];
	memcpy(guest.bytes, info + 2, sizeof(guest.bytes));
	return 0;
}

long sys_call(long number, long a, long b, long c, long d, long e);
long sys_call(long number, long a, long b, long c, long d, long e)
{
	(void)d;
	(void)e;
	if (number == guest.fails || (number == SYS_ioctl && b == guest.fails))
		return -ENODATA;
	if (number == SYS_openat) {
		assert_string_equal((const char *)b, "/.kinglet/dev/urandom");
		return FD;
	}
	if (number == SYS_clock_settime) {
		assert_int_equal(a, 0);
		guest.time = *(const struct __kernel_timespec *)b;
		guest.times++;
		return 0;
	}
	assert_int_equal(a, FD);
	if (number == SYS_ioctl)
		return random_ioctl(b, (const int *)c);
	assert_int_equal(number, SYS_close);
	guest.closed++;
	return 0;
}

void give_up(const char *what, const char *name, int error)
{
	snprintf(guest.said, sizeof(guest.said), "%s: %s: %d", what, name ? name : "", error);
	longjmp(guest.given_up, 1);
}

static const char answer[] = "restored 1800000001 234567890 "
			     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

/* False when it gave up. */
static bool renew_by(const char *text, long fails)
{
	memset(&guest, 0, sizeof(guest));
	guest.fails = fails;
	if (setjmp(guest.given_up))
		return false;
	renew(text);
	return true;
}

static void test_time_and_random_bytes_are_taken(void **state)
{
	(void)state;
	assert_true(renew_by(answer, -1));
	assert_int_equal(guest.time.tv_sec, 1800000001);
	assert_int_equal(guest.time.tv_nsec, 234567890);
	assert_int_equal(guest.bits, 256);
	for (unsigned i = 0; i < 31; i++)
		assert_int_equal(guest.bytes[i], i);
	assert_int_equal(guest.bytes[31], 255);
	assert_int_equal(guest.reseeds, 1);
	assert_int_equal(guest.closed, 1);
}

static void test_a_guest_that_was_saved_goes_on(void **state)
{
	static const char *const texts[] = { "saved", "failed", "" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(renew_by(texts[i], -1));
		assert_int_equal(guest.times + guest.reseeds, 0);
	}
}

/* With less, two guests could share their random numbers. */
static void test_it_gives_up_without_random_bytes(void **state)
{
	static const long calls[] = { SYS_openat, (long)RNDADDENTROPY, (long)RNDRESEEDCRNG };
	char text[sizeof(answer)];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_false(renew_by(answer, calls[i]));
		assert_string_equal(guest.said, "random numbers: : 61");
	}
	assert_false(renew_by(answer, SYS_clock_settime));
	assert_string_equal(guest.said, "time of day: : 61");
	for (size_t len = sizeof("restored ") - 1; len + 1 < sizeof(answer); len++) {
		snprintf(text, sizeof(text), "%.*s", (int)len, answer);
		assert_false(renew_by(text, -1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_and_random_bytes_are_taken),
		cmocka_unit_test(test_a_guest_that_was_saved_goes_on),
		cmocka_unit_test(test_it_gives_up_without_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
