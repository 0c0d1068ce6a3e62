/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "trace/trace_report.h"

#include <string.h>

struct report_options {
	struct common_options common;
	const char *path; /* borrowed */
};

static struct report_options *report_options_of(struct common_options *common)
{
	return container_of(common, struct report_options, common);
}

static int take_path(struct common_options *common, const char *path)
{
	struct report_options *options = report_options_of(common);

	if (options->path) {
		log_error("%.80s: a second file beside %.80s; give one", path, options->path);
		return -EINVAL;
	}
	options->path = path;
	return 0;
}

static int finish(struct common_options *common, int argc, char **argv)
{
	(void)argv;
	if (argc <= 0 && report_options_of(common)->path)
		return 0;
	log_error("report wants one file of kinglet run --trace; write kinglet report FILE");
	return -EINVAL;
}

static int run(struct common_options *common)
{
	const char *path = report_options_of(common)->path;
	FILE *trace = fopen(path, "re");
	int ret;

	if (!trace) {
		log_error("%s: %s", path, strerror(errno));
		return EXIT_USAGE;
	}
	ret = trace_report(stdout, trace, path);
	fclose(trace);
	if (ret == -ENOMEM)
		log_error("%s: %s", path, strerror(-ret));
	if (ret)
		return ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	return flush_stdout();
}

static const struct option_list *const lists[] = {
	&common_option_list,
	NULL,
};

const struct command command_report = {
	.name = "report",
	.synopsis = "FILE",
	.summary = "print the phases of a trace, and what exits and calls cost in it",
	.about = "FILE is what kinglet run --trace FILE has written.\n",
	.options = lists,
	.options_size = sizeof(struct report_options),
	.argument = take_path,
	.finish = finish,
	.run = run,
};
