/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinglet writes one event a line, so a trace of any length is read a line at a time; other
 * programs' traces are refused.
 */
#include "trace/trace_report.h"

#include "trace/costs.h"
#include "base/log.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

enum { PHASES_MAX = 16, THREADS_MAX = 64, WIDTH = 64, ROWS = 12 };

struct phase_row {
	char name[16], what[80];
	uint64_t at, lasts; /* ns */
};

struct thread_row {
	int tid;
	char name[16];
	uint64_t guest, exits; /* ns */
};

struct report {
	struct phase_row phases[PHASES_MAX];
	unsigned phase_count;
	struct thread_row threads[THREADS_MAX];
	unsigned thread_count;
	struct costs exits, calls, interrupts;
	uint64_t events;
};

static const char *string_of(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return value ? value : "";
}

/* Microseconds in the file. */
static uint64_t time_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e15 ?
		       (uint64_t)(item->valuedouble * 1e3 + 0.5) :
		       0;
}

static struct thread_row *thread_of(struct report *report, const cJSON *event)
{
	const cJSON *tid = cJSON_GetObjectItemCaseSensitive(event, "tid");
	struct thread_row *row;

	for (unsigned i = 0; i < report->thread_count; i++)
		if (cJSON_IsNumber(tid) && report->threads[i].tid == tid->valueint)
			return &report->threads[i];
	if (report->thread_count == THREADS_MAX || !cJSON_IsNumber(tid))
		return NULL;
	row = &report->threads[report->thread_count++];
	row->tid = tid->valueint;
	return row;
}

static void take_phase(struct report *report, const cJSON *event)
{
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
	struct phase_row *row;

	if (report->phase_count == PHASES_MAX)
		return;
	row = &report->phases[report->phase_count++];
	snprintf(row->name, sizeof(row->name), "%s", string_of(event, "name"));
	snprintf(row->what, sizeof(row->what), "%s", string_of(args, "what"));
	row->at = time_of(event, "ts");
	row->lasts = time_of(event, "dur");
}

static void take_metadata(struct report *report, const cJSON *event)
{
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
	struct thread_row *row;

	if (strcmp(string_of(event, "name"), "thread_name") != 0)
		return;
	row = thread_of(report, event);
	if (row)
		snprintf(row->name, sizeof(row->name), "%s", string_of(args, "name"));
}

static void take_event(struct report *report, const cJSON *event)
{
	const char *category = string_of(event, "cat"), *name = string_of(event, "name");
	struct thread_row *thread = thread_of(report, event);
	uint64_t ns = time_of(event, "dur");

	report->events++;
	if (strcmp(category, "__metadata") == 0) {
		take_metadata(report, event);
	} else if (strcmp(category, "phase") == 0) {
		take_phase(report, event);
	} else if (strcmp(category, "guest") == 0) {
		if (thread)
			thread->guest += ns;
	} else if (strcmp(category, "exit") == 0) {
		costs_add(&report->exits, name, 1, ns);
		if (thread)
			thread->exits += ns;
	} else if (strcmp(category, "ioctl") == 0) {
		costs_add(&report->calls, name, 1, ns);
	} else if (strcmp(category, "interrupt") == 0) {
		costs_add(&report->interrupts, name, 1, 0);
	}
}

/* False for a line that is no event, where one should be. */
static bool take_line(struct report *report, char *line)
{
	size_t len = strcspn(line, "\n");
	cJSON *event;

	if (*line != '{')
		return true;
	line[len] = '\0';
	if (len && line[len - 1] == ',')
		line[len - 1] = '\0';
	event = cJSON_Parse(line);
	if (!event)
		return false;
	take_event(report, event);
	cJSON_Delete(event);
	return true;
}

/* --- Printing --------------------------------------------------------------------------------- */

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void print_repeated(FILE *out, const char *what, unsigned times)
{
	while (times--)
		fputs(what, out);
}

static unsigned share(uint64_t part, uint64_t whole, unsigned width)
{
	return whole ? (unsigned)((double)part / (double)whole * width + 0.5) : 0;
}

static int compare_phases(const void *a, const void *b)
{
	const struct phase_row *one = a, *other = b;

	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	return one->lasts < other->lasts ? -1 : one->lasts > other->lasts;
}

/* One line: each phase as wide as it was long, with its name where that fits. */
static void print_flame(FILE *out, const struct report *report, uint64_t whole)
{
	unsigned column = 0;

	for (unsigned i = 0; i < report->phase_count; i++) {
		const struct phase_row *row = &report->phases[i];
		unsigned end = share(row->at + row->lasts, whole, WIDTH), width = end - column;
		unsigned name = (unsigned)strlen(row->name);

		if (end <= column)
			continue;
		if (width < name + 2) {
			fputc('[', out);
			print_repeated(out, "=", width - 1);
		} else {
			fprintf(out, "[%s", row->name);
			print_repeated(out, "=", width - 1 - name);
		}
		column = end;
	}
	fprintf(out, "] %.1f ms\n", ms(whole));
}

