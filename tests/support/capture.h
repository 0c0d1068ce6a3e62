/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the code under test writes to standard error.
 */
#ifndef KINGLET_TESTS_CAPTURE_H
#define KINGLET_TESTS_CAPTURE_H

#include <stddef.h>

struct capture {
	int saved_fd; /* the real standard error */
	int file_fd;
};

/* From here on standard error goes to memory. Fails the test on error. */
void capture_stderr_begin(struct capture *capture);

/* Restores standard error; `text` is what was written meanwhile, cut at len - 1 bytes. */
void capture_stderr_end(struct capture *capture, char *text, size_t len);

/* The same, and fails the test unless `part` came, or `all` and nothing else. */
void capture_expect(struct capture *capture, const char *part);
void capture_expect_all(struct capture *capture, const char *all);

#endif
