/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/options.h"

#include <string.h>
#include <time.h>

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_machine(const struct machine_config *config)
{
	struct verdict verdict = { 0 };
	double start = seconds_now();
	struct sys sys;
	char line[300];

	sys_init(&sys);
	machine_run(config, &sys, &verdict);
	verdict_format(&verdict, seconds_now() - start, line, sizeof(line));
	if (*line)
		log_error("%s", line);
	return verdict.status;
}

static int dry_run(const struct machine_config *config)
{
	if (dry_run_print(stdout, config) < 0)
		return EXIT_USAGE;
	return flush_stdout();
}

int cmd_run(int argc, char **argv)
{
	struct run_options options;
	int err = run_options_parse(&options, argc, argv);
	int status;

	if (err == -ENOMEM)
		log_error("command line: %s", strerror(-err));
	if (err)
		status = err == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	else if (options.help)
		status = cmd_help();
	else if (options.version)
		status = cmd_version();
	else if (options.dry_run)
		status = dry_run(&options.config);
	else
		status = run_machine(&options.config);
	run_options_destroy(&options);
	return status;
}
