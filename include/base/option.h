/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as data: name, form, and destination of the value. A table is kept with the code that it
 * describes, in any layer; cli parses and prints them (cli/options.h).
 */
#ifndef KINGLET_BASE_OPTION_H
#define KINGLET_BASE_OPTION_H

#include "base/cleanup.h"

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
	OPTION_FDS,	 /* 3:4:5, from 3 on, all different; struct fd_list */
	OPTION_KEYS,	 /* value,key=value,flag,…; described by keys */
	OPTION_DEVICES,	 /* no option: here stand those of all device kinds; struct device_set */
};

/* How the file that a string names is used. */
enum option_file { FILE_NONE, FILE_INPUT, FILE_FOLDER, FILE_OUTPUT };

/* A word list ends with a NULL word. */
struct option_word {
	const char *word;
	uint64_t value;
};

/* on, off */
extern const struct option_word option_on_off[];

enum { FD_LIST_MAX = 16 };

/* Inherited fds by their numbers, all different. */
struct fd_list {
	unsigned count;
	int fds[FD_LIST_MAX];
};

struct option_keys;

struct option {
	const char *name;    /* without dashes */
	char letter;	     /* short form -X; 0: none */
	const char *metavar; /* name of the argument in the help; NULL for flags and words */
	const char *help;    /* one sentence without its full stop */
	const char *initial; /* default as typed; NULL: the field stays zero */
	enum option_kind kind;
	uint64_t min, max;		 /* numbers: value; strings: bytes */
	const struct option_word *words; /* OPTION_WORD */
	const struct option_keys *keys;	 /* OPTION_KEYS */
	enum option_file file;		 /* OPTION_STRING: it names one */
	bool saved; /* it says what the machine is: a snapshot has it. So do those of devices */
	size_t offset, size; /* the field, inside the command's struct or the key list's item */
	unsigned max_items;  /* repeatable: size of the array; else 0 */
	size_t count_offset; /* repeatable: unsigned, how many were given */
};

/* Where an option's value goes. The null pointer is never followed: sizeof does not evaluate. */
#define OPTION_FIELD(type, member)                                                                 \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/*
 * The keys of one OPTION_KEYS argument, of which some may be repeatable. The first key may be given
 * bare, as the first item: `--disk root.img`, unless that is the name of a flag.
 */
struct option_keys {
	const struct option *table;
	unsigned count;
	/*
	 * All keys are parsed; bit i of `given` is set when table[i] was given. Sets dependent
	 * fields. Returns NULL, or what is wrong with the combination and what to do. May be NULL.
	 */
	const char *(*finish)(void *item, uint64_t given);
};

#endif
