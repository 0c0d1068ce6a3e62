/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "words.h"

#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/nearest.h"
#include "devices/kind.h"

#include <stdio.h>
#include <string.h>

static bool is_named(const struct option *option, const char *name, size_t len)
{
	return strncmp(option->name, name, len) == 0 && !option->name[len];
}

/* Its place in the table, or -1. */
static int find_key(const struct option_keys *keys, const char *name, size_t len)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (is_named(&keys->table[i], name, len))
			return (int)i;
	return -1;
}

static void *field_of(const struct option *option, void *base)
{
	return (char *)base + option->offset;
}

/* Writes "; did you mean X?", or if no name is similar, `otherwise`. */
static void suggest(const struct option_list *const *lists, const char *typed, const char *dashes,
		    const char *otherwise, char *text, size_t len)
{
	struct nearest nearest = { .typed = typed };

	for (; *lists; lists++)
		for (unsigned i = 0; option_at(*lists, i); i++)
			nearest_offer(&nearest, option_at(*lists, i)->name);
	if (nearest.name)
		snprintf(text, len, "; did you mean %s%s?", dashes, nearest.name);
	else
		snprintf(text, len, "%s", otherwise);
}

/* An option that was found, and its bit in given[list]. */
struct match {
	const struct option *option; /* NULL: there is none */
	unsigned list;		     /* of the command */
	uint64_t bit;
};

/* The field in `base` for the next value of an option or key; NULL: no more are possible. */
static void *next_item(const struct option *option, void *base)
{
	unsigned *count = (unsigned *)((char *)base + option->count_offset);
	char *field = field_of(option, base);

	if (!option_is_repeatable(option))
		return field;
	return *count == option->max_items ? NULL :
					     field + (*count)++ * (option->size / option->max_items);
}

/* The same for an option, which may be a device's. */
static void *next_field(struct common_options *options, const struct option_list *list,
			const struct option *option)
{
	const struct device_kind *kind = option_device_kind(option);
	void *config;

	if (!kind)
		return next_item(option, options);
	config = device_set_add(field_of(option_list_devices(list), options), kind);
	return config ? field_of(option, config) : NULL;
}

static int set_default(const struct option *option, void *field)
{
	char why[160];

	if (option_parse_value(option, option->initial, field, why, sizeof(why)) < 0) {
		log_error("%s: default %s: %s", option->name, option->initial, why);
		return -EINVAL;
	}
	return 0;
}

/* --- Key lists ------------------------------------------------------------------------------- */

/* Cuts the next item from *rest at a single comma; a doubled comma is a comma in the value. */
static char *cut_item(char **rest)
{
	char *start = *rest, *in = start, *out = start;
	bool more;

	while (*in && (*in != ',' || in[1] == ',')) {
		in += *in == ',';
		*out++ = *in++;
	}
	more = *in == ',';
	*out = '\0';
	*rest = more ? in + 1 : NULL;
	return start;
}

/* `item` is not a key; with or without a value; that of the first key may be a name. */
static void log_unknown_key(const struct option *option, const char *text, const char *item,
			    bool first, bool has_value)
{
	const struct option_keys *keys = option->keys;
	const struct option_list list = { .table = keys->table, .count = keys->count };
	const struct option_list *const lists[] = { &list, NULL };
	bool may_be_name = keys->table[0].kind == OPTION_STRING;
	char known[300], why[300], hint[64] = "";
	struct text list_of_them = text_of(known, sizeof(known));

	for (unsigned i = 0; i < keys->count; i++)
		text_add(&list_of_them, "%s%s", i ? ", " : "; known: ", keys->table[i].name);
	if (may_be_name && first)
		snprintf(hint, sizeof(hint), "; to give a name with = in it, begin with %s=",
			 keys->table[0].name);
	else if (may_be_name && !has_value)
		text_add(&list_of_them, "; a comma in a name is written twice");
	suggest(lists, item, "", known, why, sizeof(why));
	log_error("--%s %.80s: unknown key %.40s%s%s", option->name, text, item, why, hint);
}

