/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands behind main(): one file each. Main thread.
 */
#ifndef KINGLET_CLI_COMMANDS_H
#define KINGLET_CLI_COMMANDS_H

#include "machine/config.h"
#include "machine/machine.h"

#include <stdio.h>

/* Exit statuses of Kinglet's own; those of a run come with its verdict. */
enum { EXIT_USAGE = 100, EXIT_HOST = 101 };

/* `kinglet run`; argv is what follows the word. Returns the exit status. */
int cmd_run(int argc, char **argv);

/* `kinglet help` and `kinglet version`; what flush_stdout() returns. */
int cmd_help(void);
int cmd_version(void);

/* EXIT_SUCCESS, or EXIT_HOST after one logged line when standard output takes no more. */
int flush_stdout(void);

/*
 * Prints the machine that `config` describes, for --dry-run. 0, or -EINVAL after one logged line
 * when a file is missing or the memory cannot be laid out.
 */
__must_check int dry_run_print(FILE *out, const struct machine_config *config);

/*
 * The verdict line, without the program's name: how a run ended that did not end well. Empty when
 * there is nothing to say: status 0, or an error that was logged where it happened.
 */
void verdict_format(const struct verdict *verdict, double seconds, char *text, size_t len);

#endif
