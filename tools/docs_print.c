/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of commands and options as manual page and as bash completion. Only tools/docs.c and
 * the tests link this: the binary contains no documentation except --help.
 */
#include "cli/help.h"
#include "cmd/commands.h"

#include <string.h>

/* Text for roff; dashes must stay ASCII to be copied. */
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

/* The argument. Words are literal; others are placeholders. */
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
	for (unsigned i = 0; option_at(list, i); i++)
		roff_option(out, option_at(list, i));
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

/* --- Completion ------------------------------------------------------------------------------- */

/* The fixed parts of the bash script, in their order. */
static const char completion_head[] =
	"# SPDX-License-Identifier: Apache-2.0\n"
	"# bash completion for kinglet; generated from the option tables by `make man`.\n"
	"# shellcheck shell=bash disable=SC2207,SC2221,SC2222 # two lists have an --append\n"
	"\n"
	"_kinglet_folders() { COMPREPLY=($(compgen -d -- \"$1\")); }\n"
	"_kinglet_files() { COMPREPLY=($(compgen -f -- \"$1\")); }\n"
	"_kinglet_words() { COMPREPLY=($(compgen -W \"$2\" -- \"$1\")); }\n"
	"\n"
	"_kinglet_taps()\n"
	"{\n"
	"\tlocal flags taps=\n"
	"\tfor flags in /sys/class/net/*/tun_flags; do\n"
	"\t\tflags=${flags%/tun_flags}\n"
	"\t\ttaps+=\" ${flags##*/}\"\n"
	"\tdone\n"
	"\t_kinglet_words \"$1\" \"${taps#\\ \\*}\"\n"
	"}\n"
	"\n"
	"_kinglet_machines()\n"
	"{\n"
	"\tlocal name\n"
	"\tfor name in \"${XDG_RUNTIME_DIR-}\"/kinglet/*.sock; do\n"
	"\t\tname=${name##*/} name=${name%.sock}\n"
	"\t\t[[ $name == *[!A-Za-z0-9_.-]* ]] || echo \"$name\"\n"
	"\tdone\n"
	"}\n"
	"\n"
	"# The argument that ends with word $1, as $joined, and its first word, as $first: bash makes words\n"
	"# of = and : in it.\n"
	"_kinglet_join()\n"
	"{\n"
	"\tfirst=$1 joined=${COMP_WORDS[$1]}\n"
	"\twhile ((first > 1)) && [[ ${COMP_WORDS[first]} == [=:] || ${COMP_WORDS[first-1]} == [=:] ]]; do\n"
	"\t\tjoined=${COMP_WORDS[--first]}$joined\n"
	"\tdone\n"
	"}\n"
	"\n"
	"# What may follow option $1 when its argument is $2 so far, and $cur the last word of that. Fails\n"
	"# when it takes none.\n"
	"_kinglet_argument()\n"
	"{\n"
	"\tlocal item=${2##*,} keys=\n"
	"\tcase $1 in\n";

static const char completion_keys[] =
	"\t*) return 1 ;;\n"
	"\tesac\n"
	"\t[[ $keys ]] || return 0\n"
	"\tif [[ $item == *=* ]]; then\n"
	"\t\tset -- \"$1,${item%%=*}\" \"${item#*=}\"\n"
	"\telif [[ $2 != *,* ]]; then\n"
	"\t\tset -- \"$1,\" \"$2\"\n"
	"\telse\n"
	"\t\tset -- \"\" \"\"\n"
	"\tfi\n"
	"\t# Those whose names are behind a comma alone belong to the first, which may stand bare.\n"
	"\tcase $1 in\n";

static const char completion_main[] =
	"\t*,|\"\")\n"
	"\t\tCOMPREPLY=($(compgen -P \"${cur%\"$item\"}\" -W \"$keys\" -- \"$item\"))\n"
	"\t\tcompopt +o filenames 2>/dev/null\n"
	"\t\t[[ ${COMPREPLY-} != *= ]] || compopt -o nospace 2>/dev/null ;;\n"
	"\tesac\n"
	"\treturn 0\n"
	"}\n"
	"\n"
	"_kinglet()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} options words='' i first joined whole\n";

static const char completion_tail[] =
	"\t*) return ;;\n"
	"\tesac\n"
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\t[[ ${COMP_WORDS[i]} == -- ]] || continue\n"
	"\t\t# Only exec has files of the host there: its program, and what that works on.\n"
	"\t\t[[ ${COMP_WORDS[1]} == exec ]] || return\n"
	"\t\tif ((i == COMP_CWORD - 1)); then\n"
	"\t\t\tCOMPREPLY=($(compgen -c -- \"$cur\"))\n"
	"\t\telse\n"
	"\t\t\t_kinglet_files \"$cur\"\n"
	"\t\tfi\n"
	"\t\treturn\n"
	"\tdone\n"
	"\t_kinglet_join \"$COMP_CWORD\"\n"
	"\twhole=$joined\n"
	"\t[[ $cur != [=:] ]] || cur=\n"
	"\tif [[ $whole == --*=* ]]; then\n"
	"\t\t_kinglet_argument \"${whole%%=*}\" \"${whole#*=}\" && return\n"
	"\telif ((first > 2)); then\n"
	"\t\t_kinglet_join $((first - 1))\n"
	"\t\t_kinglet_argument \"$joined\" \"$whole\" && return\n"
	"\tfi\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\t_kinglet_words \"$cur\" \"$options\"\n"
	"\telif [[ $words && $cur != */* ]]; then\n"
	"\t\t_kinglet_words \"$cur\" \"$words\"\n"
	"\telse\n"
	"\t\t_kinglet_files \"$cur\"\n"
	"\tfi\n"
	"}\n"
	"complete -o filenames -F _kinglet kinglet\n";

