/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/restored.h"
#include "cmd/run_options.h"
#include "host/endpoint.h"
#include "machine/migration.h"

static int run_machine(const struct run_options *options)
{
	struct verdict verdict;
	double seconds;
	int leave = run_timed(options, NULL, &verdict, &seconds);
	char line[300];

	verdict_format(&verdict, seconds, line, sizeof(line));
	if (*line)
		log_error("%s", line);
	return verdict.status | leave;
}

static int dry_run(const struct run_options *options)
{
	if (dry_run_print(stdout, options) < 0)
		return EXIT_USAGE;
	return flush_stdout();
}

int run_or_describe(const struct run_options *options)
{
	return options->dry_run ? dry_run(options) : run_machine(options);
}

static void forget(struct run_options *options)
{
	root_destroy(&options->root);
	if (!options->restored)
		return;
	restored_close(options->restored);
	free(options->restored);
	options->restored = NULL;
	close_fd(&options->config.incoming_fd);
}

static int run(struct common_options *common)
{
	struct run_options *options = container_of(common, struct run_options, common);
	int ret = options->root.share.folder ? root_build(options) : 0;
	int status = ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;

	if (!ret)
		status = run_or_describe(options);
	if (!(status & COMMAND_LEAVE))
		forget(options);
	return status;
}

static int open_incoming(struct run_options *options, int init_argc, char **init_argv)
{
	char why[200];
	int ret;

	options->restored = calloc(1, sizeof(*options->restored));
	if (!options->restored)
		return -ENOMEM;
	log_keep(why, sizeof(why));
	ret = machine_expect(&options->restored->snapshot, options->config.incoming_fd);
	if (!ret)
		ret = restored_open(options->restored, options, options->incoming, init_argc,
				    init_argv);
	log_keep(NULL, 0);
	if (ret)
		machine_refuse(options->config.incoming_fd, why);
	return ret;
}

/* Its source says what the machine is. */
static int expect(struct run_options *options, int init_argc, char **init_argv)
{
	int ret = endpoint_accept(options->incoming);

	if (ret < 0)
		return ret;
	options->config.incoming_fd = ret;
	options->config.incoming = true;
	ret = open_incoming(options, init_argc, init_argv);
	if (ret) {
		forget(options);
		close_fd(&options->config.incoming_fd);
	}
	return ret;
}

/* A test, or a program of exec, is waited for: there, a socket is for those who ask for one. */
static int finish(struct common_options *common, int init_argc, char **init_argv)
{
	struct run_options *options = container_of(common, struct run_options, common);

	int ret = 0;

	options->control.wanted = true;
	if (options->incoming)
		return expect(options, init_argc, init_argv);
	if (options->root.share.folder)
		ret = root_add(options);
	return ret ? ret : run_options_finish(common, init_argc, init_argv);
}

static const struct option incoming_options[] = {
	{
		.name = "incoming", .metavar = "ADDRESS", .kind = OPTION_STRING, .min = 1, .max = 4000,
		.help = "wait there for a machine that kinglet migrate sends, and go on with it: "
			"unix:PATH, tcp:HOST:PORT, exec:COMMAND, fd=N. Options of its devices name files, taps and "
			"the like anew, as for kinglet restore",
		OPTION_FIELD(struct run_options, incoming),
	},
};

static const struct option_list incoming_option_list = {
	.name = "incoming",
	.title = "A machine from elsewhere",
	.table = incoming_options,
	.count = ARRAY_SIZE(incoming_options),
};

static const struct option_list *const lists[] = {
	&boot_option_list,
	&root_option_list,
	&incoming_option_list,
	&machine_option_list,
	&common_option_list,
	NULL,
};

const struct command command_run = {
	.name = "run",
	.synopsis = "[KERNEL] [options] [-- init arguments]",
	.summary = "boot a kernel in a virtual machine, on this terminal",
	.about = "KERNEL may be a bzImage, an ELF64 vmlinux, an image with a PVH note, a\n"
		 "Multiboot 1 image (x86_64); an Image, plain or packed (arm64); or with\n"
		 "--flat any binary. Without it, the host's own from /boot is taken (see kinglet\n"
		 "kernel list).\n"
		 "Ctrl-A x ends the run, Ctrl-A Ctrl-A sends one Ctrl-A to the guest, Ctrl-A h\n"
		 "lists the keys.\n",
	.options = lists,
	.options_size = sizeof(struct run_options),
	.argument = run_options_kernel,
	.finish = finish,
	.run = run,
};
