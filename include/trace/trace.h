/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a file of --trace, for `kinglet report`. Kinglet writes one event per line, so it is read
 * line by line and summed up: a trace of any length needs the same memory. One thread at a time.
 */
#ifndef KINGLET_TRACE_TRACE_H
#define KINGLET_TRACE_TRACE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdio.h>

struct trace;

/*
 * Errors, after one logged line that begins with `name`: -EINVAL for a file not written by Kinglet,
 * -EIO when it cannot be read, -ENOMEM.
 */
__must_check int trace_new(struct trace **trace, FILE *in, const char *name);
void trace_free(struct trace *trace);

/* Whether it has the run's end, and so the data for a page. */
bool trace_is_whole(const struct trace *trace);

/* Prints its phases, where its vCPUs were, and the cost of exits and calls. */
void trace_print_report(FILE *out, const struct trace *trace);

/* Prints the whole run as a self-contained HTML page, without scripts. */
void trace_print_page(FILE *out, const struct trace *trace);

#endif