static bool names(const struct option *option, const char *what)
{
	return option->metavar && strcmp(option->metavar, what) == 0;
}

static bool names_tap(const struct option *option)
{
	return strcmp(option->name, "tap") == 0;
}

static void print_words(FILE *out, const struct option *option)
{
	for (const struct option_word *word = option->words; word->word; word++)
		fprintf(out, "%s%s", word == option->words ? "" : " ", word->word);
}

/* Completes the value, $2, of an option or a key, if possible. */
static void print_value(FILE *out, const struct option *option)
{
	if (option->kind == OPTION_WORD) {
		fputs(" _kinglet_words \"$2\" \"", out);
		print_words(out, option);
		fputs("\"", out);
	} else if (names(option, "FILE")) {
		fputs(" _kinglet_files \"$2\"", out);
	} else if (names(option, "DIR")) {
		fputs(" _kinglet_folders \"$2\"", out);
	} else if (names_tap(option)) {
		fputs(" _kinglet_taps \"$2\"", out);
	}
}

/* One line of the case over option names: what may follow it. */
static void print_option_case(FILE *out, const struct option *option)
{
	if (option->kind == OPTION_FLAG)
		return;
	fprintf(out, "\t--%s)", option->name);
	if (option->keys) {
		fputs(" keys=\"", out);
		for (unsigned k = 0; k < option->keys->count; k++)
			fprintf(out, "%s%s%s", k ? " " : "", option->keys->table[k].name,
				option->keys->table[k].kind == OPTION_FLAG ? "" : "=");
		fputs("\"", out);
	} else {
		print_value(out, option);
	}
	fputs(" ;;\n", out);
}

/* The lines of the case over options and keys. */
static void print_key_cases(FILE *out, const struct option *option)
{
	for (unsigned k = 0; option->keys && k < option->keys->count; k++) {
		const struct option *key = &option->keys->table[k];

		if (key->kind != OPTION_WORD && !names(key, "FILE") && !names(key, "DIR") &&
		    !names_tap(key))
			continue;
		if (!k)
			fprintf(out, "\t--%s,|", option->name);
		else
			fputc('\t', out);
		fprintf(out, "--%s,%s)", option->name, key->name);
		print_value(out, key);
		fputs(" ;;\n", out);
	}
}

static void print_option_cases(FILE *out, const struct option_list *list)
{
	for (unsigned i = 0; option_at(list, i); i++)
		print_option_case(out, option_at(list, i));
}

static void print_all_key_cases(FILE *out, const struct option_list *list)
{
	for (unsigned i = 0; option_at(list, i); i++)
		print_key_cases(out, option_at(list, i));
}

/* A variable with the names of a list's options. */
static void print_completion_names(FILE *out, const struct option_list *list)
{
	fprintf(out, "\tlocal %s=\"", list->name);
	for (unsigned i = 0; option_at(list, i); i++)
		fprintf(out, "\n\t\t--%s", option_at(list, i)->name);
	fputs("\"\n", out);
}

static void print_commands(FILE *out)
{
	for (unsigned c = 0; command_table[c]; c++)
		fprintf(out, "%s%s", c ? " " : "", command_table[c]->name);
}

/* One line of the case over commands: the options that it takes, and its words. */
static void print_completion_command(FILE *out, const struct command *command)
{
	fprintf(out, "\t%s) options=\"", command->name);
	for (const struct option_list *const *list = command->options; *list; list++)
		fprintf(out, "%s$%s", list == command->options ? "" : " ", (*list)->name);
	fputc('"', out);
	if (command == &command_help) {
		fputs(" words=\"", out);
		print_commands(out);
		fputc('"', out);
	} else if (strncmp(command->synopsis, "NAME", 4) == 0) {
		fputs(" words=$(_kinglet_machines)", out);
	} else if (command->words) {
		fprintf(out, " words=\"%s\"", command->words);
	}
	fputs(" ;;\n", out);
}

void docs_print_completion(FILE *out)
{
	fputs(completion_head, out);
	for_each_list(out, print_option_cases);
	fputs(completion_keys, out);
	for_each_list(out, print_all_key_cases);
	fputs(completion_main, out);
	for_each_list(out, print_completion_names);
	fputs("\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\t_kinglet_words \"$cur\" \"",
	      out);
	print_commands(out);
	fputs(" --help --version\"\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
	      out);
	for (unsigned c = 0; command_table[c]; c++)
		print_completion_command(out, command_table[c]);
	fputs(completion_tail, out);
}
