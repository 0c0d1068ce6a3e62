/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "base/log.h"
#include "cli/cmdline.h"

#include <stdio.h>
#include <string.h>

/* What was given so far; bit i stands for run_option_table[i]. */
struct parse {
	struct run_options *options;
	uint64_t given;
};

static void *field_of(const struct option *option, void *base)
{
	return (char *)base + option->offset;
}

static const struct option *find(const struct option *table, unsigned count, const char *name,
				 size_t len)
{
	for (unsigned i = 0; i < count; i++) {
		if (strncmp(table[i].name, name, len) == 0 && !table[i].name[len])
			return &table[i];
	}
	return NULL;
}

/* Writes "; did you mean X? known: A, B, C", each name behind `dashes`. */
static void describe_known(const struct option *table, unsigned count, const char *typed,
			   const char *dashes, char *text, size_t len)
{
	const struct option *nearest = option_nearest(table, count, typed);
	size_t used = 0;

	text[0] = '\0';
	if (nearest)
		used = (size_t)snprintf(text, len, "; did you mean %s%s?", dashes, nearest->name);
	for (unsigned i = 0; i < count && used < len; i++)
		used += (size_t)snprintf(text + used, len - used, "%s%s%s",
					 i		? ", "
					 : nearest	? " (known: "
							: "; known: ",
					 dashes, table[i].name);
	if (nearest && used < len)
		snprintf(text + used, len - used, ")");
}

static int set_initial(const struct option *table, unsigned count, void *base)
{
	char why[160];

	for (unsigned i = 0; i < count; i++) {
		if (table[i].initial &&
		    option_parse_value(&table[i], table[i].initial, field_of(&table[i], base), why,
				       sizeof(why)) < 0) {
			log_error("%s: default %s: %s", table[i].name, table[i].initial, why);
			return -EINVAL;
		}
	}
	return 0;
}

/* Keeps a string for as long as the options live. Takes ownership of `text`, NULL included. */
static int own(struct run_options *options, char *text)
{
	if (!text)
		return -ENOMEM;
	options->owned[options->owned_count++] = text;
	return 0;
}

/* --- Key lists ------------------------------------------------------------------------------- */

/* Cuts the next item off *rest at a single comma; a doubled comma is one comma of the value. */
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

static int parse_item(const struct option *option, const char *text, char *item, bool first,
		      void *base, uint64_t *given)
{
	const struct option_keys *keys = option->keys;
	size_t name_len = strcspn(item, "=");
	const char *value = item[name_len] ? item + name_len + 1 : NULL;
	const struct option *key = first && !value ? &keys->table[0] :
						     find(keys->table, keys->count, item, name_len);
	char why[400];

	if (!key) {
		item[name_len] = '\0';
		describe_known(keys->table, keys->count, item, "", why, sizeof(why));
		log_error("--%s %.80s: unknown key %.40s%s%s%s%s", option->name, text, item, why,
			  first ? "; to give a name with = in it, begin with " : "",
			  first ? keys->table[0].name : "", first ? "=" : "");
		return -EINVAL;
	}
	if (first && !value)
		value = item;
	if (*given >> (key - keys->table) & 1) {
		log_error("--%s %.80s: %s is given twice; keep one", option->name, text, key->name);
		return -EINVAL;
	}
	*given |= UINT64_C(1) << (key - keys->table);
	if (key->kind == OPTION_FLAG) {
		if (value) {
			log_error("--%s %.80s: %s takes no value; write it alone, or leave it out",
				  option->name, text, key->name);
			return -EINVAL;
		}
		*(bool *)field_of(key, base) = true;
		return 0;
	}
	if (!value) {
		option_format_argument(key, why, sizeof(why));
		log_error("--%s %.80s: %s needs a value; write %s=%s", option->name, text,
			  key->name, key->name, why);
		return -EINVAL;
	}
	if (option_parse_value(key, value, field_of(key, base), why, sizeof(why)) < 0) {
		log_error("--%s %.80s: %s %.80s: %s", option->name, text, key->name, value, why);
		return -EINVAL;
	}
	return 0;
}

/* Parses one key list into `base`, which holds zeros. */
static int parse_keys(const struct option *option, const char *text, void *base,
		      struct run_options *options)
{
	char *rest = strdup(text);
	uint64_t given = 0;
	const char *wrong;
	bool first = true;
	int err;

	err = own(options, rest);
	if (!err)
		err = set_initial(option->keys->table, option->keys->count, base);
	for (; !err && rest; first = false)
		err = parse_item(option, text, cut_item(&rest), first, base, &given);
	if (err)
		return err;
	wrong = option->keys->finish(base, given);
	if (wrong) {
		log_error("--%s %.80s: %s", option->name, text, wrong);
		return -EINVAL;
	}
	return 0;
}

static int parse_keys_option(const struct option *option, const char *text,
			     struct run_options *options)
{
	const struct option_keys *keys = option->keys;
	char *base = field_of(option, options);
	unsigned *count;
	int err;

	if (!option_is_repeatable(option))
		return parse_keys(option, text, base, options);
	count = (unsigned *)((char *)options + keys->count_offset);
	if (*count == keys->max_items) {
		log_error("--%s %.80s: only %u are possible; leave out one", option->name, text,
			  keys->max_items);
		return -EINVAL;
	}
	err = parse_keys(option, text, base + *count * keys->item_size, options);
	if (!err)
		++*count;
	return err;
}

