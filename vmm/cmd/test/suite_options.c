/* SPDX-License-Identifier: Apache-2.0 */

#include "suite.h"

#include "base/log.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <string.h>

#define FIELD(member) OPTION_FIELD(struct test_options, member)

static const struct option_word fail_on_words[] = {
	{ "warn", KERNEL_WARNING },
	{ "bug", KERNEL_BUG },
	{ "oops", KERNEL_OOPS },
	{ "panic", KERNEL_OOPS + 1 },
	{ NULL, 0 },
};

static const struct option test_table[] = {
	{
		.name = "expect", .metavar = "REGEX", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.help = "pass as soon as a line of a console matches, as with grep -E; if given "
			"several times, all must",
		.max_items = TEST_MAX_PATTERNS,
		.count_offset = offsetof(struct test_options, expect_count),
		FIELD(expect),
	},
	{
		.name = "reject", .metavar = "REGEX", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.help = "fail as soon as a line of a console matches",
		.max_items = TEST_MAX_PATTERNS,
		.count_offset = offsetof(struct test_options, reject_count),
		FIELD(reject),
	},
	{
		.name = "expect-reboot", .kind = OPTION_FLAG,
		.help = "pass when the guest reboots, after every --expect has matched; without "
			"it, a reboot is a failure",
		FIELD(expect_reboot),
	},
	{
		.name = "fail-on", .kind = OPTION_WORD, .words = fail_on_words, .initial = "bug",
		.help = "the least severe message of the guest's kernel that is a failure; others "
			"are counted in the report",
		FIELD(fail_on),
	},
	{
		.name = "retries", .metavar = "N", .kind = OPTION_NUMBER, .max = 100,
		.initial = "0",
		.help = "rerun a failed test, at most this number of times; one that then passes "
			"is reported as flaky",
		FIELD(retries),
	},
	{
		.name = "symbols", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "vmlinux or System.map with symbols for the addresses of vCPUs; default: "
			"KERNEL, if it is an ELF file with symbols",
		FIELD(symbols),
	},
	{
		.name = "from", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4090,
		.help = "do not boot: each test goes on from this snapshot (see kinglet restore), in "
			"a copy of its own; what follows -- is for the guest's port kinglet.snapshot",
		FIELD(from),
	},
	{
		.name = "verbose", .kind = OPTION_FLAG,
		.help = "also print the guest's output",
		FIELD(verbose),
	},
};

const struct option_list test_option_list = {
	.name = "test",
	.title = "The verdict",
	.table = test_table,
	.count = ARRAY_SIZE(test_table),
};

static const struct option suite_table[] = {
	{
		.name = "report", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_OUTPUT,
		.help = "write the results as JSON",
		FIELD(report),
	},
	{
		.name = "junit", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_OUTPUT,
		.help = "write the results as JUnit XML",
		FIELD(junit),
	},
	{
		.name = "list", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "run many tests: each line is a name and arguments as on the command line, "
			"whose options apply to all lines",
		FIELD(list),
	},
	{
		.name = "jobs", .letter = 'j', .metavar = "N", .kind = OPTION_NUMBER, .min = 1,
		.max = TEST_MAX_JOBS, .initial = "1",
		.help = "with --list: number of tests at a time",
		FIELD(jobs),
	},
};

const struct option_list suite_option_list = {
	.name = "suite",
	.title = "Many tests, and reports",
	.table = suite_table,
	.count = ARRAY_SIZE(suite_table),
};

/* Checks of a single test, on the command line or on a line of the list. */
static int finish_test(struct test_options *options, int argc, char **argv)
{
	struct machine_config *config = &options->run.config;
	bool has_own = options_given(&options->run.common, "from");
	struct judge judge;
	int ret;

	options->run.shows_warnings = options->fail_on == KERNEL_WARNING;
	/* Each test of a list loads it in a process of its own. */
	options->restored = (struct restored){
		.snapshot = has_own ? NULL : snapshot_share(options->shared),
	};
	ret = options->from ? restored_open(&options->restored, &options->run, options->from, argc,
					    argv) :
			      run_options_finish(&options->run.common, argc, argv);
	if (ret)
		return ret;
	if (options->symbols && access(options->symbols, R_OK)) {
		log_error("--symbols %.200s: %s", options->symbols, strerror(errno));
		return -EINVAL;
	}
	if (options->expect_reboot && config->on_reboot == ON_REBOOT_RESTART) {
		log_error("--expect-reboot: with --on-reboot restart the guest goes on; leave one of "
			  "them out");
		return -EINVAL;
	}
	if (!config->timeout_ns)
		config->timeout_ns = UINT64_C(60000000000);
	config->no_input = true;
	config->no_output = !options->verbose;
	/* Compiled again when used: here only to report errors before anything runs. */
	ret = judge_init(&judge, options);
	if (!ret)
		judge_destroy(&judge);
	return ret;
}

