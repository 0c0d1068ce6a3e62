/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `kinglet run`, described once.
 *
 * run_option_table feeds four readers: the parser (options.c), `--help` (help.c), the man page and
 * the bash completion (docs.c). A default is written as one would type it and goes through the same
 * parser, so what the help says is what happens.
 *
 * All functions run on the main thread.
 */
#ifndef KINGLET_CLI_OPTIONS_H
#define KINGLET_CLI_OPTIONS_H

#include "base/cleanup.h"
#include "machine/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The form of an option's argument, and the type of the field that it sets. */
enum option_kind {
	OPTION_FLAG,	 /* no argument; bool */
	OPTION_STRING,	 /* min..max bytes; const char * */
	OPTION_NUMBER,	 /* decimal or 0x…; unsigned or uint64_t */
	OPTION_SIZE,	 /* K, M, G, T; a plain number is MiB; uint64_t bytes */
	OPTION_ADDRESS,	 /* a number, K, M or G allowed; uint64_t */
	OPTION_DURATION, /* ms, s, m, h; a plain number is seconds; uint64_t ns */
	OPTION_WORD,	 /* one of words; bool or enum */
	OPTION_MAC,	 /* 00:11:22:33:44:55; uint8_t[6] */
	OPTION_KEYS,	 /* value,key=value,flag,…; described by keys */
};

/* A word list ends with a NULL word. */
struct option_word {
	const char *word;
	uint64_t value;
};

struct option_keys;

struct option {
	const char *name;    /* without dashes */
	const char *metavar; /* what the help calls the argument; NULL for flags and words */
	const char *help;    /* one sentence without its full stop */
	const char *initial; /* default as typed; NULL: the field stays zero */
	enum option_kind kind;
	uint64_t min, max;		 /* numbers: value; strings: bytes */
	const struct option_word *words; /* OPTION_WORD */
	const struct option_keys *keys;	 /* OPTION_KEYS */
	size_t offset, size; /* the field, inside struct run_options or the key list's item */
};

/* The keys of one OPTION_KEYS argument. The first key may be given bare: `--disk root.img`. */
struct option_keys {
	const struct option *table;
	unsigned count;
	unsigned max_items;  /* 1: the option sets one item; more: it is repeatable */
	size_t item_size;    /* repeatable: stride of the array at option->offset */
	size_t count_offset; /* repeatable: unsigned in struct run_options */
	/*
	 * All keys are parsed; bit i of `given` is set when table[i] was given. Sets what follows
	 * from that. Returns NULL, or what is wrong with the combination and what to do.
	 */
	const char *(*finish)(void *item, uint64_t given);
};

enum { RUN_OPTIONS_OWNED = CONFIG_MAX_DISKS + CONFIG_MAX_NETS + CONFIG_MAX_SCSIS + 3 };

/* What `kinglet run` was asked to do. Strings are borrowed from argv or from owned[]. */
struct run_options {
	struct machine_config config;
	const char *append; /* --append as given, or NULL; the whole line is in config.boot */
	bool dry_run, help, version;
	char *owned[RUN_OPTIONS_OWNED]; /* split key lists and the command line */
	unsigned owned_count;
};

extern const struct option run_option_table[];
extern const unsigned run_option_count;

/*
 * Parses what follows `run` on the command line: argv[0] is the first of it, argc their count.
 * 0, or -EINVAL after one logged line that names the option, the value, what is allowed and what to
 * do; -ENOMEM. Stops early, with only help or version set, at --help and --version. Always pair
 * with run_options_destroy(); argv must live as long.
 */
__must_check int run_options_parse(struct run_options *options, int argc, char **argv);
void run_options_destroy(struct run_options *options);

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

/* The name in the table that `typed` was most likely meant to be, or NULL. */
const struct option *option_nearest(const struct option *table, unsigned count, const char *typed);

static inline bool option_is_repeatable(const struct option *option)
{
	return option->keys && option->keys->max_items > 1;
}

#endif
