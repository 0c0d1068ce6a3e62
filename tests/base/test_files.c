/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"
#include "unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { LEN = 1 << 20 }; /* many times what a pipe holds */

struct reader {
	int fd;
	size_t seen, wrong;
};

static void *read_to_end(void *arg)
{
	struct reader *reader = arg;
	uint8_t piece[777];
	ssize_t n;

	while ((n = read(reader->fd, piece, sizeof(piece))) > 0)
		for (ssize_t i = 0; i < n; i++)
			reader->wrong += piece[i] != (uint8_t)(reader->seen++ % 251);
	return NULL;
}

static void a_pipe_gets_all_of_it(void **state)
{
	_cleanup_free_ uint8_t *data = malloc(LEN);
	struct reader reader = { 0 };
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i % 251);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	reader.fd = ends[0];
	assert_int_equal(pthread_create(&thread, NULL, read_to_end, &reader), 0);
	assert_int_equal(write_all(ends[1], data, LEN), 0);
	close(ends[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(ends[0]);
	assert_int_equal(reader.seen, LEN);
	assert_int_equal(reader.wrong, 0);
}

static void a_write_that_fails_says_why(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(write_all(fd, "x", 1), -ENOSPC);
	assert_int_equal(write_all(-1, "x", 1), -EBADF);
	assert_int_equal(write_all(-1, "x", 0), 0);
}

static void a_file_is_read_exactly_or_not(void **state)
{
	_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
	char buf[8] = "";

	(void)state;
	assert_int_equal(write_all(fd, "abcdef", 6), 0);
	assert_int_equal(pread_exactly(fd, buf, 4, 2), 0);
	assert_string_equal(buf, "cdef");
	assert_int_equal(pread_exactly(fd, buf, 5, 2), -ENODATA);
	assert_int_equal(pread_exactly(fd, buf, 1, 6), -ENODATA);
	assert_int_equal(pread_exactly(fd, buf, 0, 6), 0);
	assert_int_equal(pread_exactly(fd, buf, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(pread_exactly(-1, buf, 1, 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_gets_all_of_it),
		cmocka_unit_test(a_write_that_fails_says_why),
		cmocka_unit_test(a_file_is_read_exactly_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
