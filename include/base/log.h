/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to stderr, `kinglet: ` before it and a newline after it. A line is one write(2), so
 * lines of several threads never mix; it is cut at 1,024 bytes and control characters become `?`,
 * so that no file name or guest text can break it or reach the terminal. The layer that knows the
 * object logs once, in the form `object: operation: reason` ("tap tap0: TUNSETIFF: Operation not
 * permitted"); lower layers return a negative errno instead. Any thread.
 *
 * A reader that does not read blocks no thread: after 0.2 s the line is lost, and so is each
 * further line while there is no room; the next line that is written is preceded by the number of
 * lost lines.
 */
#ifndef KINGLET_BASE_LOG_H
#define KINGLET_BASE_LOG_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

void log_error(const char *fmt, ...) __printf(1, 2);
void log_warning(const char *fmt, ...) __printf(1, 2);
/* Without the prefix: requested text that goes to standard error. */
void log_plain(const char *fmt, ...) __printf(1, 2);

/*
 * While on, this thread's lines are dropped: for what is only an attempt, whose failure is dealt
 * with otherwise. Each thread begins with it off.
 */
void log_mute(bool on);

/*
 * From now on the first line of log_error() of this thread is also kept in `text`, without the
 * prefix, which is made empty; for others who have to be told. NULL ends that.
 */
void log_keep(char *text, size_t len);

/*
 * To be called before important lines, and at the end: gives the reader `ms` milliseconds to make
 * room, and logs how many lines were lost.
 */
void log_settle(unsigned ms);

#endif
