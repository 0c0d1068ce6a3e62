/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TEXT_MAX = 4096 };

void capture_stderr_begin(struct capture *capture)
{
	capture->saved_fd = dup(STDERR_FILENO);
	assert_true(capture->saved_fd >= 0);
	capture->file_fd = memfd_create("stderr", MFD_CLOEXEC);
	assert_true(capture->file_fd >= 0);
	assert_int_equal(dup2(capture->file_fd, STDERR_FILENO), STDERR_FILENO);
}

void capture_stderr_end(struct capture *capture, char *text, size_t len)
{
	ssize_t got = pread(capture->file_fd, text, len - 1, 0);

	assert_int_equal(dup2(capture->saved_fd, STDERR_FILENO), STDERR_FILENO);
	close(capture->saved_fd);
	close(capture->file_fd);
	assert_true(got >= 0);
	text[got] = '\0';
}

void capture_expect(struct capture *capture, const char *part)
{
	char text[TEXT_MAX];

	capture_stderr_end(capture, text, sizeof(text));
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

void capture_expect_all(struct capture *capture, const char *all)
{
	char text[TEXT_MAX];

	capture_stderr_end(capture, text, sizeof(text));
	assert_string_equal(text, all);
}
