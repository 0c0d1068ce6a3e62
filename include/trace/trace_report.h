/* SPDX-License-Identifier: Apache-2.0 */
/* What a file of --trace says in sum: `kinglet report`. Main thread. */
#ifndef KINGLET_TRACE_TRACE_REPORT_H
#define KINGLET_TRACE_TRACE_REPORT_H

#include "base/cleanup.h"

#include <stdio.h>

/*
 * Reads a trace and prints its phases, where its vCPUs were, and what exits and calls cost. 0, or
 * -EINVAL after one logged line, that begins with `name`, for a file that Kinglet has not written;
 * -EIO, logged, when it cannot be read; -ENOMEM.
 */
__must_check int trace_report(FILE *out, FILE *trace, const char *name);

#endif
