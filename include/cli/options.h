/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the commands, described once.
 *
 * The tables feed four readers: the parser (options.c), `--help` (help.c), the man page and the
 * bash completion (docs.c). A default is written as one would type it and goes through the same
 * parser, so what the help says is what happens.
 *
 * All functions run on the main thread.
 */
#ifndef KINGLET_CLI_OPTIONS_H
#define KINGLET_CLI_OPTIONS_H

#include "base/option.h"

struct command;

/* Options that belong together: those of the machine, which several commands take, or one's own. */
struct option_list {
	const char *name;  /* one word */
	const char *title; /* what they are about, for people */
	const struct option *table;
	unsigned count;
};

/*
 * A list's options in their order, those of the device kinds in their place; NULL beyond the end.
 * Of the kinds, those that a machine has unasked come last.
 */
const struct option *option_at(const struct option_list *list, unsigned i);

/* Its entry of OPTION_DEVICES, or NULL. */
const struct option *option_list_devices(const struct option_list *list);

enum { OPTION_LISTS_MAX = 6 };

/*
 * What every command's options begin with: the fields of all its option lists are in one struct,
 * whose first member this is.
 */
struct common_options {
	const struct command *command;
	int argc; /* of the command line, for a report */
	char **argv;
	uint64_t started_ns; /* when Kinglet was, CLOCK_MONOTONIC */
	bool help, version;
	uint64_t given[OPTION_LISTS_MAX]; /* bit i of given[l]: option i of list l */
	char **owned;			  /* split key lists, and what options_own() was given */
	unsigned owned_count;
};

/* --help and --version. */
extern const struct option_list common_option_list;

/*
 * Parses what follows the command's name: argv[0] is the first of it, argc their count. `options`
 * is the head of the command's own struct, all zeroes. 0, or -EINVAL after one logged line that
 * names the option, the value, what is allowed and what to do; -ENOMEM. Stops early, with only help
 * or version set, at --help and --version. Always pair with options_destroy(); argv must live as
 * long.
 */
__must_check int options_parse(const struct command *command, struct common_options *options,
			       int argc, char **argv);
/*
 * The same for a line that goes on from options of the command line: *options begins as a copy of
 * *base, whose values it may override, and which must live as long.
 */
__must_check int options_parse_on(const struct common_options *base,
				  struct common_options *options, int argc, char **argv);
void options_destroy(struct common_options *options);

/* Whether the option was on the command line; one of the command's. */
bool options_given(const struct common_options *options, const char *name);

/* Keeps a string for as long as the options live. Takes it in any case; -ENOMEM, also for NULL. */
__must_check int options_own(struct common_options *options, char *text);

/*
 * Parses one value into its field. 0, or -EINVAL with what is wrong and what is allowed in `why`.
 * Not for OPTION_FLAG and OPTION_KEYS. Strings are borrowed.
 */
__must_check int option_parse_value(const struct option *option, const char *text, void *field,
				    char *why, size_t len);

/* Writes a number in the form in which this kind is typed: "256M", "30s", "0x7c00". */
void option_format_value(enum option_kind kind, uint64_t value, char *text, size_t len);

/* Writes the argument's name for people: "FILE", "on|off", "FILE[,KEY…]"; empty for flags. */
void option_format_argument(const struct option *option, char *text, size_t len);

/* What to do instead of an option of QEMU, by its name without dashes; NULL: it has none such. */
const char *option_habit(const char *typed);

static inline bool option_is_repeatable(const struct option *option)
{
	return option->max_items;
}

#endif
