/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/checked.h"
#include "base/log.h"
#include "cmd/exec_image.h"
#include "cmd/guest_init.h"
#include "cmd/kernels.h"
#include "cmd/run_options.h"
#include "guestlog/guest_log.h"
#include "guestlog/tail.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DIRS = 16, MAX_ENV = 256, MAX_MODULES = 32 };
enum { ALL_MODULES_MAX = EXEC_NEEDED_MODULES + DEVICES_MAX * DEVICE_MODULES_MAX + MAX_MODULES };

#define MIB (UINT64_C(1) << 20)
/* The guest's memory is some two times that, plus what the kernel and PROGRAM may need. */
#define IMAGE_MAX (1024 * MIB)
#define BESIDE_IMAGE (256 * MIB)
/* So that programs of some size get the same machine. */
#define MEMORY_STEP (64 * MIB)

static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char default_home[] = "HOME=/";

/* Kernel messages are shown only if the guest failed. */
struct exec_console {
	struct guest_log log;
	struct tail tail;
	bool image_failed; /* unpacking failed */
};

struct exec_options {
	struct run_options run;
	const char *root, *workdir, *modules, *append;
	const char *dirs[MAX_DIRS], *env[MAX_ENV], *module_names[MAX_MODULES];
	unsigned dir_count, env_count, module_count;
	bool verbose;
	char **args; /* the program and its arguments */
	bool without_modules; /* there is no module folder */
	uint64_t enough;      /* memory for the image, the kernel and PROGRAM */
	char initrd[32];	      /* path of the archive */
	struct exec_dir parsed_dirs[MAX_DIRS];
	char *parsed_env[MAX_ENV + 3]; /* and PATH, HOME, NULL */
	struct exec_console console;
};

/* --- Options ---------------------------------------------------------------------------------- */

#define EXEC(member) OPTION_FIELD(struct exec_options, member)

static const struct option exec_options[] = {
	{
		.name = "root", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_FOLDER,
		.help = "a copy of this folder is the guest's root, and PROGRAM is searched for "
			"there; without it PROGRAM is a static one of the host",
		EXEC(root),
	},
	{
		.name = "dir", .metavar = "HOST:GUEST[:ro]", .kind = OPTION_STRING,
		.min = 1, .max = 8191, .max_items = MAX_DIRS,
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
		.min = 1, .max = 65535, .max_items = MAX_ENV,
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
		.max_items = MAX_MODULES,
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
		.name = "verbose", .kind = OPTION_FLAG,
		.help = "show the guest's kernel messages on standard error, and how the run ended",
		EXEC(verbose),
	},
};

static const struct option_list exec_option_list = {
	.name = "exec",
	.title = "The program and its environment",
	.table = exec_options,
	.count = ARRAY_SIZE(exec_options),
};

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

static int finish(struct common_options *common, int argc, char **argv)
{
	struct exec_options *options = container_of(common, struct exec_options, run.common);
	int ret;

	if (argc < 1 || !*argv[0]) {
		log_error("no program is given; write kinglet exec [KERNEL] [options] -- PROGRAM "
			  "[ARGUMENT...]");
		return -EINVAL;
	}
	options->args = argv;
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
	set_machine(options);
	return ret;
}

/* --- Modules ---------------------------------------------------------------------------------- */

static unsigned name_modules(const struct exec_options *options,
			     const char *names[ALL_MODULES_MAX])
{
	const struct device_set *devices = &options->run.config.devices;
	unsigned count = 0;

	for (unsigned i = 0; i < EXEC_NEEDED_MODULES; i++)
		names[count++] = exec_needed_modules[i];
	for (unsigned i = 0; i < devices->count; i++) {
		const char *const *name = devices->items[i].kind->guest_modules;

		while (*name && !devices->items[i].instance)
			names[count++] = *name++;
	}
	for (unsigned i = 0; i < options->module_count; i++)
		names[count++] = options->module_names[i];
	return count;
}

static int find_modules(const struct exec_options *options, const char *folder,
			struct kernel_modules *modules)
{
	const char *names[ALL_MODULES_MAX], *missing;
	int ret = kernel_modules_find(folder, names, name_modules(options, names), modules,
				      &missing);

	if (ret == -ENODATA)
		log_error("%.200s: has no module %.63s, nor is it built in; another kernel is needed, "
			  "or its folder as --modules DIR",
			  folder, missing);
	else if (ret)
		log_error("%.200s: %s", folder, strerror(-ret));
	return ret;
}

/* --- The console ------------------------------------------------------------------------------ */

static bool take_line(void *owner, enum guest_stream stream, const char *line, bool whole,
		      struct verdict *end)
{
	/* The tmpfs is full, in the words of two kernel versions, or memory is exhausted. */
	static const char *const signs[] = {
		"Initramfs unpacking failed",
		"rootfs image is not initramfs",
		"System is deadlocked on memory",
	};
	struct exec_console *console = owner;

	(void)stream;
	(void)end;
	for (unsigned i = 0; whole && i < ARRAY_SIZE(signs); i++)
		console->image_failed |= strstr(line, signs[i]) != NULL;
	if (whole)
		tail_add(&console->tail, line);
	return false;
}

static void print_console(struct exec_console *console)
{
	const char *line;

	guest_log_finish(&console->log);
	for (unsigned i = 0; (line = tail_line(&console->tail, i)); i++)
		fprintf(stderr, "  | %s\n", line);
}

/* --- The run ---------------------------------------------------------------------------------- */

struct archives {
	struct cpio base, image;
};

