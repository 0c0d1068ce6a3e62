/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `kinglet exec`. */
#include "exec.h"

#include "base/log.h"
#include "cli/command.h"
#include "cmd/guest_init.h"
#include "devices/fs.h"

#include <stdio.h>
#include <string.h>

static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char default_home[] = "HOME=/";

#define EXEC(member) OPTION_FIELD(struct exec_options, member)

static const struct option exec_options[] = {
	{
		.name = "root", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_FOLDER,
		.help = "a copy of this folder is the guest's root, and PROGRAM is searched for "
			"there; without it PROGRAM is a static one of the host. With DIR,live it is "
			"not copied: the guest reads the folder itself by virtiofsd, and what it "
			"changes is lost",
		EXEC(root),
	},
	{
		.name = "dir", .metavar = "HOST:GUEST[:ro]", .kind = OPTION_STRING,
		.min = 1, .max = 8191, .max_items = EXEC_MAX_DIRS,
		.count_offset = offsetof(struct exec_options, dir_count),
		.help = "a copy of the folder HOST at GUEST; changes by the guest are lost, and "
			"with ro it is read-only",
		EXEC(dirs),
	},
	{
		.name = "workdir", .metavar = "GUEST", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.initial = "/", .help = "PROGRAM's working directory",
		EXEC(workdir),
	},
	{
		.name = "env", .metavar = "NAME[=VALUE]", .kind = OPTION_STRING,
		.min = 1, .max = 65535, .max_items = EXEC_MAX_ENV,
		.count_offset = offsetof(struct exec_options, env_count),
		.help = "a variable of PROGRAM's environment, with the host's value if none is "
			"given; PATH and HOME are always set",
		EXEC(env),
	},
	{
		.name = "modules", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.help = "the folder of KERNEL's modules; without it /lib/modules/VERSION, with the "
			"version in KERNEL",
		EXEC(modules),
	},
	{
		.name = "module", .metavar = "NAME", .kind = OPTION_STRING, .min = 1, .max = 63,
		.max_items = EXEC_MAX_MODULES,
		.count_offset = offsetof(struct exec_options, module_count),
		.help = "load this module, too; those of the machine's devices are loaded "
			"automatically",
		EXEC(module_names),
	},
	{
		.name = "append", .metavar = "TEXT", .kind = OPTION_STRING, .max = 1023,
		.help = "add this to the kernel command line",
		EXEC(append),
	},
	{
		.name = "no-cache", .kind = OPTION_FLAG,
		.help = "boot the kernel, whatever earlier runs have saved, and save nothing",
		EXEC(no_cache),
	},
	{
		.name = "verbose", .kind = OPTION_FLAG,
		.help = "show the guest's kernel messages on standard error, and how the run ended",
		EXEC(verbose),
	},
};

const struct option_list exec_option_list = {
	.name = "exec",
	.title = "The program and its environment",
	.table = exec_options,
	.count = ARRAY_SIZE(exec_options),
};

/* A device has the folder, and the guest's init lays the changes over it. */
static int parse_root(struct exec_options *options)
{
	static const char suffix[] = ",live";
	struct share_config *share;
	size_t len = options->root ? strlen(options->root) : 0;
	char *folder;
	int ret;

	if (len < sizeof(suffix) || strcmp(options->root + len - strlen(suffix), suffix) != 0)
		return 0;
	if (options->dir_count) {
		log_error("--dir: a live --root has no copies of folders in it; write --share DIR, "
			  "and mount it in the guest");
		return -EINVAL;
	}
	folder = strndup(options->root, len - strlen(suffix));
	ret = options_own(&options->run.common, folder);
	if (ret)
		return ret;
	share = device_set_add(&options->run.config.devices, &share_kind);
	if (!share) {
		log_error("--root %.80s: too many --share", options->root);
		return -EINVAL;
	}
	*share = (struct share_config){ .folder = folder, .tag = GUEST_INIT_TAG, .readonly = true };
	options->root = folder;
	options->live = true;
	options->module_names[options->module_count++] = "overlay";
	return 0;
}

static int parse_dir(struct exec_options *options, const char *text, struct exec_dir *dir)
{
	char *host = strdup(text);
	char *guest = host ? strchr(host, ':') : NULL;
	char *mode;
	int ret = options_own(&options->run.common, host);

	if (ret)
		return ret;
	if (!guest || guest == host || guest[1] != '/') {
		log_error("--dir %.80s: is not of the form HOST:GUEST or HOST:GUEST:ro, where GUEST "
			  "begins with a slash",
			  text);
		return -EINVAL;
	}
	*guest++ = '\0';
	mode = strchr(guest, ':');
	if (mode)
		*mode++ = '\0';
	if (mode && strcmp(mode, "ro") != 0) {
		log_error("--dir %.80s: after the second colon only ro may follow", text);
		return -EINVAL;
	}
	if (!guest[strspn(guest, "/")]) {
		log_error("--dir %.80s: the guest's root is given by --root", text);
		return -EINVAL;
	}
	*dir = (struct exec_dir){ .host = host, .guest = guest, .readonly = mode };
	return 0;
}

