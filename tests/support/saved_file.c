/* SPDX-License-Identifier: Apache-2.0 */
#include "saved_file.h"

#include "capture.h"
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SAVED_MAX = 1 << 20 };

int saved_file_of(saved_fn *fn, void *object)
{
	int fd = memfd_create("saved", MFD_CLOEXEC);
	struct state *state;

	assert_true(fd >= 0);
	assert_int_equal(state_new(&state), 0);
	assert_false(state_loads(state));
	assert_int_equal(fn(object, state), 0);
	assert_int_equal(state_write(state, fd), 0);
	state_free(state);
	return fd;
}

int saved_file_load(int fd, saved_fn *fn, void *object)
{
	struct state *state;
	int ret;

	assert_int_equal(state_open(&state, fd, "saved"), 0);
	ret = fn(object, state);
	if (!ret)
		ret = state_end(state);
	state_free(state);
	assert_true(!ret || ret == -EBADMSG);
	return ret;
}

void saved_file_refused(int fd, saved_fn *fn, void *object, const char *part)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = saved_file_load(fd, fn, object);
	capture_expect(&capture, part);
	assert_int_equal(ret, -EBADMSG);
}

bool saved_file_equal(int a, int b)
{
	static char bytes[2][SAVED_MAX];
	ssize_t len = pread(a, bytes[0], SAVED_MAX, 0);

	assert_in_range(len, 1, SAVED_MAX - 1);
	return pread(b, bytes[1], SAVED_MAX, 0) == len && !memcmp(bytes[0], bytes[1], (size_t)len);
}

void saved_file_move(saved_fn *fn, void *object, void *other)
{
	int before = saved_file_of(fn, object), after;

	assert_int_equal(saved_file_load(before, fn, other), 0);
	after = saved_file_of(fn, other);
	assert_true(saved_file_equal(before, after));
	close(before);
	close(after);
}
