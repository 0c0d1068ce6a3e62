/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "unit.h"

#include <sys/mman.h>
#include <unistd.h>

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
