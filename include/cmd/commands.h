/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: one file each, described by one table. Main thread.
 */
#ifndef KINGLET_CMD_COMMANDS_H
#define KINGLET_CMD_COMMANDS_H

#include "cli/command.h"
#include "machine/config.h"
#include "machine/machine.h"

#include <stdio.h>

/* Exit statuses of Kinglet itself; those of a run are in its verdict. */
enum { EXIT_USAGE = 100, EXIT_HOST = 101, EXIT_LOST = 104 };

struct guest_log;
struct run_options;

extern const struct command command_run, command_test, command_exec, command_restore, command_state,
	command_kernel, command_report, command_doctor, command_help, command_version;

/* Those that speak to a running machine. */
extern const struct command command_list, command_info, command_stats, command_pause, command_resume,
	command_stop, command_resize, command_snapshot, command_migrate, command_wait, command_events,
	command_console;

/* All of them, in the order of the help; ends with NULL. */
extern const struct command *const command_table[];

/* NULL if there is no such command. */
const struct command *command_find(const char *name);

/* What `kinglet --help` prints: the commands. */
void help_print(FILE *out);

/* Logs one line with the existing commands. */
void command_log_unknown(const char *name);

/*
 * Parses the arguments after the command's name and runs the command. Returns the exit status,
 * possibly with COMMAND_LEAVE.
 */
int command_execute(const struct command *command, int argc, char **argv);

/*
 * machine_run() on the host's kernel, and the seconds since config.started_ns. Observers are those
 * of the config, those enabled by options, and the reader of the consoles: `log` with its
 * listeners, or NULL. 0, or COMMAND_LEAVE when the machine did not stop.
 */
__must_check int run_timed(const struct run_options *options, struct guest_log *log,
			   struct verdict *verdict, double *seconds);

/*
 * What kinglet run does: the machine, or --dry-run. Returns the exit status, possibly with
 * COMMAND_LEAVE.
 */
__must_check int run_or_describe(const struct run_options *options);

/* EXIT_SUCCESS, or EXIT_HOST after one logged line when a write to standard output failed. */
int flush_stdout(void);

/*
 * Checks everything that machine_run() checks, except /dev/kvm, then prints the machine described
 * by the options, for --dry-run. 0, or a negative errno after one logged line; then nothing is
 * printed.
 */
__must_check int dry_run_print(FILE *out, const struct run_options *options);

/*
 * The verdict line, without the program's name, for a run that failed or ended by a reboot. Empty
 * for status 0, or an error that was already logged.
 */
void verdict_format(const struct verdict *verdict, double seconds, char *text, size_t len);

/* "powered-off", as programs read it; static. */
const char *outcome_word(enum outcome outcome);

#endif
