/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of commands and options as text: for the terminal, the man page and bash. Main thread;
 * errors of the stream stay in the stream; the caller checks ferror().
 */
#ifndef KINGLET_CLI_HELP_H
#define KINGLET_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* Start of the second column, and line width of the help. */
enum { HELP_COLUMN = 25, HELP_WIDTH = 79 };

/*
 * Writes words and a newline, starting at column `at`, wrapped at spaces between `column` and
 * `width`; a longer word gets its own line.
 */
void help_print_wrapped(FILE *out, unsigned at, unsigned column, unsigned width, const char *text);

/* The meaning of the exit statuses of commands that run a machine. */
void help_print_exit_statuses(FILE *out);

/* What `kinglet COMMAND --help` prints: its options. */
void help_print_command(FILE *out, const struct command *command);

/* The SYNOPSIS and the OPTIONS part of kinglet(1), as roff with the man macros. */
void docs_print_man_commands(FILE *out);
void docs_print_man_options(FILE *out);

/* The whole bash completion script. */
void docs_print_completion(FILE *out);

#endif
