/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/restored.h"

#include "base/log.h"
#include "base/real_time.h"
#include "cli/command.h"
#include "host/image.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- What the snapshot says ------------------------------------------------------------------- */

static const struct option_list *const lists[] = { &boot_option_list, &machine_option_list, NULL };

/* No command of its own: it parses the words of a snapshot. */
static const struct command words = {
	.name = "restore",
	.options = lists,
	.options_size = sizeof(struct run_options),
	.argument = run_options_kernel,
};

static int parse_words(struct restored *restored)
{
	const struct snapshot *snapshot = restored->snapshot;
	struct run_options *saved = &restored->saved;
	int ret;

	/* What is wrong with one is said as if the user had written it. */
	log_mute(true);
	ret = options_parse(&words, &saved->common, (int)snapshot->word_count,
			    (char **)snapshot->words);
	if (!ret && saved->config.boot.kernel)
		ret = options_save(&saved->common, NULL, saved->config.boot.kernel);
	log_mute(false);
	if (ret)
		log_error("%s: its options are not those of a machine (see kinglet state show)",
			  snapshot->path);
	return ret;
}

static int check_size(const struct restored *restored)
{
	const struct machine_config *config = &restored->saved.config;
	const struct snapshot_info *info = &restored->snapshot->info;

	if (config->cpus == info->cpus && config->memory == info->memory)
		return 0;
	log_error("%s: %u CPUs and %llu bytes of RAM, but its options say %u and %llu",
		  restored->snapshot->path, info->cpus, (unsigned long long)info->memory,
		  config->cpus, (unsigned long long)config->memory);
	return -EINVAL;
}

/* --- What the command line says --------------------------------------------------------------- */

static int refuse_decided(const struct run_options *options)
{
	const struct option_list *const *list = options->common.command->options;
	const struct option *option;

	for (; *list; list++) {
		for (unsigned i = 0; (option = option_at(*list, i)); i++) {
			if (!option->saved || !options_given_ever(&options->common, option->name))
				continue;
			log_error("--%s: the saved machine has its own; leave it out",
				  option->name);
			return -EINVAL;
		}
	}
	return 0;
}

static bool is_given(const struct run_options *options, const struct device_kind *kind)
{
	return options_given_ever(&options->common, kind->option.name);
}

/*
 * The guest knows what it has read of a disk, and would damage one that has changed since then. One
 * that is named anew is the user's affair: a copy, for example.
 */
static int check_disk(const struct restored *restored, const struct run_options *options,
		      const struct device_config *device)
{
	const struct image_options *image = (const void *)device->config;
	uint64_t changed_ns;
	struct stat st;

	/* One that moves is still in use. */
	if (options->config.incoming)
		return 0;
	if (!device->kind->has_image || !image->path || image->readonly ||
	    is_given(options, device->kind) || stat(image->path, &st) || !S_ISREG(st.st_mode))
		return 0;
	changed_ns = timespec_ns(st.st_mtim);
	if (changed_ns <= restored->snapshot->info.saved_ns)
		return 0;
	log_error("--%s %.200s: has changed since the machine was saved; a guest that goes on with it "
		  "would damage it. Name a copy made then, or save the machine anew",
		  device->kind->option.name, image->path);
	return -EINVAL;
}

static int check_disks(const struct restored *restored, const struct run_options *options)
{
	const struct device_set *devices = &options->config.devices;
	int ret = 0;

	for (unsigned i = 0; i < devices->count && !ret; i++)
		ret = check_disk(restored, options, &devices->items[i]);
	return ret;
}

static unsigned count_of(const struct device_set *set, const struct device_kind *kind)
{
	unsigned count = 0;

	while (device_set_get(set, kind, count))
		count++;
	return count;
}

static int replace(struct device_set *set, const struct run_options *options,
		   const struct device_kind *kind)
{
	const struct device_set *given = &options->config.devices;
	unsigned count = count_of(set, kind);

	if (count != count_of(given, kind)) {
		log_error("--%s: given %u times; the saved machine has %u of them",
			  kind->option.name, count_of(given, kind), count);
		return -EINVAL;
	}
	for (unsigned i = 0; i < set->count; i++)
		if (set->items[i].kind == kind)
			memcpy(set->items[i].config,
			       device_set_get(given, kind, set->items[i].instance),
			       DEVICE_CONFIG_MAX);
	return 0;
}

static const struct device_kind *kind_of_word(const char *word)
{
	const struct device_kind *const *kind = device_kinds;

	while (*kind && !option_has_word(&(*kind)->option, word))
		kind++;
	return *kind;
}

