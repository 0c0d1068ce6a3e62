/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "cli/options.h"

#include <string.h>

enum { HELP_COLUMN = 25, HELP_WIDTH = 79 };

/* Writes words from column `at` on, broken at spaces to stay between HELP_COLUMN and HELP_WIDTH. */
static void print_wrapped(FILE *out, unsigned at, const char *text)
{
	while (*text) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (at + 1 + len > HELP_WIDTH || at < HELP_COLUMN) {
			fprintf(out, "%s%*s", at < HELP_COLUMN ? "" : "\n",
				at < HELP_COLUMN ? (int)(HELP_COLUMN - at) : HELP_COLUMN, "");
			at = HELP_COLUMN;
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
	/* A long left side keeps a line to itself. */
	if (at >= HELP_COLUMN) {
		fputc('\n', out);
		at = 0;
	}
	print_wrapped(out, (unsigned)at, text);
}

static void print_option(FILE *out, const struct option *option)
{
	char left[64], argument[40];

	option_format_argument(option, argument, sizeof(argument));
	snprintf(left, sizeof(left), "  --%s%s%s", option->name, *argument ? " " : "", argument);
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

void help_print(FILE *out)
{
	fputs("Usage: kinglet run KERNEL [options] [-- init arguments]\n"
	      "       kinglet help\n"
	      "       kinglet version\n"
	      "\n"
	      "Boots KERNEL in a virtual machine. It may be a bzImage, an ELF64 vmlinux, an\n"
	      "image with a PVH note, a Multiboot 1 image, or with --flat any binary.\n"
	      "Ctrl-A x ends the run, Ctrl-A Ctrl-A sends one Ctrl-A to the guest.\n"
	      "\n"
	      "Options of run (--name VALUE or --name=VALUE):\n",
	      out);
	for (unsigned i = 0; i < run_option_count; i++)
		print_option(out, &run_option_table[i]);
	fputs("\n"
	      "Exit status: 0 the guest powered off or rebooted; 100 usage; 101 the host\n"
	      "cannot; 102 guest panic; 103 triple fault; 104 internal error; 124 timeout;\n"
	      "128+n signal n; any other was set by the guest. See the manual page kinglet(1).\n",
	      out);
}
