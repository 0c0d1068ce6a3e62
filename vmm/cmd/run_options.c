/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_options.h"

#include "base/log.h"
#include "cmd/cmdline.h"
#include "cmd/commands.h"
#include "cmd/duplicates.h"
#include "cmd/kernels.h"
#include "machine/snapshot.h"

#include <ctype.h>
#include <string.h>

enum { SAVED_LINE_MAX = 32 << 10 };

static struct run_options *run_options_of(struct common_options *options)
{
	return container_of(options, struct run_options, common);
}

int run_options_kernel(struct common_options *common, const char *path)
{
	struct run_options *options = run_options_of(common);

	if (options->config.boot.kernel) {
		log_error("%.80s: a second kernel beside %.80s; give one, and arguments for the "
			  "guest's init after --",
			  path, options->config.boot.kernel);
		return -EINVAL;
	}
	if (!*path) {
		log_error("the kernel's name is empty; write kinglet %s KERNEL",
			  common->command->name);
		return -EINVAL;
	}
	options->config.boot.kernel = path;
	return 0;
}

static int take_default_kernel(struct run_options *options)
{
	struct kernel_places places;
	struct utsname host;
	char *path;
	int ret;

	kernels_host_places(&places, &host);
	ret = kernels_default(options->places ? options->places : &places,
			      options->common.command->name, &path);
	if (ret)
		return ret == -ENOMEM ? ret : -EINVAL;
	options->config.boot.kernel = path;
	return options_own(&options->common, path);
}

static int check_control(const struct run_options *options)
{
	char why[256];
	int ret = control_config_check(&options->control, why, sizeof(why));

	if (ret)
		log_error("%s", why);
	return ret;
}

static int check_snapshot(const struct run_options *options)
{
	static const char *const of_it[] = { "snapshot-on", "snapshot-end" };
	const struct machine_config *config = &options->config;

	for (unsigned i = 0; i < ARRAY_SIZE(of_it) && !config->snapshot; i++) {
		if (!options_given_ever(&options->common, of_it[i]))
			continue;
		log_error("--%s: nothing is saved without --snapshot DIR; give that, too",
			  of_it[i]);
		return -EINVAL;
	}
	if (config->snapshot_port && config->console == CONSOLE_OFF) {
		log_error("--snapshot-port: it is a port of virtio-console, which --console off "
			  "leaves out");
		return -EINVAL;
	}
	return config->snapshot && snapshot_check_target(config->snapshot) ? -EINVAL : 0;
}

/* The guest asks by its port: the machine has one, and so has every snapshot of it. */
static int choose_snapshot_port(struct run_options *options)
{
	struct machine_config *config = &options->config;

	if (!config->snapshot || strcmp(options->snapshot_on, "port") != 0 || config->snapshot_port)
		return 0;
	if (config->restore || config->console == CONSOLE_OFF) {
		log_error("--snapshot %.80s: the guest has no port kinglet.snapshot to ask by; give "
			  "--snapshot-on TEXT",
			  config->snapshot);
		return -EINVAL;
	}
	config->snapshot_port = true;
	return options_save(&options->common, "snapshot-port", NULL);
}

int run_options_check(struct run_options *options)
{
	struct machine_config *config = &options->config;
	int ret;

	config->started_ns = options->common.started_ns;
	if (!config->boot.kernel && options->kernel_needed) {
		log_error("no KERNEL is given; write NAME KERNEL [options]");
		return -EINVAL;
	}
	if (!config->boot.kernel) {
		ret = take_default_kernel(options);
		if (ret)
			return ret;
	}
	if (config->memory % (1 << 20)) {
		log_error("--memory must be a whole number of MiB; write for example --memory 64M");
		return -EINVAL;
	}
	if (config->hugepages && config->memory % (2 << 20)) {
		log_error("--hugepages: --memory must be a multiple of 2M");
		return -EINVAL;
	}
	ret = check_snapshot(options);
	if (!ret)
		ret = choose_snapshot_port(options);
	if (!ret)
		ret = check_control(options);
	return ret ? ret : duplicates_check(config);
}

int run_options_add_files(struct file_set *set, const struct run_options *options,
			  const struct option_list *without)
{
	const struct option_list *const *lists = options->common.command->options;
	int ret = file_set_add(set, "KERNEL", options->config.boot.kernel, FILE_INPUT);

	if (!ret)
		ret = file_set_add_streams(set);
	for (; *lists && !ret; lists++)
		if (*lists != without)
			ret = file_set_add_options(set, &options->common, *lists);
	return ret;
}

int run_options_check_files(const struct run_options *options)
{
	struct file_set set = { 0 };
	int ret = run_options_add_files(&set, options, NULL);

	file_set_destroy(&set);
	return ret;
}

/* The host's kernel rarely boots without its initramfs; a given kernel has no default one. */
static int choose_initrd(struct run_options *options, bool default_kernel)
{
	struct boot_options *boot = &options->config.boot;
	char *path;
	int ret;

	if (boot->initrd && !strcmp(boot->initrd, "none"))
		boot->initrd = NULL;
	if (options_given(&options->common, "initrd") || !default_kernel)
		return 0;
	ret = kernels_initrd(boot->kernel, &path);
	boot->initrd = path;
	return path ? options_own(&options->common, path) : ret;
}

/*
 * What a restored guest boots when it reboots. Without a kernel it cannot, as with a command line
 * that no snapshot takes.
 */
static int save_boot(struct run_options *options)
{
	const struct boot_options *boot = &options->config.boot;
	struct common_options *common = &options->common;
	int ret = options_save(common, "initrd", boot->initrd ? boot->initrd : "none");

	for (const char *c = boot->cmdline; *c && !ret; c++)
		if (iscntrl((unsigned char)*c) || c - boot->cmdline == SAVED_LINE_MAX)
			return options_save(common, "append", "");
	if (!ret)
		ret = options_save(common, "append", boot->cmdline);
	return ret ? ret : options_save(common, NULL, boot->kernel);
}

int run_options_finish(struct common_options *common, int init_argc, char **init_argv)
{
	struct run_options *options = run_options_of(common);
	struct machine_config *config = &options->config;
	bool default_kernel = !config->boot.kernel;
	char *line = NULL;
	int ret = run_options_check(options);

	if (!ret)
		ret = choose_initrd(options, default_kernel);
	if (!ret)
		ret = run_options_check_files(options);
	if (ret)
		return ret;
	/* Standard input has one reader. */
	if (config->console == CONSOLE_STDIO) {
		if (options_given(common, "serial") && config->serial == SERIAL_STDIO) {
			log_error("--console stdio: --serial has stdio already; turn one of them off");
			return -EINVAL;
		}
		config->serial = SERIAL_OFF;
	}
	ret = cmdline_build(options, init_argc, init_argv, &line);
	if (!ret)
		ret = options_own(common, line);
	config->boot.cmdline = line;
	config->boot.cpus = config->cpus;
	config->boot.firmware_tables = config->acpi;
	config->debugged = options->gdb.listen;
	if (!ret)
		ret = save_boot(options);
	config->words = common->saved;
	config->word_count = common->saved_count;
	return ret;
}