/* The key of an item; bare, the first item is a flag's name or the value of the first key. */
static int item_key(const struct option_keys *keys, const char *item, bool first)
{
	size_t len = strcspn(item, "=");
	int key = find_key(keys, item, len);

	return first && !item[len] && (key < 0 || keys->table[key].kind != OPTION_FLAG) ? 0 : key;
}

/* Checks how often the key is given, and that it has a value if it needs one. */
static int check_key(const struct option *option, const char *text, const struct option *key,
		     const char *value, bool again)
{
	char argument[160];

	if (again && !option_is_repeatable(key)) {
		log_error("--%s %.80s: %s is given twice; keep one", option->name, text, key->name);
	} else if (key->kind == OPTION_FLAG && value) {
		log_error("--%s %.80s: %s takes no value; write it alone, or leave it out",
			  option->name, text, key->name);
	} else if (key->kind != OPTION_FLAG && !value) {
		option_format_argument(key, argument, sizeof(argument));
		log_error("--%s %.80s: %s needs a value; write %s=%s", option->name, text,
			  key->name, key->name, argument);
	} else {
		return 0;
	}
	return -EINVAL;
}

static int parse_item(const struct option *option, const char *text, char *item, bool first,
		      void *base, uint64_t *given)
{
	const struct option_keys *keys = option->keys;
	size_t name_len = strcspn(item, "=");
	const char *value = item[name_len] ? item + name_len + 1 : NULL;
	const int index = item_key(keys, item, first);
	const struct option *key = &keys->table[index > 0 ? index : 0];
	char why[160];
	uint64_t bit;
	void *field;

	if (index < 0) {
		item[name_len] = '\0';
		log_unknown_key(option, text, item, first, value);
		return -EINVAL;
	}
	bit = UINT64_C(1) << index;
	if (first && !value && key->kind != OPTION_FLAG)
		value = item;
	if (check_key(option, text, key, value, *given & bit))
		return -EINVAL;
	*given |= bit;
	field = next_item(key, base);
	if (!field) {
		log_error("--%s %.80s: %s: only %u are possible; leave out one", option->name, text,
			  key->name, key->max_items);
		return -EINVAL;
	}
	if (key->kind == OPTION_FLAG) {
		*(bool *)field = true;
	} else if (option_parse_value(key, value, field, why, sizeof(why)) < 0) {
		log_error("--%s %.80s: %s %.80s: %s", option->name, text, key->name, value, why);
		return -EINVAL;
	}
	return 0;
}

/* Parses one key list into `base`, which holds zeros. */
static int parse_keys(const struct option *option, const char *text, void *base,
		      struct common_options *options)
{
	char *rest = strdup(text);
	uint64_t given = 0;
	const char *wrong;
	bool first = true;
	int ret;

	ret = options_own(options, rest);
	for (unsigned i = 0; i < option->keys->count && !ret; i++)
		if (option->keys->table[i].initial)
			ret = set_default(&option->keys->table[i],
					  field_of(&option->keys->table[i], base));
	for (; !ret && rest; first = false)
		ret = parse_item(option, text, cut_item(&rest), first, base, &given);
	if (ret)
		return ret;
	wrong = option->keys->finish ? option->keys->finish(base, given) : NULL;
	if (wrong) {
		log_error("--%s %.80s: %s", option->name, text, wrong);
		return -EINVAL;
	}
	return 0;
}

/* --- Options --------------------------------------------------------------------------------- */

static int parse_value(const struct option *option, const char *text, void *field,
		       struct common_options *options)
{
	char why[160];

	if (option->kind == OPTION_KEYS)
		return parse_keys(option, text, field, options);
	if (option_parse_value(option, text, field, why, sizeof(why)) < 0) {
		log_error("--%s %.80s: %s", option->name, text, why);
		return -EINVAL;
	}
	return 0;
}