static bool has_phase(const struct report *report, const char *name)
{
	for (unsigned i = 0; i < report->phase_count; i++)
		if (strcmp(report->phases[i].name, name) == 0)
			return true;
	return false;
}

static void print_phases(FILE *out, struct report *report)
{
	uint64_t whole = 0;

	if (!report->phase_count) {
		fputs("The trace has no phases: the run was cut off before its end.\n", out);
		return;
	}
	qsort(report->phases, report->phase_count, sizeof(report->phases[0]), compare_phases);
	for (unsigned i = 0; i < report->phase_count; i++)
		if (report->phases[i].at + report->phases[i].lasts > whole)
			whole = report->phases[i].at + report->phases[i].lasts;
	print_flame(out, report, whole);
	fprintf(out, "\n%-8s %10s %10s  %s\n", "phase", "at ms", "lasts ms", "what happens");
	for (unsigned i = 0; i < report->phase_count; i++) {
		const struct phase_row *row = &report->phases[i];

		fprintf(out, "%-8s %10.2f %10.2f  %s\n", row->name, ms(row->at), ms(row->lasts),
			row->what);
	}
	for (unsigned i = 0; i < 2; i++) {
		static const char *const printed[] = { "kernel", "init" };

		if (!has_phase(report, printed[i]))
			fprintf(out, "%-8s %10s %10s  unknown: the guest did not print it\n",
				printed[i], "-", "-");
	}
}

static void print_vcpus(FILE *out, const struct report *report)
{
	bool any = false;

	for (unsigned i = 0; i < report->thread_count; i++) {
		const struct thread_row *row = &report->threads[i];
		uint64_t whole = row->guest + row->exits;
		unsigned guest = share(row->guest, whole, WIDTH / 2);

		if (!whole)
			continue;
		if (!any)
			fprintf(out, "\n%-10s %10s %10s  # guest or halted, . Kinglet\n", "vCPU",
				"guest ms", "Kinglet ms");
		any = true;
		fprintf(out, "%-10s %10.2f %10.2f  ", row->name, ms(row->guest), ms(row->exits));
		print_repeated(out, "#", guest);
		print_repeated(out, ".", WIDTH / 2 - guest);
		fputc('\n', out);
	}
}

static void print_costs(FILE *out, struct costs *costs, const char *what)
{
	if (!costs->count)
		return;
	costs_sort(costs);
	fprintf(out, "\n%-42s %9s %10s %9s\n", what, "number", "ms", "us each");
	for (unsigned i = 0; i < costs->count && i < ROWS; i++) {
		const struct cost *cost = &costs->costs[i];

		fprintf(out, "%-42s %9llu %10.2f %9.1f\n", cost->name,
			(unsigned long long)cost->count, ms(cost->ns),
			(double)cost->ns / 1e3 / (double)cost->count);
	}
	if (costs->count > ROWS)
		fprintf(out, "and %u more\n", costs->count - ROWS);
}

static void print_interrupts(FILE *out, const struct costs *interrupts)
{
	if (!interrupts->count)
		return;
	fprintf(out, "\n%-60s %9s\n", "interrupts that Kinglet raised", "number");
	for (unsigned i = 0; i < interrupts->count; i++)
		fprintf(out, "%-60s %9llu\n", interrupts->costs[i].name,
			(unsigned long long)interrupts->costs[i].count);
}

static int read_trace(struct report *report, FILE *trace, const char *name)
{
	static const char head[] = "{\"otherData\":{\"producer\":\"Kinglet ";
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	if (getline(&line, &room, trace) < 0 || strncmp(line, head, sizeof(head) - 1) != 0) {
		if (ferror(trace)) {
			log_error("%s: read: %s", name, strerror(errno));
			return -EIO;
		}
		log_error("%s: not a trace of Kinglet's; write one with kinglet run --trace FILE",
			  name);
		return -EINVAL;
	}
	for (unsigned number = 2; getline(&line, &room, trace) >= 0; number++) {
		if (!take_line(report, line)) {
			log_error("%s: line %u: not an event", name, number);
			return -EINVAL;
		}
	}
	if (!ferror(trace))
		return 0;
	log_error("%s: read: %s", name, strerror(errno));
	return -EIO;
}

int trace_report(FILE *out, FILE *trace, const char *name)
{
	_cleanup_free_ struct report *report = calloc(1, sizeof(*report));
	int ret;

	if (!report)
		return -ENOMEM;
	ret = read_trace(report, trace, name);
	if (ret)
		return ret;
	print_phases(out, report);
	print_vcpus(out, report);
	print_costs(out, &report->exits, "exit");
	print_costs(out, &report->calls, "call of the kernel");
	print_interrupts(out, &report->interrupts);
	return 0;
}
