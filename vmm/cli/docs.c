/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table as manual page and as bash completion. Only tools/docs.c and the tests link
 * this: the binary carries no documentation but its --help.
 */
#include "cli/help.h"
#include "cli/options.h"

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

static void roff_row(FILE *out, const struct option *option, const char *dashes,
		     const char *between)
{
	char argument[40];

	option_format_argument(option, argument, sizeof(argument));
	fputs(".TP\n\\fB", out);
	roff_text(out, dashes);
	roff_text(out, option->name);
	fprintf(out, "%s\\fR", *argument ? between : "");
	/* Words are typed as they stand; other arguments are replaced. */
	fputs(option->kind == OPTION_WORD ? "\\fB" : "\\fI", out);
	roff_text(out, argument);
	fputs("\\fR\n", out);
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

void docs_print_man_options(FILE *out)
{
	for (unsigned i = 0; i < run_option_count; i++) {
		const struct option_keys *keys = run_option_table[i].keys;

		roff_row(out, &run_option_table[i], "--", " ");
		if (!keys)
			continue;
		fputs(".RS\n", out);
		for (unsigned k = 0; k < keys->count; k++)
			roff_row(out, &keys->table[k], "", "=");
		fputs(".RE\n", out);
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

void docs_print_completion(FILE *out)
{
	fputs("# SPDX-License-Identifier: Apache-2.0\n"
	      "# bash completion for kinglet; generated from the option table by `make man`.\n"
	      "# shellcheck shell=bash disable=SC2207\n"
	      "_kinglet()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"run help version --help --version\" -- \"$cur\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\t[[ ${COMP_WORDS[1]} == run ]] || return\n"
	      "\t# bash splits at the equals sign: --name = value\n"
	      "\tif [[ $cur == \"=\" ]]; then\n"
	      "\t\tcur=\n"
	      "\telif [[ $prev == \"=\" ]]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\tfi\n"
	      "\tcase $prev in\n",
	      out);
	for (unsigned i = 0; i < run_option_count; i++)
		print_completion_case(out, &run_option_table[i]);
	fputs("\tesac\n"
	      "\tif [[ $cur == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"\n",
	      out);
	for (unsigned i = 0; i < run_option_count; i++)
		fprintf(out, "\t\t\t--%s\n", run_option_table[i].name);
	fputs("\t\t\" -- \"$cur\"))\n"
	      "\telse\n"
	      "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	      "\tfi\n"
	      "}\n"
	      "complete -o filenames -F _kinglet kinglet\n",
	      out);
}
