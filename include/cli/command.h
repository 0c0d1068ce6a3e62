/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command as data: its options, and what is called with them. Main thread.
 */
#ifndef KINGLET_CLI_COMMAND_H
#define KINGLET_CLI_COMMAND_H

#include "cli/options.h"

/* With an exit status: threads still use the command's data, so the caller must use _exit(2). */
enum { COMMAND_LEAVE = 0x100 };

struct command {
	const char *name;
	const char *synopsis; /* text after the name, or "" */
	const char *summary;  /* one sentence without its full stop */
	const char *about;    /* lines for its --help, or NULL */
	const char *words;    /* possible words of its argument, separated by blanks; or NULL */
	const struct option_list *const *options; /* at most OPTION_LISTS_MAX, then NULL */
	size_t options_size; /* bytes of its struct, which begins with struct common_options */
	/*
	 * Handles an argument that is not an option; NULL: none allowed. Errors as of
	 * options_parse().
	 */
	int (*argument)(struct common_options *options, const char *text);
	/*
	 * Called after parsing; argv: the arguments after `--`, argc -1 without `--`. NULL: none
	 * allowed.
	 */
	int (*finish)(struct common_options *options, int argc, char **argv);
	/* Returns the exit status, or that and COMMAND_LEAVE. */
	int (*run)(struct common_options *options);
};

/* Whether the list is one of the command's. */
bool command_takes(const struct command *command, const struct option_list *list);

/* Whether it runs a machine: it has options for the devices of one. */
bool command_runs_machine(const struct command *command);

#endif