/* --- Options --------------------------------------------------------------------------------- */

static int parse_option(struct parse *parse, const struct option *option, const char *text)
{
	uint64_t bit = UINT64_C(1) << (option - run_option_table);
	void *field = field_of(option, parse->options);
	char why[160];

	if (parse->given & bit && !option_is_repeatable(option)) {
		log_error("--%s is given twice; keep one", option->name);
		return -EINVAL;
	}
	parse->given |= bit;
	if (option->kind == OPTION_FLAG) {
		*(bool *)field = true;
		return 0;
	}
	if (option->kind == OPTION_KEYS)
		return parse_keys_option(option, text, parse->options);
	if (option_parse_value(option, text, field, why, sizeof(why)) < 0) {
		log_error("--%s %.80s: %s", option->name, text, why);
		return -EINVAL;
	}
	return 0;
}

/*
 * One argument that begins with a dash, and its value: behind `=`, or the next argument. Returns
 * how many arguments were used.
 */
static int take_option(struct parse *parse, int argc, char **argv)
{
	const char *name = argv[0] + 2;
	size_t name_len;
	const char *value;
	const struct option *option = NULL;
	char text[480];
	int used = 1, err;

	if (argv[0][1] == '-') {
		name_len = strcspn(name, "=");
		option = find(run_option_table, run_option_count, name, name_len);
	}
	if (!option) {
		char typed[32];

		snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(argv[0], "="), argv[0]);
		describe_known(run_option_table, run_option_count, typed + strspn(typed, "-"), "--",
			       text, sizeof(text));
		log_error("%.80s: unknown option%s", argv[0], text);
		return -EINVAL;
	}
	value = name[name_len] ? name + name_len + 1 : NULL;
	if (option->kind == OPTION_FLAG && value) {
		log_error("%.80s: takes no value; write --%s alone, or leave it out", argv[0],
			  option->name);
		return -EINVAL;
	}
	if (option->kind != OPTION_FLAG && !value) {
		/* `--initrd --append x` is a forgotten value far more often than a file's name. */
		if (argc < 2 || strncmp(argv[1], "--", 2) == 0) {
			option_format_argument(option, text, sizeof(text));
			log_error("--%s needs a value; write --%s=%s", option->name, option->name,
				  text);
			return -EINVAL;
		}
		value = argv[1];
		used = 2;
	}
	err = parse_option(parse, option, value);
	return err ? err : used;
}

static int take_kernel(struct run_options *options, const char *path)
{
	if (options->config.boot.kernel) {
		log_error("%.80s: a second kernel beside %.80s; give one, and arguments for the "
			  "guest's init behind --",
			  path, options->config.boot.kernel);
		return -EINVAL;
	}
	if (!*path) {
		log_error("the kernel's name is empty; write kinglet run KERNEL");
		return -EINVAL;
	}
	options->config.boot.kernel = path;
	return 0;
}

static bool was_given(const struct parse *parse, const char *name)
{
	const struct option *option = find(run_option_table, run_option_count, name, strlen(name));

	return parse->given >> (option - run_option_table) & 1;
}

/* What follows from several options together. */
static int finish(struct parse *parse, int init_argc, char **init_argv)
{
	struct run_options *options = parse->options;
	struct machine_config *config = &options->config;
	char *line = NULL;
	int err;

	if (!config->boot.kernel) {
		log_error("no kernel is given; write kinglet run KERNEL [options]");
		return -EINVAL;
	}
	if (config->memory % (1 << 20)) {
		log_error("--memory must be a whole number of MiB; write for example --memory 64M");
		return -EINVAL;
	}
	/* Standard input has one reader. */
	if (config->console == CONSOLE_STDIO) {
		if (was_given(parse, "serial") && config->serial == SERIAL_STDIO) {
			log_error("--console stdio: --serial has stdio already; turn one of them off");
			return -EINVAL;
		}
		config->serial = SERIAL_OFF;
	}
	if (config->hugepages && config->memory % (2 << 20)) {
		log_error("--hugepages: --memory must be a multiple of 2M");
		return -EINVAL;
	}
	err = cmdline_build(options, init_argc, init_argv, &line);
	if (!err)
		err = own(options, line);
	config->boot.cmdline = line;
	config->boot.cpus = config->cpus;
	config->boot.firmware_tables = config->acpi;
	return err;
}

int run_options_parse(struct run_options *options, int argc, char **argv)
{
	struct parse parse = { .options = options };
	int used, err;

	memset(options, 0, sizeof(*options));
	err = set_initial(run_option_table, run_option_count, options);
	if (err)
		return err;
	for (; argc && strcmp(argv[0], "--") != 0; argc -= used, argv += used) {
		used = 1;
		if (argv[0][0] == '-' && argv[0][1])
			used = take_option(&parse, argc, argv);
		else
			err = take_kernel(options, argv[0]);
		if (used < 0 || err)
			return err ? err : used;
		if (options->help || options->version)
			return 0;
	}
	return finish(&parse, argc ? argc - 1 : 0, argv + 1);
}

void run_options_destroy(struct run_options *options)
{
	while (options->owned_count)
		free(options->owned[--options->owned_count]);
}
