/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/run_options.h"

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

static int run(struct common_options *common)
{
	return run_or_describe(container_of(common, struct run_options, common));
}

/* A test, or a program of exec, is waited for: there, a socket is for those who ask for one. */
static int finish(struct common_options *common, int init_argc, char **init_argv)
{
	container_of(common, struct run_options, common)->control.wanted = true;
	return run_options_finish(common, init_argc, init_argv);
}

static const struct option_list *const lists[] = {
	&boot_option_list,
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
