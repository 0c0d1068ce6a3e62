/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands behind main(): one file each, described by one table. Main thread.
 */
#ifndef KINGLET_CMD_COMMANDS_H
#define KINGLET_CMD_COMMANDS_H

#include "cli/command.h"
#include "machine/config.h"
#include "machine/machine.h"

#include <stdio.h>

/* Exit statuses of Kinglet's own; those of a run come with its verdict. */
enum { EXIT_USAGE = 100, EXIT_HOST = 101, EXIT_LOST = 104 };

struct guest_log;
struct run_options;

extern const struct command command_run, command_test, command_exec, command_kernel, command_report,
	command_doctor, command_help, command_version;

/* All of them, in the order of the help; ends with NULL. */
extern const struct command *const command_table[];

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

/* What `kinglet --help` prints: the commands. */
void help_print(FILE *out);

/* Logs one line with the commands that there are. */
void command_log_unknown(const char *name);

/*
 * Parses what follows the command's name, and does what it says. Returns the exit status, or that
 * and COMMAND_LEAVE.
 */
int command_execute(const struct command *command, int argc, char **argv);

/*
 * machine_run() on the host's kernel, and the seconds since config.started_ns. Who looks on: the
 * observers of the config, those that the options ask for, and the reader of the consoles, which is
 * `log` with its listeners, or NULL. 0, or COMMAND_LEAVE when the machine did not stop.
 */
__must_check int run_timed(const struct run_options *options, struct guest_log *log,
			   struct verdict *verdict, double *seconds);

/* EXIT_SUCCESS, or EXIT_HOST after one logged line when standard output has not taken all. */
int flush_stdout(void);

/*
 * Looks at all that machine_run() would look at without /dev/kvm, then prints the machine that the
 * options describe, for --dry-run. 0, or a negative errno after one logged line; then nothing is
 * printed.
 */
__must_check int dry_run_print(FILE *out, const struct run_options *options);

/*
 * The verdict line, without the program's name: how a run ended that did not end well, or by a
 * reboot. Empty when there is nothing to say: status 0, or an error that was logged where it
 * happened.
 */
void verdict_format(const struct verdict *verdict, double seconds, char *text, size_t len);

/* "powered-off", as programs read it; static. */
const char *outcome_word(enum outcome outcome);

#endif
