/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include "base/log.h"
#include "cmd/cmdline.h"
#include "cmd/commands.h"

#include <string.h>

/* Opened before anything runs, so that a wrong name is found first. */
struct report_files {
	FILE *json, *junit; /* NULL: none */
};

static int open_report(const char *option, const char *path, FILE **file)
{
	if (!path)
		return 0;
	*file = fopen(path, "we");
	if (*file)
		return 0;
	log_error("--%s %.200s: %s", option, path, strerror(errno));
	return -EINVAL;
}

static int close_report(const char *option, const char *path, FILE *file)
{
	bool failed;

	if (!file)
		return 0;
	failed = ferror(file);
	if (fclose(file) == EOF || failed) {
		log_error("--%s %.200s: cannot be written", option, path);
		return -EIO;
	}
	return 0;
}

static int write_reports(const struct suite *suite, const struct test_options *options,
			 struct report_files *files, double seconds)
{
	cJSON *report = report_of_suite(suite, &options->run.common, seconds);
	char *text = files->json ? cJSON_Print(report) : NULL;
	int ret = files->json && !text ? -ENOMEM : 0;

	if (text)
		fprintf(files->json, "%s\n", text);
	if (files->junit)
		junit_print(files->junit, report);
	cJSON_free(text);
	cJSON_Delete(report);
	return ret;
}

/* "3 passed (1 flaky), 2 failed", or with "7 not run". Returns whether all passed. */
static bool print_summary(const struct suite *suite)
{
	struct suite_counts counts = suite_count(suite);

	printf("%u passed", counts.passed);
	if (counts.flaky)
		printf(" (%u flaky)", counts.flaky);
	printf(", %u failed", counts.failed);
	if (counts.missing)
		printf(", %u not run", counts.missing);
	putchar('\n');
	return !counts.failed && !counts.missing;
}

/* The status of a single test; for a list, whether all passed. */
static int status_of(const struct suite *suite, const struct test_options *options)
{
	const cJSON *attempts = suite->cases[0].attempts;
	const cJSON *result = cJSON_GetArrayItem(attempts, cJSON_GetArraySize(attempts) - 1);

	if (options->list)
		return print_summary(suite) ? EXIT_SUCCESS : EXIT_TEST_FAILED;
	return result ? (int)result_number(result, "status") : EXIT_HOST;
}

static int run_and_report(struct suite *suite, const struct test_options *options,
			  struct report_files *files)
{
	double seconds;
	int ret = suite_run(suite, options->jobs, &seconds), status, err;

	if (ret < 0)
		return EXIT_HOST;
	err = write_reports(suite, options, files, seconds);
	status = status_of(suite, options);
	if (ret)
		return ret;
	if (flush_stdout())
		return EXIT_HOST;
	return err ? EXIT_HOST : status;
}

/*
 * The words of --fail-on, and the log level that shows these messages (Linux 6.1): warnings are
 * KERN_WARNING, the mildest bugs KERN_ERR; an oops and a panic raise the level themselves, unless
 * it is 0.
 */
static const struct {
	const char *word;
	int level;
} fail_on[] = {
	[KERNEL_WARNING] = { "warn", 5 },
	[KERNEL_BUG] = { "bug", 4 },
	[KERNEL_OOPS] = { "oops", 1 },
	[KERNEL_OOPS + 1] = { "panic", 1 },
};

/* Messages that the kernel does not print are not seen: a PASS would then mean little. */
static void warn_of_what_is_hidden(const struct suite *suite)
{
	for (unsigned i = 0; i < suite->count; i++) {
		const struct test_options *options = suite->cases[i].options;
		int level = cmdline_loglevel(options->run.config.boot.cmdline);
		int needed = fail_on[options->fail_on].level;

		if (level < 0 || level >= needed)
			continue;
		log_warning("%.80s%s--fail-on %s: the kernel's command line sets log level %d, which "
			    "hides what it is to see; write loglevel=%d or more at its end",
			    suite->cases[i].name, *suite->cases[i].name ? ": " : "",
			    fail_on[options->fail_on].word, level, needed);
		return;
	}
}

static int print_machines(FILE *out, const struct suite *suite)
{
	int ret = 0;

	for (unsigned i = 0; i < suite->count && !ret; i++) {
		if (*suite->cases[i].name)
			fprintf(out, "%s:\n", suite->cases[i].name);
		ret = dry_run_print(out, &suite->cases[i].options->run);
	}
	return ret;
}

/* For a list, only errors are printed. */
static int dry_run(const struct suite *suite)
{
	_cleanup_free_ char *page = NULL;
	size_t len;
	FILE *out = open_memstream(&page, &len);
	int ret = out ? print_machines(out, suite) : -ENOMEM;

	if (out && fclose(out) == EOF)
		ret = -ENOMEM;
	if (ret == -ENOMEM)
		log_error("dry run: %s", strerror(-ret));
	if (ret)
		return ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	fputs(page, stdout);
	return flush_stdout();
}

static int run_suite(struct suite *suite, const struct test_options *options)
{
	struct report_files files = { 0 };
	int status = EXIT_USAGE;

	warn_of_what_is_hidden(suite);
	if (options->run.dry_run)
		return dry_run(suite);
	if (!open_report("report", options->report, &files.json) &&
	    !open_report("junit", options->junit, &files.junit))
		status = run_and_report(suite, options, &files);
	if ((close_report("report", options->report, files.json) ||
	     close_report("junit", options->junit, files.junit)) &&
	    !status)
		status = EXIT_HOST;
	return status;
}

static int run(struct common_options *common)
{
	struct test_options *options = container_of(common, struct test_options, run.common);
	struct suite suite;
	int ret = suite_load(&suite, options), status = EXIT_USAGE;

	if (ret == -ENOMEM) {
		log_error("list of tests: %s", strerror(-ret));
		status = EXIT_HOST;
	}
	if (!ret)
		status = run_suite(&suite, options);
	suite_destroy(&suite);
	return status;
}

static const struct option_list *const lists[] = {
	&test_option_list,   &suite_option_list, &boot_option_list,
	&machine_option_list, &common_option_list, NULL,
};

const struct command command_test = {
	.name = "test",
	.synopsis = "[KERNEL] [options] [-- init arguments]",
	.summary = "boot a kernel and report PASS or FAIL, in one line and by the exit status",
	.about = "A test passes when the guest powers off with status 0, or as soon as --expect\n"
		 "is seen. It fails by anything else: a panic, an oops, a triple fault, a boot\n"
		 "that gives up, a reboot that was not expected, the timeout (60 s unless\n"
		 "--timeout says otherwise), another status, or a failed test in TAP or KTAP on\n"
		 "the console. The guest gets no input, and its output is shown only when it\n"
		 "fails.\n",
	.options = lists,
	.options_size = sizeof(struct test_options),
	.argument = run_options_kernel,
	.finish = test_options_finish,
	.run = run,
};
