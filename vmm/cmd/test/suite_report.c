/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the report from the results of all tests. */
#include "suite.h"

#include "cmd/kernel.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* What was booted; the version is from the kernel's file. */
static cJSON *boot_json(const struct boot_options *boot)
{
	cJSON *object = cJSON_CreateObject();
	char version[KERNEL_VERSION_MAX];
	bool known = boot->kernel && !kernel_version(boot->kernel, version);

	json_set_text(object, "kernel", boot->kernel);
	json_set_text(object, "version", known ? version : NULL);
	json_set_text(object, "initrd", boot->initrd);
	json_set_text(object, "cmdline", boot->cmdline);
	return object;
}

static cJSON *arguments_json(const struct common_options *options)
{
	cJSON *array = cJSON_CreateArray();

	for (int i = 0; i < options->argc; i++)
		json_append(array, json_text(options->argv[i]));
	return array;
}

static cJSON *host_json(void)
{
	cJSON *object = cJSON_CreateObject();
	struct utsname host;

	if (uname(&host))
		return object;
	json_set_text(object, "name", host.nodename);
	json_set_text(object, "kernel", host.release);
	json_set_text(object, "machine", host.machine);
	return object;
}

/* RFC 3339, when the tests began. */
static cJSON *date_json(double seconds)
{
	time_t start = time(NULL) - (time_t)seconds;
	struct tm utc;
	char text[32];

	return gmtime_r(&start, &utc) && strftime(text, sizeof(text), "%FT%TZ", &utc) ?
		       cJSON_CreateString(text) :
		       NULL;
}

/* The last attempt counts; of earlier ones only the outcome is kept. */
static cJSON *case_json(const struct test_case *test)
{
	int count = cJSON_GetArraySize(test->attempts);
	const cJSON *last = cJSON_GetArrayItem(test->attempts, count - 1);
	cJSON *item = cJSON_CreateObject(), *before = cJSON_Duplicate(test->attempts, true);

	json_set_text(item, "name", *test->name ? test->name : test->options->run.config.boot.kernel);
	json_set(item, "boot", boot_json(&test->options->run.config.boot));
	json_set(item, "flaky", cJSON_CreateBool(count > 1 && result_passed(last)));
	json_each(member, last)
		json_set(item, member->string, cJSON_Duplicate(member, true));
	cJSON_DeleteItemFromArray(before, count - 1);
	json_set(item, "failed_attempts", before);
	return item;
}

struct suite_counts suite_count(const struct suite *suite)
{
	struct suite_counts counts = { 0 };

	for (unsigned i = 0; i < suite->count; i++) {
		const cJSON *attempts = suite->cases[i].attempts;
		int count = cJSON_GetArraySize(attempts);
		bool passed = result_passed(cJSON_GetArrayItem(attempts, count - 1));

		counts.missing += !count;
		counts.passed += passed;
		counts.failed += count && !passed;
		counts.flaky += passed && count > 1;
	}
	return counts;
}

cJSON *report_of_suite(const struct suite *suite, const struct common_options *options,
		       double seconds)
{
	cJSON *report = cJSON_CreateObject(), *tests = cJSON_CreateArray();
	struct suite_counts counts = suite_count(suite);

	for (unsigned i = 0; i < suite->count; i++)
		if (cJSON_GetArraySize(suite->cases[i].attempts))
			json_append(tests, case_json(&suite->cases[i]));
	json_set_text(report, "kinglet", KINGLET_VERSION);
	json_set(report, "arguments", arguments_json(options));
	json_set(report, "date", date_json(seconds));
	json_set(report, "host", host_json());
	json_set(report, "passed", cJSON_CreateNumber(counts.passed));
	json_set(report, "failed", cJSON_CreateNumber(counts.failed));
	json_set(report, "flaky", cJSON_CreateNumber(counts.flaky));
	json_set(report, "seconds", cJSON_CreateNumber(seconds));
	json_set(report, "tests", tests);
	return report;
}
