/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of commands and options as text: for the terminal, the man page and bash. Main thread;
 * errors of the stream stay in the stream, for the caller to look at with ferror().
 */
#ifndef KINGLET_CLI_HELP_H
#define KINGLET_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* Of help: where the second column begins, and where lines end. */
enum { HELP_COLUMN = 25, HELP_WIDTH = 79 };

/*
 * Writes words and a newline from column `at` on, broken at spaces to stay from `column` on and
 * within `width` columns; a word that is longer stands alone.
 */
void help_print_wrapped(FILE *out, unsigned at, unsigned column, unsigned width, const char *text);

/* What the exit statuses of those that run a machine mean. */
void help_print_exit_statuses(FILE *out);

/* What `kinglet COMMAND --help` prints: its options. */
void help_print_command(FILE *out, const struct command *command);

/* The SYNOPSIS and the OPTIONS part of kinglet(1), as roff with the man macros. */
void docs_print_man_commands(FILE *out);
void docs_print_man_options(FILE *out);

/* The whole bash completion script. */
void docs_print_completion(FILE *out);

#endif
