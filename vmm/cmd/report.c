/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cli/files.h"
#include "trace/trace.h"

#include <stddef.h>
#include <string.h>

struct report_options {
	struct common_options common;
	const char *path; /* borrowed */
	const char *html;
};

static const struct option report_options[] = {
	{
		.name = "html", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_OUTPUT,
		.help = "write a page about the run instead, like run --explain=html",
		.offset = offsetof(struct report_options, html), .size = sizeof(const char *),
	},
};

static const struct option_list report_option_list = {
	.name = "report",
	.title = "The form of the report",
	.table = report_options,
	.count = ARRAY_SIZE(report_options),
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
	struct report_options *options = report_options_of(common);
	struct file_set files = { 0 };
	int ret;

	(void)argv;
	if (argc > 0 || !options->path) {
		log_error("report needs one file of kinglet run --trace; write kinglet report "
			  "FILE");
		return -EINVAL;
	}
	ret = file_set_add(&files, "FILE", options->path, FILE_INPUT);
	if (!ret)
		ret = file_set_add_options(&files, common, &report_option_list);
	file_set_destroy(&files);
	return ret;
}

static int write_page(const struct report_options *options, const struct trace *trace)
{
	bool failed;
	FILE *out;

	if (!trace_is_whole(trace)) {
		log_error("%s: cut off before the run's end, or written by an older Kinglet: "
			  "a page cannot be made of it; leave --html out", options->path);
		return EXIT_USAGE;
	}
	out = fopen(options->html, "we");
	if (!out) {
		log_error("--html %s: %s", options->html, strerror(errno));
		return EXIT_USAGE;
	}
	trace_print_page(out, trace);
	failed = ferror(out);
	failed |= fclose(out) != 0;
	if (failed)
		log_error("--html %s: write: %s", options->html, strerror(errno));
	return failed ? EXIT_HOST : EXIT_SUCCESS;
}

static int run(struct common_options *common)
{
	const struct report_options *options = report_options_of(common);
	FILE *in = fopen(options->path, "re");
	struct trace *trace;
	int ret;

	if (!in) {
		log_error("%s: %s", options->path, strerror(errno));
		return EXIT_USAGE;
	}
	ret = trace_new(&trace, in, options->path);
	fclose(in);
	if (ret)
		return ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	if (options->html) {
		ret = write_page(options, trace);
	} else {
		trace_print_report(stdout, trace);
		ret = flush_stdout();
	}
	trace_free(trace);
	return ret;
}

static const struct option_list *const lists[] = {
	&report_option_list,
	&common_option_list,
	NULL,
};

const struct command command_report = {
	.name = "report",
	.synopsis = "FILE [options]",
	.summary = "print the phases of a trace, and the cost of its exits and calls",
	.about = "FILE is a file written by kinglet run --trace FILE.\n",
	.options = lists,
	.options_size = sizeof(struct report_options),
	.argument = take_path,
	.finish = finish,
	.run = run,
};
