/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of --trace, read, for `kinglet report`. Kinglet writes one event a line, so it is read a
 * line at a time and summed up: a trace of any length takes the same memory. One thread at a time.
 */
#ifndef KINGLET_TRACE_TRACE_H
#define KINGLET_TRACE_TRACE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdio.h>

struct trace;

/*
 * After one logged line, that begins with `name`: -EINVAL for a file that Kinglet has not written,
 * -EIO when it cannot be read, -ENOMEM.
 */
__must_check int trace_new(struct trace **trace, FILE *in, const char *name);
void trace_free(struct trace *trace);

/* It has the run's end, and so what a page is made of. */
bool trace_is_whole(const struct trace *trace);

/* Its phases, where its vCPUs were, and what exits and calls cost. */
void trace_print_report(FILE *out, const struct trace *trace);

/* All of the run, as an HTML page that needs nothing else, neither scripts nor files. */
void trace_print_page(FILE *out, const struct trace *trace);

#endif