/* The command's option of this name, or of this letter if not 0. */
static struct match find(const struct common_options *options, const char *name, size_t len,
			 char letter)
{
	const struct option_list *const *lists = options->command->options;

	for (unsigned l = 0; lists[l]; l++) {
		const struct option *option;

		for (unsigned i = 0; (option = option_at(lists[l], i)); i++)
			if (letter ? option->letter == letter : is_named(option, name, len))
				return (struct match){ option, l, UINT64_C(1) << i };
	}
	return (struct match){ .option = NULL };
}

/*
 * The option whose name is `typed`, up to its end or to an equals sign; of two the longer one,
 * because a name may contain such a sign (explain=html). *len is that of the name.
 */
static struct match find_typed(const struct common_options *options, const char *typed, size_t *len)
{
	const char *end = typed + strlen(typed);
	struct match match = { .option = NULL };

	for (; end && !match.option; end = memrchr(typed, '=', *len)) {
		*len = (size_t)(end - typed);
		match = find(options, typed, *len, 0);
	}
	return match;
}

bool options_given(const struct common_options *options, const char *name)
{
	struct match match = find(options, name, strlen(name), 0);

	return match.option && options->given[match.list] & match.bit;
}

bool options_given_ever(const struct common_options *options, const char *name)
{
	struct match match = find(options, name, strlen(name), 0);

	return options_given(options, name) ||
	       (match.option && options->base_given[match.list] & match.bit);
}

int options_save(struct common_options *options, const char *name, const char *text)
{
	if (!name)
		return options_record_word(options, text, options->saved_count);
	return options_record(options, find(options, name, strlen(name), 0).option, text);
}

static int parse_option(struct common_options *options, const struct match *match, const char *text)
{
	const struct option *option = match->option;
	void *field = next_field(options, options->command->options[match->list], option);

	if (!field) {
		log_error("--%s %.80s: only %u are possible; leave out one", option->name, text,
			  option->max_items);
		return -EINVAL;
	}
	if (option->kind != OPTION_FLAG)
		return parse_value(option, text, field, options);
	*(bool *)field = true;
	return 0;
}

/* The name of an option that may be followed by an equals sign and a value. */
static void cut_name(const char *text, char name[32])
{
	snprintf(name, 32, "%.*s", (int)strcspn(text, "="), text);
}

/* -append is not -a with a value: QEMU's long options have one dash. */
static bool is_long_name(const struct common_options *options, const char *text)
{
	char name[32];

	cut_name(text, name);
	return name[0] && name[1] &&
	       (option_habit(name) || find(options, name, strlen(name), 0).option);
}

/*
 * `name` is `arg` without its dashes. With two of them, a typing error is more likely than QEMU's
 * name.
 */
static void log_unknown_option(const struct common_options *options, const char *arg,
			       const char *name)
{
	const struct command *command = options->command;
	char typed[32], otherwise[120], why[160];
	const char *habit = NULL;

	cut_name(name, typed);
	if (command_runs_machine(command))
		habit = option_habit(typed);
	if (habit)
		snprintf(otherwise, sizeof(otherwise), "; %s", habit);
	else
		snprintf(otherwise, sizeof(otherwise), "; see kinglet %s --help", command->name);
	suggest(command->options, typed, "--", otherwise, why, sizeof(why));
	log_error("%.80s: unknown option%s", arg, habit && arg[1] != '-' ? otherwise : why);
}

/*
 * The option of an argument that begins with a dash; *value is the text after its `=`, or after the
 * letter of -j4, else NULL. None after one logged line.
 */
static struct match find_option(const struct common_options *options, const char *arg,
				const char **value)
{
	struct match match = { .option = NULL };
	const char *name = arg + 1;
	size_t len = 1;

	if (*name == '-')
		match = find_typed(options, ++name, &len);
	else if (!is_long_name(options, name))
		match = find(options, name, 1, *name);
	if (!match.option)
		log_unknown_option(options, arg, name);
	else if (name[len])
		*value = name + len + (arg[1] == '-');
	return match;
}

