/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/doctor.h"
#include "cli/help.h"

#include <cjson/cJSON.h>
#include <pwd.h>
#include <string.h>
#include <sys/utsname.h>

struct doctor_options {
	struct common_options common;
	bool json, fix;
};

static const struct option doctor_options[] = {
	{
		.name = "json", .kind = OPTION_FLAG, .help = "print one JSON object, for programs",
		OPTION_FIELD(struct doctor_options, json),
	},
	{
		.name = "fix", .kind = OPTION_FLAG,
		.help = "first remove the SCSI targets (--scsi path=FILE) that killed runs of "
			"Kinglet left; needs root",
		OPTION_FIELD(struct doctor_options, fix),
	},
};

static const struct option_list doctor_option_list = {
	.name = "doctor",
	.title = "The host's examination",
	.table = doctor_options,
	.count = ARRAY_SIZE(doctor_options),
};

enum { TEXT_COLUMN = 28, DOCTOR_WIDTH = 100 };

/* A command is not wrapped, so that it can be copied. */
static void print_remedy(FILE *out, const struct doctor_check *check, const struct finding *finding)
{
	bool fits = TEXT_COLUMN + strlen("for : ") + strlen(check->use) + strlen(finding->fix) <=
		    DOCTOR_WIDTH;

	fprintf(out, "%*sfor %s", TEXT_COLUMN, "", check->use);
	if (*finding->fix && fits)
		fprintf(out, ": %s", finding->fix);
	else if (*finding->fix)
		fprintf(out, ":\n%*s%s", TEXT_COLUMN, "", finding->fix);
	fputc('\n', out);
}

void doctor_print(FILE *out, const struct doctor *doctor)
{
	for (unsigned i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->findings[i];
		int at = fprintf(out, "%-9s %s", finding_state_name(finding->state),
				 doctor->checks[i].name);

		help_print_wrapped(out, (unsigned)at, TEXT_COLUMN, DOCTOR_WIDTH, finding->text);
		if (finding->state != FINDING_OK)
			print_remedy(out, &doctor->checks[i], finding);
	}
}

static bool add_finding(cJSON *list, const struct doctor_check *check,
			const struct finding *finding)
{
	cJSON *item = cJSON_CreateObject();

	if (!item || !cJSON_AddItemToArray(list, item)) {
		cJSON_Delete(item);
		return false;
	}
	return cJSON_AddStringToObject(item, "check", check->name) &&
	       cJSON_AddStringToObject(item, "use", check->use) &&
	       cJSON_AddStringToObject(item, "state", finding_state_name(finding->state)) &&
	       cJSON_AddStringToObject(item, "text", finding->text) &&
	       (*finding->fix ? cJSON_AddStringToObject(item, "fix", finding->fix) :
				cJSON_AddNullToObject(item, "fix"));
}

static bool fill_report(cJSON *report, const struct doctor *doctor)
{
	cJSON *list;

	if (!cJSON_AddStringToObject(report, "kinglet", KINGLET_VERSION) ||
	    !cJSON_AddStringToObject(report, "kernel", doctor->release) ||
	    !cJSON_AddBoolToObject(report, "linux", doctor->linux_runs))
		return false;
	list = cJSON_AddArrayToObject(report, "checks");
	for (unsigned i = 0; i < doctor->count && list; i++)
		if (!add_finding(list, &doctor->checks[i], &doctor->findings[i]))
			return false;
	return list;
}

static int print_json(FILE *out, const struct doctor *doctor)
{
	cJSON *report = cJSON_CreateObject();
	char *text = NULL;

	if (report && fill_report(report, doctor))
		text = cJSON_Print(report);
	if (text)
		fprintf(out, "%s\n", text);
	else
		log_error("report: %s", strerror(ENOMEM));
	cJSON_free(text);
	cJSON_Delete(report);
	return text ? 0 : -ENOMEM;
}

static void describe_host(struct doctor *doctor, struct sys *sys)
{
	const struct passwd *user = getpwuid(geteuid());
	struct utsname host;

	sys_init(sys);
	*doctor = (struct doctor){
		.sys = sys,
		.ops = &doctor_real_ops,
		.root = "",
		.user = user ? user->pw_name : "USER",
	};
	uname(&host);
	snprintf(doctor->release, sizeof(doctor->release), "%s", host.release);
	doctor_list_checks(doctor);
}

/* The checks then report what is left. */
static void fix_leftovers(void)
{
	const struct host_need *need;

	for (unsigned i = 0; device_kinds[i]; i++)
		for (need = device_kinds[i]->needs; need && need->name; need++)
			if (need->remove_leftovers)
				need->remove_leftovers();
}

static int run(struct common_options *common)
{
	const struct doctor_options *options = container_of(common, struct doctor_options, common);
	struct doctor doctor;
	struct sys sys;
	int ret = 0;

	if (options->fix)
		fix_leftovers();
	describe_host(&doctor, &sys);
	doctor_examine(&doctor);
	if (options->json)
		ret = print_json(stdout, &doctor);
	else
		doctor_print(stdout, &doctor);
	if (ret || flush_stdout() != EXIT_SUCCESS)
		return EXIT_HOST;
	if (!doctor.linux_runs)
		log_error("this host cannot run a Linux guest");
	return doctor.linux_runs ? EXIT_SUCCESS : EXIT_HOST;
}

static const struct option_list *const lists[] = {
	&doctor_option_list,
	&common_option_list,
	NULL,
};

const struct command command_doctor = {
	.name = "doctor",
	.synopsis = "[options]",
	.summary = "examine this host: can it run guests, how well, and what would fix problems",
	.about = "Each line is ok, degraded or missing; the line below tells for what, and which\n"
		 "command would mend it. Small guests are run to learn whether KVM executes or\n"
		 "emulates them. Nothing is changed without --fix. Exit status: 0 when a Linux\n"
		 "guest can run, else 101.\n",
	.options = lists,
	.options_size = sizeof(struct doctor_options),
	.run = run,
};
