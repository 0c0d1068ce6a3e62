/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line. Main thread.
 */
#ifndef KINGLET_CMD_CMDLINE_H
#define KINGLET_CMD_CMDLINE_H

#include "cmd/run_options.h"

/*
 * Builds the line: what --root needs; `append` unchanged, or the default for the options; then the
 * init arguments after ` -- `, quoted for the kernel's parser. The caller frees *line. -EINVAL after
 * one logged line for an argument that cannot be passed; -ENOMEM.
 */
__must_check int cmdline_build(const struct run_options *options, int init_argc, char **init_argv,
			       char **line);

/*
 * The value of the last `name`= before the arguments of init, of *len bytes of the line, with its
 * quotes if it has any; NULL: there is none.
 */
const char *cmdline_value(const char *line, const char *name, size_t *len);

/*
 * The level below which Linux prints messages on its consoles (4: errors, but no warnings), set by
 * `quiet`, `loglevel=` and the like on the line; -1: not set.
 */
int cmdline_loglevel(const char *line);

#endif
