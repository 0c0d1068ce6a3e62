/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <ctype.h>
#include <string.h>

void help_print_wrapped(FILE *out, unsigned at, unsigned column, unsigned width, const char *text)
{
	while (*text) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (at + 1 + len > width || at < column) {
			fprintf(out, "%s%*s", at < column ? "" : "\n",
				(int)(at < column ? column - at : column), "");
			at = column;
		} else {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", (int)len, text);
		at += len;
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

static void print_row(FILE *out, const char *left, const struct option *option)
{
	char text[400];
	int at = fprintf(out, "%s", left);

	snprintf(text, sizeof(text), "%s%s%s%s%s", option->help,
		 option_is_repeatable(option) ? "; repeatable" : "",
		 option->initial ? " (default " : "", option->initial ? option->initial : "",
		 option->initial ? ")" : "");
	/* A long left side gets its own line. */
	if (at >= HELP_COLUMN) {
		fputc('\n', out);
		at = 0;
	}
	help_print_wrapped(out, (unsigned)at, HELP_COLUMN, HELP_WIDTH, text);
}

static void print_option(FILE *out, const struct option *option)
{
	char left[64], argument[40];

	option_format_argument(option, argument, sizeof(argument));
	snprintf(left, sizeof(left), "  --%s%s%s", option->name, *argument ? " " : "", argument);
	if (option->letter)
		snprintf(left + strlen(left), sizeof(left) - strlen(left), ", -%c%s%s",
			 option->letter, *argument ? " " : "", argument);
	print_row(out, left, option);
	if (!option->keys)
		return;
	for (unsigned i = 0; i < option->keys->count; i++) {
		const struct option *key = &option->keys->table[i];

		option_format_argument(key, argument, sizeof(argument));
		snprintf(left, sizeof(left), "      %s%s%s", key->name, *argument ? "=" : "",
			 argument);
		print_row(out, left, key);
	}
}

void help_print_exit_statuses(FILE *out)
{
	fputs("\n"
	      "Exit status: 0 the guest powered off or rebooted; 100 usage; 101 the host\n"
	      "cannot; 102 guest panic; 103 triple fault; 104 internal error; 124 timeout;\n"
	      "128+n signal n; any other was set by the guest. See the manual page kinglet(1).\n",
	      out);
}

void help_print_command(FILE *out, const struct command *command)
{
	fprintf(out, "Usage: kinglet %s%s%s\n\n%c%s.\n", command->name,
		*command->synopsis ? " " : "", command->synopsis, toupper(command->summary[0]),
		command->summary + 1);
	if (command->about)
		fputs(command->about, out);
	for (const struct option_list *const *list = command->options; *list; list++) {
		fprintf(out, "\n%s:\n", (*list)->title);
		for (unsigned i = 0; option_at(*list, i); i++)
			print_option(out, option_at(*list, i));
	}
	if (command_runs_machine(command))
		help_print_exit_statuses(out);
}