static int parse_variable(struct exec_options *options, const char *text, char **variable)
{
	bool whole = strchr(text, '=');
	const char *value = whole ? "" : getenv(text);

	if (*text == '=') {
		log_error("--env %.80s: the name is missing; write --env NAME=VALUE", text);
		return -EINVAL;
	}
	if (!value) {
		log_error("--env %.80s: is not set here; write --env %.80s=VALUE", text, text);
		return -EINVAL;
	}
	if (asprintf(variable, "%s%s%s", text, whole ? "" : "=", value) < 0)
		*variable = NULL;
	return options_own(&options->run.common, *variable);
}

static bool has_variable(const struct exec_options *options, unsigned count, const char *variable)
{
	size_t len = strcspn(variable, "=") + 1;

	for (unsigned i = 0; i < count; i++)
		if (strncmp(options->parsed_env[i], variable, len) == 0)
			return true;
	return false;
}

static int parse_environment(struct exec_options *options)
{
	unsigned count = 0;
	int ret = 0;

	for (; count < options->env_count && !ret; count++)
		ret = parse_variable(options, options->env[count], &options->parsed_env[count]);
	if (ret)
		return ret;
	if (!has_variable(options, count, default_path))
		options->parsed_env[count++] = default_path;
	if (!has_variable(options, count, default_home))
		options->parsed_env[count++] = default_home;
	return 0;
}

/* No file copied into the guest may be overwritten. */
static int check_files(const struct exec_options *options)
{
	struct file_set set = { 0 };
	int ret = options->root ? 0 : file_set_add(&set, "PROGRAM", options->args[0], FILE_INPUT);

	for (unsigned i = 0; i < options->dir_count && !ret; i++)
		ret = file_set_add(&set, "--dir", options->parsed_dirs[i].host, FILE_FOLDER);
	if (!ret)
		ret = run_options_add_files(&set, &options->run, NULL);
	file_set_destroy(&set);
	return ret;
}

static int make_cmdline(struct exec_options *options)
{
	char *line;

	if (asprintf(&line, "console=%s panic=-1%s rdinit=" GUEST_INIT_PATH "%s%s",
		     arch_linux_words.serial, options->verbose ? "" : " quiet",
		     options->append ? " " : "", options->append ? options->append : "") < 0)
		line = NULL;
	options->run.config.boot.cmdline = line;
	return options_own(&options->run.common, line);
}

/* Settings without options: the kernel's messages on the serial port, and the streams. */
static void set_machine(struct exec_options *options)
{
	struct machine_config *config = &options->run.config;

	config->boot.cpus = config->cpus;
	config->boot.firmware_tables = true;
	config->acpi = true;
	config->irqchip = true;
	config->serial = SERIAL_STDIO;
	config->console = CONSOLE_NULL;
	config->no_input = true;
	config->no_output = !options->verbose;
	config->output_on_stderr = true;
	config->program = true;
}

int exec_options_finish(struct common_options *common, int argc, char **argv)
{
	struct exec_options *options = container_of(common, struct exec_options, run.common);
	int ret;

	if (argc < 1 || !*argv[0]) {
		log_error("no program is given; write kinglet exec [KERNEL] [options] -- PROGRAM "
			  "[ARGUMENT...]");
		return -EINVAL;
	}
	options->args = argv;
	set_machine(options);
	ret = parse_root(options);
	if (!ret)
		ret = run_options_check(&options->run);
	for (unsigned i = 0; i < options->dir_count && !ret; i++)
		ret = parse_dir(options, options->dirs[i], &options->parsed_dirs[i]);
	if (!ret)
		ret = check_files(options);
	if (!ret)
		ret = parse_environment(options);
	if (!ret)
		ret = make_cmdline(options);
	if (!ret && options->workdir[0] != '/') {
		log_error("--workdir %.80s: must begin with a slash", options->workdir);
		return -EINVAL;
	}
	return ret;
}

/* Options that make no other machine than the key tells of, and that show nothing of its boot. */
static bool is_harmless(const char *name)
{
	static const char *const names[] = {
		"root", "dir", "workdir", "env", "modules", "module", "append", "cpus", "memory",
		"timeout",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

bool exec_options_allow_cache(const struct exec_options *options)
{
	const struct option_list *const *list = options->run.common.command->options;
	const struct option *option;

	if (options->live)
		return false;
	for (; *list; list++)
		for (unsigned i = 0; (option = option_at(*list, i)); i++)
			if (options_given(&options->run.common, option->name) &&
			    !is_harmless(option->name))
				return false;
	return true;
}