/* Options not allowed on a line of the list. */
static bool names_the_suite(const struct common_options *common)
{
	bool named = false;

	for (unsigned i = 0; i < ARRAY_SIZE(suite_table); i++)
		named |= options_given(common, suite_table[i].name);
	return named;
}

int test_options_finish(struct common_options *common, int argc, char **argv)
{
	struct test_options *options = container_of(common, struct test_options, run.common);

	if (!options->list) {
		if (options_given(common, "jobs")) {
			log_error("--jobs goes with --list FILE; leave it out");
			return -EINVAL;
		}
		return finish_test(options, argc, argv);
	}
	if (argc >= 0) {
		log_error("--list: arguments for the guest's init belong on the lines of the list");
		return -EINVAL;
	}
	if (options->run.control.where && strcmp(options->run.control.where, "off") != 0) {
		log_error("--control %.80s: is one socket, for all tests of the list; give --name, "
			  "of which each makes its own, or write it on the lines",
			  options->run.control.where);
		return -EINVAL;
	}
	return 0;
}

/* --- The list --------------------------------------------------------------------------------- */

/* Copies one character of a word, in place. */
static int cut_word(char **in, char *out)
{
	char quote = '\0';

	for (; **in && (quote || !strchr(" \t\r\n", **in)); ++*in) {
		if (quote ? **in == quote : **in == '\'' || **in == '"') {
			quote = (char)(quote ? '\0' : **in);
			continue;
		}
		if (**in == '\\' && quote != '\'' && (*in)[1])
			++*in;
		*out++ = **in;
	}
	if (quote)
		return -EINVAL;
	if (**in)
		++*in;
	*out = '\0';
	return 0;
}

int suite_split_line(char *line, char **words, int max)
{
	int count = 0;

	for (;;) {
		line += strspn(line, " \t\r\n");
		if (!*line || *line == '#')
			return count;
		if (count == max)
			return -E2BIG;
		words[count++] = line;
		if (cut_word(&line, words[count - 1]) < 0)
			return -EINVAL;
	}
}

static struct test_case *add_case(struct suite *suite, const char *name)
{
	struct test_case *cases =
		reallocarray(suite->cases, suite->count + 1, sizeof(*suite->cases)), *test;

	if (!cases)
		return NULL;
	suite->cases = cases;
	test = &cases[suite->count++];
	*test = (struct test_case){ .name = strdup(name), .attempts = cJSON_CreateArray() };
	return test->name && test->attempts ? test : NULL;
}

static bool has_name(const struct suite *suite, const char *name)
{
	for (unsigned i = 0; i < suite->count; i++)
		if (strcmp(suite->cases[i].name, name) == 0)
			return true;
	return false;
}

/* Parses the line's own options; an error message names the line first. */
static int parse_line(struct test_options *base, struct test_case *test, int argc, char **argv)
{
	struct common_options *common = &test->options->run.common;
	int ret;

	/* These belong to the whole list. A line needs its own kernel. */
	base->list = NULL;
	base->run.kernel_needed = !base->from;
	ret = options_parse_on(&base->run.common, common, argc, argv);
	if (!ret && names_the_suite(common)) {
		log_error("--list, --jobs, --report and --junit stand on the command line");
		ret = -EINVAL;
	}
	if (!ret && (common->help || common->version)) {
		log_error("--help and --version stand on the command line");
		ret = -EINVAL;
	}
	return ret;
}

static bool have_one_socket(const struct control_config *a, const struct control_config *b)
{
	if (a->where || b->where)
		return a->where && b->where && strcmp(a->where, b->where) == 0 &&
		       strcmp(a->where, "off") != 0;
	return a->name && b->name && strcmp(a->name, b->name) == 0;
}

/*
 * Tests may run at a time, and each machine has a name of its own: where the command line gives it,
 * with the number of the test.
 */