/* The words of the next snapshot: of devices that were given anew, the command line's. */
static void add_words(struct restored *restored, const struct run_options *options,
		      const struct common_options *from, bool given)
{
	for (unsigned i = 0; i < from->saved_count; i++) {
		const struct device_kind *kind = kind_of_word(from->saved[i]);

		if ((kind && is_given(options, kind)) == given &&
		    restored->word_count < OPTIONS_SAVED_MAX)
			restored->words[restored->word_count++] = from->saved[i];
	}
}

/* --- Both ------------------------------------------------------------------------------------- */

/* What a reboot boots, unless an earlier Kinglet has saved the machine. */
static void take_boot(struct machine_config *config, struct run_options *saved)
{
	struct boot_options *boot = &saved->config.boot;

	config->on_reboot = saved->config.on_reboot;
	if (!boot->kernel)
		return;
	if (boot->initrd && !strcmp(boot->initrd, "none"))
		boot->initrd = NULL;
	boot->cmdline = saved->append ? saved->append : "";
	boot->cpus = config->cpus;
	boot->firmware_tables = config->acpi;
	config->reboot = boot;
}

static int merge(struct restored *restored, struct run_options *options)
{
	struct machine_config *config = &options->config;
	struct machine_config *saved = &restored->saved.config;
	int ret = 0;

	for (unsigned i = 0; device_kinds[i] && !ret; i++)
		if (is_given(options, device_kinds[i]))
			ret = replace(&saved->devices, options, device_kinds[i]);
	if (ret)
		return ret;
	add_words(restored, options, &restored->saved.common, false);
	add_words(restored, options, &options->common, true);
	config->cpus = saved->cpus;
	config->memory = saved->memory;
	config->irqchip = saved->irqchip;
	config->acpi = saved->acpi;
	config->console = saved->console;
	config->serial = saved->console == CONSOLE_STDIO ? SERIAL_OFF : saved->serial;
	config->snapshot_port = saved->snapshot_port;
	config->devices = saved->devices;
	config->words = restored->words;
	config->word_count = restored->word_count;
	config->restore = restored->snapshot;
	config->debugged = options->gdb.listen;
	take_boot(config, &restored->saved);
	return 0;
}

/* The arguments after -- are for the guest's runner: one line. */
static int join_args(struct run_options *options, int argc, char **argv)
{
	_cleanup_free_ char *line = NULL;
	size_t len = 0;
	FILE *out = argc > 0 ? open_memstream(&line, &len) : NULL;
	int ret = argc > 0 && !out ? -ENOMEM : 0;

	for (int i = 0; i < argc && out; i++)
		fprintf(out, "%s%s", i ? " " : "", argv[i]);
	if (out && fclose(out) == EOF)
		ret = -ENOMEM;
	if (ret || argc <= 0)
		return ret;
	if (len > RESTORE_ARGS_MAX || memchr(line, '\n', len)) {
		log_error("the arguments after --: one line of at most %d bytes for the guest",
			  RESTORE_ARGS_MAX);
		return -EINVAL;
	}
	if (!options->config.snapshot_port) {
		log_error("the arguments after --: the saved machine has no port kinglet.snapshot "
			  "to read them from; save one that ran with --snapshot-port");
		return -EINVAL;
	}
	options->config.restore_args = line;
	return options_own(&options->common, steal_ptr(line));
}

static int open_and_merge(struct restored *restored, struct run_options *options, const char *dir,
			  int argc, char **argv)
{
	int ret = refuse_decided(options);

	if (!ret && options->config.boot.kernel) {
		log_error("%.80s: the snapshot %.80s has its kernel; leave one of them out",
			  options->config.boot.kernel, dir);
		ret = -EINVAL;
	}
	if (!ret && !restored->snapshot)
		ret = snapshot_open(&restored->snapshot, dir);
	if (!ret)
		ret = parse_words(restored);
	if (!ret)
		ret = check_size(restored);
	if (!ret)
		ret = merge(restored, options);
	if (!ret)
		ret = join_args(options, argc, argv);
	if (ret)
		return ret;
	ret = check_disks(restored, options);
	if (ret)
		return ret;
	options->config.boot.kernel = dir;
	options->config.boot.cmdline = "";
	ret = run_options_check(options);
	return ret ? ret : run_options_check_files(options);
}

int restored_open(struct restored *restored, struct run_options *options, const char *dir, int argc,
		  char **argv)
{
	int ret = open_and_merge(restored, options, dir, argc, argv);

	if (ret)
		restored_close(restored);
	return ret;
}

void restored_close(struct restored *restored)
{
	options_destroy(&restored->saved.common);
	snapshot_free(restored->snapshot);
	restored->snapshot = NULL;
}
