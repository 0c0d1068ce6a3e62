/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/run_options.h"

#include <string.h>

/* What is said of the end must not be lost with a reader that is only slow. */
enum { SETTLE_MS = 500 };

/* What a machine uses for as long as it is there. */
struct kept {
	struct machine_config config;
	struct sys sys;
};

int run_timed(const struct machine_config *config, struct verdict *verdict, double *seconds)
{
	uint64_t start = config->started_ns ? config->started_ns : sys_now_ns();
	struct kept *kept = malloc(sizeof(*kept));
	bool gone = true;

	*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = EXIT_HOST };
	if (kept) {
		kept->config = *config;
		sys_init(&kept->sys);
		gone = machine_run(&kept->config, &kept->sys, verdict);
	} else {
		log_error("machine: %s", strerror(ENOMEM));
	}
	*seconds = (double)(sys_now_ns() - start) / 1e9;
	log_settle(SETTLE_MS);
	if (!gone)
		return COMMAND_LEAVE;
	free(kept);
	return 0;
}

static int run_machine(const struct machine_config *config)
{
	struct verdict verdict;
	double seconds;
	int leave = run_timed(config, &verdict, &seconds);
	char line[300];

	verdict_format(&verdict, seconds, line, sizeof(line));
	if (*line)
		log_error("%s", line);
	return verdict.status | leave;
}

static int dry_run(const struct machine_config *config)
{
	if (dry_run_print(stdout, config) < 0)
		return EXIT_USAGE;
	return flush_stdout();
}

static int run(struct common_options *common)
{
	const struct run_options *options = container_of(common, struct run_options, common);

	return options->dry_run ? dry_run(&options->config) : run_machine(&options->config);
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
	.finish = run_options_finish,
	.run = run,
};
