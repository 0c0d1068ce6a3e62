/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kinglet exec` in two parts: its command line (options.c), and the run (exec.c).
 */
#ifndef KINGLET_CMD_EXEC_H
#define KINGLET_CMD_EXEC_H

#include "cmd/exec_base.h"
#include "cmd/run_options.h"
#include "guestlog/guest_log.h"
#include "guestlog/tail.h"

enum { EXEC_MAX_DIRS = 16, EXEC_MAX_ENV = 256, EXEC_MAX_MODULES = EXEC_NAMES_MAX - 1 };

/* Kernel messages are shown only if the guest failed. */
struct exec_console {
	struct guest_log log;
	struct tail tail;
	bool image_failed; /* unpacking failed */
};

struct exec_options {
	struct run_options run;
	const char *root, *workdir, *modules, *append;
	const char *dirs[EXEC_MAX_DIRS], *env[EXEC_MAX_ENV];
	const char *module_names[EXEC_NAMES_MAX]; /* and that of a live root */
	unsigned dir_count, env_count, module_count;
	bool verbose, no_cache;
	bool live; /* the root is the folder itself */
	char **args; /* the program and its arguments */
	bool without_modules; /* there is no module folder */
	uint64_t enough;      /* memory for the image, the kernel and PROGRAM */
	char initrd[32];	      /* path of the archive */
	struct exec_dir parsed_dirs[EXEC_MAX_DIRS];
	char *parsed_env[EXEC_MAX_ENV + 3]; /* and PATH, HOME, NULL */
	struct exec_console console;
	bool begun; /* the guest has taken some of its program's files */
};

extern const struct option_list exec_option_list;

/* struct command's `finish`: completes and checks the options. */
__must_check int exec_options_finish(struct common_options *common, int argc, char **argv);

/*
 * Whether the run may begin in a machine that an earlier one has saved: no option shows the boot, or
 * gives the machine a part of the host.
 */
bool exec_options_allow_cache(const struct exec_options *options);

#endif
