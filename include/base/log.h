/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to stderr, `kinglet: ` before it and a newline after it. A line is one write(2), so
 * lines of several threads never mix; it is cut at 1,024 bytes and control characters become `?`,
 * so that no file name or guest text can break it or reach the terminal. The layer that knows the
 * object logs once, in the form `object: operation: reason` ("tap tap0: TUNSETIFF: Operation not
 * permitted"); lower layers return a negative errno instead. Any thread.
 *
 * A reader that does not read stops no thread: after a fifth of a second the line is lost, and so is
 * each that follows while there is no room; the next that is written comes after their number.
 */
#ifndef KINGLET_BASE_LOG_H
#define KINGLET_BASE_LOG_H

#include "base/cleanup.h"

void log_error(const char *fmt, ...) __printf(1, 2);
void log_warning(const char *fmt, ...) __printf(1, 2);
/* Without the name before it: text that was asked for and goes to standard error. */
void log_plain(const char *fmt, ...) __printf(1, 2);

/*
 * Before what should not be lost, and at the end: gives the reader so many milliseconds to make
 * room, and says how many lines were lost before.
 */
void log_settle(unsigned ms);

#endif