/*
 * One argument that begins with a dash, and its value: in the same argument, or the next one.
 * Returns how many arguments were used.
 */
static int take_option(struct common_options *options, int argc, char **argv)
{
	const char *value = NULL;
	const struct match match = find_option(options, argv[0], &value);
	const struct option *option = match.option;
	uint64_t *given = &options->given[match.list];
	char text[160];
	int used = 1, ret;

	if (!option)
		return -EINVAL;
	if (option->kind == OPTION_FLAG && value) {
		log_error("%.80s: takes no value; write --%s alone, or leave it out", argv[0],
			  option->name);
		return -EINVAL;
	}
	if (option->kind != OPTION_FLAG && !value) {
		/* `--initrd --append x` is more likely a forgotten value than a file's name. */
		if (argc < 2 || strncmp(argv[1], "--", 2) == 0) {
			option_format_argument(option, text, sizeof(text));
			log_error("--%s needs a value; write --%s=%s", option->name, option->name,
				  text);
			return -EINVAL;
		}
		value = argv[1];
		used = 2;
	}
	if (*given & match.bit && !option_is_repeatable(option)) {
		log_error("--%s is given twice; keep one", option->name);
		return -EINVAL;
	}
	*given |= match.bit;
	ret = parse_option(options, &match, value);
	if (!ret)
		ret = options_record(options, option, value);
	return ret ? ret : used;
}

static int take_argument(struct common_options *options, const char *text)
{
	const struct command *command = options->command;

	if (command->argument)
		return command->argument(options, text);
	log_error("%.80s: kinglet %s takes no such argument; see kinglet %s --help", text,
		  command->name, command->name);
	return -EINVAL;
}

/* argc: the number of arguments after `--`, -1 without `--`. */
static int finish(struct common_options *options, int argc, char **argv)
{
	const struct command *command = options->command;

	if (command->finish)
		return command->finish(options, argc, argv);
	if (argc < 0)
		return 0;
	log_error("kinglet %s takes nothing behind --", command->name);
	return -EINVAL;
}

static int parse(struct common_options *options, int argc, char **argv)
{
	int used, ret = 0;

	for (; argc && strcmp(argv[0], "--") != 0; argc -= used, argv += used) {
		used = 1;
		if (argv[0][0] == '-' && argv[0][1])
			used = take_option(options, argc, argv);
		else
			ret = take_argument(options, argv[0]);
		if (used < 0 || ret)
			return ret ? ret : used;
		if (options->help || options->version)
			return 0;
	}
	return finish(options, argc - 1, argv + 1);
}

static int set_defaults(struct common_options *options, const struct option_list *list)
{
	const struct option *option;
	int ret = 0;

	for (unsigned i = 0; !ret && (option = option_at(list, i)); i++)
		if (option->initial) {
			ret = set_default(option, next_field(options, list, option));
			if (!ret)
				ret = options_record(options, option, option->initial);
		}
	return ret;
}

int options_parse(const struct command *command, struct common_options *options, int argc,
		  char **argv)
{
	int ret = 0;

	options->command = command;
	options->argc = argc;
	options->argv = argv;
	for (unsigned l = 0; command->options[l] && !ret; l++)
		ret = set_defaults(options, command->options[l]);
	return ret ? ret : parse(options, argc, argv);
}

int options_parse_on(const struct common_options *base, struct common_options *options, int argc,
		     char **argv)
{
	memcpy(options, base, base->command->options_size);
	memcpy(options->base_given, base->given, sizeof(base->given));
	memset(options->given, 0, sizeof(options->given));
	options->owned = NULL;
	options->owned_count = 0;
	return parse(options, argc, argv);
}

void options_destroy(struct common_options *options)
{
	while (options->owned_count)
		free(options->owned[--options->owned_count]);
	free(steal_ptr(options->owned));
}
