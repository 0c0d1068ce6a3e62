/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of commands and options as manual page and as bash completion. Only tools/docs.c and
 * the tests link this: the binary carries no documentation but its --help.
 */
#include "cli/help.h"
#include "cli/commands.h"

#include <string.h>

/* Text for roff, where a dash must stay one that can be copied. */
static void roff_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\'')
			fputs("\\(cq", out);
		else
			fputc(*text, out);
	}
}

/* The argument. Words are typed as they stand; others are replaced. */
static void roff_argument(FILE *out, const struct option *option, const char *between)
{
	char argument[40];

	option_format_argument(option, argument, sizeof(argument));
	fprintf(out, "%s\\fR%s", *argument ? between : "",
		option->kind == OPTION_WORD ? "\\fB" : "\\fI");
	roff_text(out, argument);
	fputs("\\fR", out);
}

static void roff_row(FILE *out, const struct option *option, const char *dashes,
		     const char *between)
{
	fputs(".TP\n\\fB", out);
	roff_text(out, dashes);
	roff_text(out, option->name);
	roff_argument(out, option, between);
	if (option->letter) {
		fprintf(out, ", \\fB\\-%c", option->letter);
		roff_argument(out, option, " ");
	}
	fputc('\n', out);
	roff_text(out, option->help);
	if (option_is_repeatable(option))
		fputs("; repeatable", out);
	fputc('.', out);
	if (option->initial) {
		fputs(" Default: \\fB", out);
		roff_text(out, option->initial);
		fputs("\\fR.", out);
	}
	fputc('\n', out);
}

static void roff_option(FILE *out, const struct option *option)
{
	const struct option_keys *keys = option->keys;

	roff_row(out, option, "--", " ");
	if (!keys)
		return;
	fputs(".RS\n", out);
	for (unsigned k = 0; k < keys->count; k++)
		roff_row(out, &keys->table[k], "", "=");
	fputs(".RE\n", out);
}

/*
 * Calls `print` for each option list once, in the order of the first command that takes it; lists
 * that every command takes come last.
 */
static void for_each_list(FILE *out, void (*print)(FILE *out, const struct option_list *list))
{
	for (unsigned c = 0; command_table[c]; c++) {
		const struct option_list *const *list = command_table[c]->options;

		for (; *list; list++) {
			bool seen = *list == &common_option_list;

			for (unsigned before = 0; before < c; before++)
				seen = seen || command_takes(command_table[before], *list);
			if (!seen)
				print(out, *list);
		}
	}
	print(out, &common_option_list);
}

/* .SS Heading (commands) */
static void roff_list(FILE *out, const struct option_list *list)
{
	const char *between = " (";

	fprintf(out, ".SS %s", list->title);
	for (unsigned c = 0; list != &common_option_list && command_table[c]; c++) {
		if (!command_takes(command_table[c], list))
			continue;
		fprintf(out, "%s%s", between, command_table[c]->name);
		between = ", ";
	}
	fputs(list == &common_option_list ? "\n" : ")\n", out);
	for (unsigned i = 0; i < list->count; i++)
		roff_option(out, &list->table[i]);
}

void docs_print_man_options(FILE *out)
{
	for_each_list(out, roff_list);
}

void docs_print_man_commands(FILE *out)
{
	for (unsigned c = 0; command_table[c]; c++) {
		fprintf(out, ".TP\n\\fBkinglet %s\\fR \\fI", command_table[c]->name);
		roff_text(out, command_table[c]->synopsis);
		fputs("\\fR\n", out);
		roff_text(out, command_table[c]->summary);
		fputs(".\n", out);
	}
}

static bool names_file(const struct option *option)
{
	return option->metavar && strcmp(option->metavar, "FILE") == 0;
}

/* One line of the case over option names: what may follow it. */
static void print_completion_case(FILE *out, const struct option *option)
{
	if (option->kind == OPTION_FLAG)
		return;
	fprintf(out, "\t--%s)\n", option->name);
	if (option->kind == OPTION_WORD) {
		fputs("\t\tCOMPREPLY=($(compgen -W \"", out);
		for (const struct option_word *word = option->words; word->word; word++)
			fprintf(out, "%s%s", word == option->words ? "" : " ", word->word);
		fputs("\" -- \"$cur\"))\n", out);
	} else if (names_file(option)) {
		fputs("\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n", out);
	}
	fputs("\t\treturn ;;\n", out);
}

static void print_completion_cases(FILE *out, const struct option_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		print_completion_case(out, &list->table[i]);
}

/* A variable with the names of a list's options. */
static void print_completion_names(FILE *out, const struct option_list *list)
{
	fprintf(out, "\tlocal %s=\"", list->name);
	for (unsigned i = 0; i < list->count; i++)
		fprintf(out, "\n\t\t--%s", list->table[i].name);
	fputs("\"\n", out);
}

/* One line of the case over commands: the options that it takes. */
static void print_completion_command(FILE *out, const struct command *command)
{
	fprintf(out, "\t%s) options=\"", command->name);
	for (const struct option_list *const *list = command->options; *list; list++)
		fprintf(out, "%s$%s", list == command->options ? "" : " ", (*list)->name);
	fputs("\" ;;\n", out);
}

void docs_print_completion(FILE *out)
{
	fputs("# SPDX-License-Identifier: Apache-2.0\n"
	      "# bash completion for kinglet; generated from the option tables by `make man`.\n"
	      "# shellcheck shell=bash disable=SC2207\n"
	      "_kinglet()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options\n",
	      out);
	for_each_list(out, print_completion_names);
	fputs("\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"",
	      out);
	for (unsigned c = 0; command_table[c]; c++)
		fprintf(out, "%s ", command_table[c]->name);
	fputs("--help --version\" -- \"$cur\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
	      out);
	for (unsigned c = 0; command_table[c]; c++)
		print_completion_command(out, command_table[c]);
	fputs("\t*) return ;;\n"
	      "\tesac\n"
	      "\t# bash splits at the equals sign: --name = value\n"
	      "\tif [[ $cur == \"=\" ]]; then\n"
	      "\t\tcur=\n"
	      "\telif [[ $prev == \"=\" ]]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\tfi\n"
	      "\tcase $prev in\n",
	      out);
	for_each_list(out, print_completion_cases);
	fputs("\tesac\n"
	      "\tif [[ $cur == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	      "\telif [[ ${COMP_WORDS[1]} == help ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"",
	      out);
	for (unsigned c = 0; command_table[c]; c++)
		fprintf(out, "%s%s", c ? " " : "", command_table[c]->name);
	fputs("\" -- \"$cur\"))\n"
	      "\telse\n"
	      "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	      "\tfi\n"
	      "}\n"
	      "complete -o filenames -F _kinglet kinglet\n",
	      out);
}
