/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the commands, described once.
 *
 * The tables feed four readers: the parser (options.c), `--help` (help.c), the man page and the
 * bash completion (docs.c). A default is written as typed by a user and goes through the same
 * parser, so the help always shows the real default.
 *
 * All functions run on the main thread.
 */
#ifndef KINGLET_CLI_OPTIONS_H
#define KINGLET_CLI_OPTIONS_H

#include "base/option.h"

struct command;

/*
 * Options that belong together: those of the machine, for several commands, or those of one
 * command.
 */
struct option_list {
	const char *name;  /* one word */
	const char *title; /* heading in the help */
	const struct option *table;
	unsigned count;
};

/*
 * A list's options in order, with those of the device kinds in their place; NULL beyond the end.
 * Kinds that a machine has by default come last.
 */
const struct option *option_at(const struct option_list *list, unsigned i);

/* Its entry of OPTION_DEVICES, or NULL. */
const struct option *option_list_devices(const struct option_list *list);

enum { OPTION_LISTS_MAX = 6, OPTIONS_SAVED_MAX = 64 };

/*
 * What every command's options begin with: the fields of all its option lists are in one struct,
 * and this is its first member.
 */
struct common_options {
	const struct command *command;
	int argc; /* of the command line, for a report */
	char **argv;
	uint64_t started_ns; /* start time of Kinglet, CLOCK_MONOTONIC */
	bool help, version;
	uint64_t given[OPTION_LISTS_MAX]; /* bit i of given[l]: option i of list l */
	uint64_t base_given[OPTION_LISTS_MAX]; /* of options_parse_on(): those of the base */
	char **owned;			  /* split key lists, and strings of options_own() */
	unsigned owned_count;
	/* Those that a snapshot has, defaults too, as words: "--cpus=2". Owned as above. */
	const char *saved[OPTIONS_SAVED_MAX];
	unsigned saved_count;
};

/* --help and --version. */
extern const struct option_list common_option_list;

/*
 * Parses the arguments after the command's name: argc of them, starting with argv[0]. `options` is
 * the head of the command's own struct, all zeroes. 0, or -EINVAL after one logged line with the
 * option, the value, what is allowed and what to do; -ENOMEM. Stops early, with only help or
 * version set, at --help and --version. Always pair with options_destroy(); argv must live until
 * then.
 */
__must_check int options_parse(const struct command *command, struct common_options *options,
			       int argc, char **argv);
/*
 * The same for a line that adds to the options of the command line: *options begins as a copy of
 * *base, whose values it may override, and which must outlive it.
 */
__must_check int options_parse_on(const struct common_options *base,
				  struct common_options *options, int argc, char **argv);
void options_destroy(struct common_options *options);

/* Whether the option, one of the command's, was given on the command line. */
bool options_given(const struct common_options *options, const char *name);
/* The same, or on that of the base, to which this line adds. */
bool options_given_ever(const struct common_options *options, const char *name);

/* Whether a word of `saved` is this option's. */
bool option_has_word(const struct option *option, const char *word);

/*
 * Adds to `saved` an option that belongs to a snapshot, as if it had been given; of a flag, text is
 * NULL. Without a name: an argument. -ENOMEM; -EINVAL after one logged line: there are too many.
 */
__must_check int options_save(struct common_options *options, const char *name, const char *text);

/*
 * Keeps a string for the lifetime of the options. Takes it over in any case; -ENOMEM, also for
 * NULL.
 */
__must_check int options_own(struct common_options *options, char *text);

/*
 * Parses one value into its field. 0, or -EINVAL with what is wrong and what is allowed in `why`.
 * Not for OPTION_FLAG and OPTION_KEYS. Strings are borrowed.
 */
__must_check int option_parse_value(const struct option *option, const char *text, void *field,
				    char *why, size_t len);

/* Writes a number in the form of this kind: "256M", "30s", "0x7c00". */
void option_format_value(enum option_kind kind, uint64_t value, char *text, size_t len);

/* Writes the argument's name for the help: "FILE", "on|off", "FILE[,KEY…]"; empty for flags. */
void option_format_argument(const struct option *option, char *text, size_t len);

/*
 * The replacement for an option of QEMU, by its name without dashes; NULL: not an option of QEMU.
 */
const char *option_habit(const char *typed);

static inline bool option_is_repeatable(const struct option *option)
{
	return option->max_items;
}

#endif
