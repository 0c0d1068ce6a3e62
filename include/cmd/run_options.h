/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of every command that runs a machine. Such a command's own struct begins with struct
 * run_options, and its option lists with machine_option_list. Main thread.
 */
#ifndef KINGLET_CMD_RUN_OPTIONS_H
#define KINGLET_CMD_RUN_OPTIONS_H

#include "cli/files.h"
#include "cli/options.h"
#include "cmd/kernel.h"
#include "cmd/root.h"
#include "control/server.h"
#include "gdb/server.h"
#include "machine/config.h"
#include "trace/observer.h"

/* Strings are borrowed from argv or owned by common. */
struct run_options {
	struct common_options common;
	struct machine_config config;
	struct watch_config watch;
	struct gdb_config gdb;
	struct control_config control;
	struct root_options root; /* --root, of run */
	const char *snapshot_on; /* --snapshot-on */
	const char *incoming;	 /* --incoming, of run */
	struct restored *restored; /* of that, owned by the command; or NULL */
	bool stats; /* print statistics at the end and on SIGUSR1 */
	const char *append; /* --append as given, or NULL; the whole line is in config.boot */
	bool shows_warnings; /* the default command line lets the kernel print them */
	bool dry_run;
	bool kernel_needed; /* there is no default */
	const struct kernel_places *places; /* NULL: those of the host */
};

/* Options of the machine and its run; and of the kernel, for commands that leave it to the user. */
extern const struct option_list machine_option_list;
extern const struct option_list boot_option_list;

/* struct command's `argument`: the kernel. */
__must_check int run_options_kernel(struct common_options *options, const char *path);

/* Checks the machine's options for conflicts; sets a default kernel if none is given. */
__must_check int run_options_check(struct run_options *options);

/* No file of the run may overwrite another: -EINVAL after one logged line. */
__must_check int run_options_check_files(const struct run_options *options);

/* Adds the kernel and the files of the command's options, except those of the list `without`. */
__must_check int run_options_add_files(struct file_set *set, const struct run_options *options,
				       const struct option_list *without);

/*
 * struct command's `finish`: sets what depends on several options, and the kernel command line with
 * the arguments for the guest's init.
 */
__must_check int run_options_finish(struct common_options *options, int init_argc,
				    char **init_argv);

#endif
