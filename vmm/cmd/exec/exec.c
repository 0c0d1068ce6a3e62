/* SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include "base/checked.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/exec_cache.h"

#include <stdio.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
/* The guest's memory is some two times that, plus what the kernel and PROGRAM may need. */
#define IMAGE_MAX (1024 * MIB)
#define BESIDE_IMAGE (256 * MIB)
/* So that programs of some size get the same machine. */
#define MEMORY_STEP (64 * MIB)
/* Of the machines that are kept for later runs, on the disk. */
#define CACHE_MAX (1024 * MIB)

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
	const struct exec_needs needs = {
		.kernel = options->run.config.boot.kernel,
		.modules = options->modules,
		.devices = &options->run.config.devices,
		.names = options->module_names,
		.name_count = options->module_count,
	};

	return exec_base_make(cpio, &needs, &options->without_modules);
}

static int build_image(const struct exec_options *options, struct cpio *cpio)
{
	const struct exec_image image = {
		.root = options->root,
		.live = options->live,
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

/* --- In a saved machine, or a new one --------------------------------------------------------- */

static int run_once(struct exec_options *options, struct verdict *verdict, double *seconds)
{
	struct exec_console *console = &options->console;

	tail_destroy(&console->tail);
	*console = (struct exec_console){ 0 };
	guest_log_listen(&console->log,
			 (struct line_listener){ .line = take_line, .owner = console });
	return run_timed(&options->run, &console->log, verdict, seconds);
}

/* An attempt: what goes wrong before the guest runs is found again, and told, by a new machine. */
static int mute(void *owner, const struct machine_parts *parts)
{
	(void)owner;
	(void)parts;
	log_mute(true);
	return 0;
}

static int unmute(void *owner, const struct machine_parts *parts)
{
	(void)owner;
	(void)parts;
	log_mute(false);
	return 0;
}

static int run_saved(struct exec_options *options, struct snapshot *snapshot,
		     struct verdict *verdict, double *seconds)
{
	static const struct machine_observer_ops attempt = { .begin = mute, .built = unmute };
	struct machine_config *config = &options->run.config;
	int leave;

	config->restore = snapshot;
	config->observers[config->observer_count++].ops = &attempt;
	leave = run_once(options, verdict, seconds);
	config->observer_count--;
	config->restore = NULL;
	return leave;
}

static bool is_hurried(const struct verdict *verdict)
{
	return verdict->outcome == OUTCOME_TIMEOUT || verdict->outcome == OUTCOME_SIGNAL ||
	       verdict->outcome == OUTCOME_QUIT;
}

/* Whether the program has had its run; a machine where it did not come to its end has had its last. */
static bool served(const struct exec_options *options, const struct exec_cache *cache,
		   const struct verdict *verdict)
{
	if (verdict->outcome != OUTCOME_STATUS && verdict->outcome != OUTCOME_SIGNAL)
		exec_cache_remove(cache);
	return options->begun || is_hurried(verdict);
}

static int run_cached(struct exec_options *options, const struct exec_cache_key *key,
		      struct exec_cache *cache, struct verdict *verdict, double *seconds)
{
	struct machine_config *config = &options->run.config;
	struct snapshot *snapshot = exec_cache_open(cache, key);
	int leave = 0;

	config->snapshot_port = true;
	config->words = (const char *const *)&cache->key;
	config->word_count = 1;
	if (snapshot) {
		leave = run_saved(options, snapshot, verdict, seconds);
		if (!leave)
			snapshot_free(snapshot);
		if (leave || served(options, cache, verdict))
			return leave;
	}
	config->snapshot = cache->dir;
	config->snapshot_cached = true;
	leave = run_once(options, verdict, seconds);
	exec_cache_trim(cache, CACHE_MAX);
	return leave;
}

static int run_program(struct exec_options *options, const struct archives *archives,
		       struct verdict *verdict, double *seconds)
{
	const struct machine_config *config = &options->run.config;
	struct exec_cache_key key = {
		.kernel = config->boot.kernel,
		.cmdline = config->boot.cmdline,
		.memory = config->memory,
		.cpus = config->cpus,
	};
	struct exec_cache cache;
	int leave;

	if (!exec_options_allow_cache(options) || exec_base_hash(&archives->base, &key.base) ||
	    exec_cache_init(&cache, &key))
		return run_once(options, verdict, seconds);
	leave = run_cached(options, &key, &cache, verdict, seconds);
	if (!leave) /* otherwise a thread may still use it */
		exec_cache_destroy(&cache);
	return leave;
}

static int run_archives(struct exec_options *options, const struct archives *archives)
{
	struct machine_config *config = &options->run.config;
	struct verdict verdict = { 0 };
	double seconds;
	int leave, status;

	snprintf(options->initrd, sizeof(options->initrd), "/proc/self/fd/%d",
		 archives->base.fd);
	config->boot.initrd = options->initrd;
	config->program_files = archives->image.fd;
	config->program_begun = &options->begun;
	if (set_memory(options, archives) < 0)
		return EXIT_USAGE;
	if (options->run.dry_run)
		return dry_run_print(stdout, &options->run) < 0 ? EXIT_USAGE : flush_stdout();
	leave = run_program(options, archives, &verdict, &seconds);
	status = report(options, &verdict, seconds) | leave;
	if (!leave) /* otherwise a thread may still use it */
		tail_destroy(&options->console.tail);
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
	.finish = exec_options_finish,
	.run = run,
};
