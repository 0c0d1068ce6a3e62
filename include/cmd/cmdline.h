/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line. Main thread.
 */
#ifndef KINGLET_CMD_CMDLINE_H
#define KINGLET_CMD_CMDLINE_H

#include "cmd/run_options.h"

/*
 * Puts the line together: `append` as it is, or the default that suits the options, then the init
 * arguments behind ` -- `, quoted as the kernel's parser wants it. The caller frees *line.
 * -EINVAL after one logged line for an argument that cannot be passed so; -ENOMEM.
 */
__must_check int cmdline_build(const struct run_options *options, int init_argc, char **init_argv,
			       char **line);

/*
 * The level below which Linux prints messages on its consoles (4: errors, but no warnings), as
 * `quiet`, `loglevel=` and the like on the line say; -1: they say nothing.
 */
int cmdline_loglevel(const char *line);

#endif