static int name_machine(const struct suite *suite, struct test_options *options)
{
	struct control_config *own = &options->run.control;
	char *name = NULL;
	int ret = 0;

	if (own->name && !options_given(&options->run.common, "name")) {
		ret = asprintf(&name, "%s-%u", own->name, suite->count) < 0 ? -ENOMEM : 0;
		own->name = name;
		if (!ret)
			ret = options_own(&options->run.common, name);
	}
	if (ret)
		return ret;
	if (own->name && !control_is_name(own->name)) {
		log_error("--name %.80s: is too long; choose a shorter one", own->name);
		return -EINVAL;
	}
	for (unsigned i = 0; i + 1 < suite->count; i++) {
		if (!have_one_socket(own, &suite->cases[i].options->run.control))
			continue;
		log_error("%s %.80s: is that of test %.80s, too; choose another",
			  own->where ? "--control" : "--name", own->where ? own->where : own->name,
			  suite->cases[i].name);
		return -EINVAL;
	}
	return 0;
}

/* `files`: those of earlier lines, and of the suite. */
static int add_line(struct suite *suite, struct test_options *base, char *line,
		    struct file_set *files)
{
	enum { WORDS_MAX = 256 };
	char *words[WORDS_MAX + 1];
	struct test_case *test;
	int count = suite_split_line(line, words, WORDS_MAX), ret;

	if (count < 0) {
		log_error(count == -EINVAL ? "a quote is not closed" : "more than 256 words");
		return -EINVAL;
	}
	if (!count)
		return 0;
	words[count] = NULL;
	if (has_name(suite, words[0])) {
		log_error("%.80s: a second test of this name; choose another", words[0]);
		return -EINVAL;
	}
	test = add_case(suite, words[0]);
	if (!test)
		return -ENOMEM;
	test->owns_options = true;
	test->options = calloc(1, sizeof(*test->options));
	if (!test->options)
		return -ENOMEM;
	ret = parse_line(base, test, count - 1, words + 1);
	if (!ret)
		ret = name_machine(suite, test->options);
	return ret ? ret :
		     run_options_add_files(files, &test->options->run, &suite_option_list);
}

static int load_lines(struct suite *suite, struct test_options *options, FILE *in,
		      struct file_set *files)
{
	const char *path = options->list;
	unsigned number = 0;
	int ret = file_set_add_options(files, &options->run.common, &suite_option_list);

	while (!ret) {
		char *line = NULL;
		size_t size = 0;

		number++;
		if (getline(&line, &size, in) < 0) {
			free(line);
			break;
		}
		/* The options borrow strings from it. */
		ret = options_own(&options->run.common, line);
		if (!ret)
			ret = add_line(suite, options, line, files);
		if (ret == -EINVAL)
			log_error("%.200s: line %u is wrong, see above; nothing was run", path,
				  number);
	}
	options->list = path;
	if (!ret && ferror(in)) {
		log_error("%.200s: %s", path, strerror(errno));
		ret = -EINVAL;
	}
	if (!ret && !suite->count) {
		log_error("%.200s: no test is in it; write lines with a name and arguments", path);
		ret = -EINVAL;
	}
	return ret;
}

static int load_list(struct suite *suite, struct test_options *options)
{
	struct file_set files = { 0 };
	FILE *in = fopen(options->list, "re");
	int ret;

	if (!in) {
		log_error("--list %.200s: %s", options->list, strerror(errno));
		return -EINVAL;
	}
	ret = options->from ? snapshot_open(&suite->shared, options->from) : 0;
	options->shared = suite->shared;
	if (!ret)
		ret = load_lines(suite, options, in, &files);
	file_set_destroy(&files);
	fclose(in);
	return ret;
}

int suite_load(struct suite *suite, struct test_options *options)
{
	struct test_case *test;

	*suite = (struct suite){ 0 };
	if (options->list)
		return load_list(suite, options);
	test = add_case(suite, "");
	if (!test)
		return -ENOMEM;
	test->options = options;
	return 0;
}

void suite_destroy(struct suite *suite)
{
	for (unsigned i = 0; i < suite->count; i++) {
		struct test_case *test = &suite->cases[i];

		if (test->options)
			restored_close(&test->options->restored);
		if (test->owns_options && test->options) {
			options_destroy(&test->options->run.common);
			free(test->options);
		}
		free(test->name);
		cJSON_Delete(test->attempts);
	}
	free(suite->cases);
	snapshot_free(suite->shared);
	*suite = (struct suite){ 0 };
}