static int build_base(struct exec_options *options, struct cpio *cpio)
{
	_cleanup_free_ char *folder = NULL;
	struct kernel_modules modules = { 0 };
	struct exec_base base = { .modules = &modules };
	struct kernel_places places;
	struct utsname host;
	int ret;

	kernels_host_places(&places, &host);
	ret = kernels_modules_folder(&places, options->run.config.boot.kernel, options->modules,
				     &folder);
	if (!ret && folder)
		ret = find_modules(options, folder, &modules);
	base.modules_folder = folder;
	options->without_modules = !folder;
	if (!ret)
		ret = exec_base_build(cpio, &base);
	kernel_modules_destroy(&modules);
	return ret;
}

static int build_image(const struct exec_options *options, struct cpio *cpio)
{
	const struct exec_image image = {
		.root = options->root,
		.dirs = options->parsed_dirs,
		.dir_count = options->dir_count,
		.folder = options->workdir,
		.env = options->parsed_env,
		.args = options->args,
	};

	return exec_image_build(cpio, &image);
}

static void log_memory(const struct exec_options *options, const char *what)
{
	uint64_t memory = options->run.config.memory;
	uint64_t enough = options->enough > memory ? options->enough : 2 * memory;

	log_error("--memory %lluM: %s; --memory %lluM would do",
		  (unsigned long long)(memory / MIB), what, (unsigned long long)(enough / MIB));
}

/* A guest that went down before it had reported a status has failed, whatever the reason. */
static int report(struct exec_options *options, const struct verdict *verdict, double seconds)
{
	bool at_start = verdict->outcome == OUTCOME_USAGE || verdict->outcome == OUTCOME_HOST;
	char line[300];

	if (verdict->outcome == OUTCOME_STATUS && !options->verbose)
		return verdict->status;
	if (verdict->outcome != OUTCOME_STATUS && !at_start && !options->verbose)
		print_console(&options->console);
	if (verdict->outcome == OUTCOME_POWEROFF || verdict->outcome == OUTCOME_REBOOT ||
	    verdict->outcome == OUTCOME_HALTED) {
		log_error("%.200s before the program ended", verdict->detail);
		return EXIT_LOST;
	}
	verdict_format(verdict, seconds, line, sizeof(line));
	if (*line)
		log_error("%s", line);
	if (verdict->outcome == OUTCOME_PANIC && options->without_modules)
		log_error("%s: no modules for it were found in /lib/modules; if virtio is not "
			  "built in, give their folder with --modules DIR",
			  options->run.config.boot.kernel);
	if (options->console.image_failed)
		log_memory(options, "the kernel had no room to unpack the guest's files");
	return verdict->status;
}

/* Sets the memory needed, or the requested size if it suffices. */
static int set_memory(struct exec_options *options, const struct archives *archives)
{
	struct machine_config *config = &options->run.config;
	uint64_t image = align_up(exec_image_memory(&archives->base, &archives->image), 2 * MIB);

	options->enough = image + BESIDE_IMAGE;
	if (!options_given(&options->run.common, "memory"))
		config->memory = align_up(options->enough, MEMORY_STEP);
	if (config->memory > image)
		return 0;
	log_memory(options, "too little to unpack the guest's files in");
	return -EINVAL;
}

static int run_archives(struct exec_options *options, const struct archives *archives)
{
	struct machine_config *config = &options->run.config;
	struct verdict verdict = { 0 };
	struct exec_console *console = &options->console;
	double seconds;
	int leave, status;

	snprintf(options->initrd, sizeof(options->initrd), "/proc/self/fd/%d",
		 archives->base.fd);
	config->boot.initrd = options->initrd;
	config->program_files = archives->image.fd;
	if (set_memory(options, archives) < 0)
		return EXIT_USAGE;
	if (options->run.dry_run)
		return dry_run_print(stdout, &options->run) < 0 ? EXIT_USAGE : flush_stdout();
	guest_log_listen(&console->log,
			 (struct line_listener){ .line = take_line, .owner = console });
	leave = run_timed(&options->run, &console->log, &verdict, &seconds);
	status = report(options, &verdict, seconds) | leave;
	if (!leave) /* otherwise a thread may still use it */
		tail_destroy(&console->tail);
	return status;
}

static int build_and_run(struct exec_options *options, struct archives *archives)
{
	int ret = build_base(options, &archives->base);

	if (!ret)
		ret = build_image(options, &archives->image);
	if (ret)
		return ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	return run_archives(options, archives);
}

static int run(struct common_options *common)
{
	struct exec_options *options = container_of(common, struct exec_options, run.common);
	struct archives archives = { .image.fd = -1 };
	int ret = cpio_init(&archives.base, IMAGE_MAX);
	int status = EXIT_HOST;

	if (!ret)
		ret = cpio_init(&archives.image, IMAGE_MAX);
	if (ret)
		log_error("the guest's files: memfd_create: %s", strerror(-ret));
	else
		status = build_and_run(options, &archives);
	if (!(status & COMMAND_LEAVE)) {
		cpio_destroy(&archives.image);
		cpio_destroy(&archives.base);
	}
	return status;
}

static const struct option_list *const lists[] = {
	&exec_option_list,
	&machine_option_list,
	&common_option_list,
	NULL,
};

const struct command command_exec = {
	.name = "exec",
	.synopsis = "[KERNEL] [options] -- PROGRAM [ARGUMENT...]",
	.summary = "run one program under a kernel, with its input, output and exit status",
	.about = "PROGRAM is a static program of the host, or with --root one of that folder.\n"
		 "Its standard input, output and error are Kinglet's own, and so is its exit\n"
		 "status: 128+n after signal n, 127 when --root has no such program. Without\n"
		 "KERNEL, the host's own from /boot is taken (see kinglet kernel list).\n",
	.options = lists,
	.options_size = sizeof(struct exec_options),
	.argument = run_options_kernel,
	.finish = finish,
	.run = run,
};
