/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_reader.h"

#include "base/log.h"

#include <string.h>

/* No machine has more facts, and no event of Kinglet is longer. */
enum { FACTS_MAX = 8192, LINE_SIZE = 64 << 10 };

static const char head[] = "{\"otherData\":{\"producer\":\"Kinglet ";

const char *trace_string(const cJSON *fact, const char *key)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fact, key));

	return value ? value : "";
}

static double double_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	bool right = cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e18;

	return right ? item->valuedouble : 0;
}

uint64_t trace_number(const cJSON *fact, const char *key)
{
	return (uint64_t)double_of(fact, key);
}

bool trace_has(const cJSON *fact, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(fact, key);
}

const cJSON *trace_facts(const struct trace *trace, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(trace->facts, name);
}

bool trace_has_phase(const struct trace *trace, const char *name)
{
	for (unsigned i = 0; i < trace->phase_count; i++)
		if (strcmp(trace->phases[i].name, name) == 0)
			return true;
	return false;
}

/* Microseconds in the file. */
static uint64_t time_of(const cJSON *object, const char *key)
{
	double us = double_of(object, key);

	return us < 1e15 ? (uint64_t)(us * 1e3 + 0.5) : 0;
}

/* "" for a thread without a name, as in traces from other programs. */
static const char *thread_of(const struct trace *trace, const cJSON *event)
{
	int tid = (int)trace_number(event, "tid");

	for (unsigned i = 0; i < trace->thread_count; i++)
		if (trace->threads[i].tid == tid)
			return trace->threads[i].name;
	return "";
}

static void take_phase(struct trace *trace, const cJSON *event, const cJSON *args)
{
	struct trace_phase *phase = &trace->phases[trace->phase_count];

	if (trace->phase_count == TRACE_PHASES)
		return;
	trace->phase_count++;
	snprintf(phase->name, sizeof(phase->name), "%s", trace_string(event, "name"));
	snprintf(phase->what, sizeof(phase->what), "%s", trace_string(args, "what"));
	phase->at = time_of(event, "ts");
	phase->lasts = time_of(event, "dur");
	if (phase->at + phase->lasts > trace->end)
		trace->end = phase->at + phase->lasts;
}

static void take_thread(struct trace *trace, const cJSON *event, const cJSON *args)
{
	struct trace_thread *thread = &trace->threads[trace->thread_count];

	if (trace->thread_count == TRACE_THREADS)
		return;
	trace->thread_count++;
	thread->tid = (int)trace_number(event, "tid");
	snprintf(thread->name, sizeof(thread->name), "%s", trace_string(args, "name"));
}

/* The run's own sum replaces the sum of its events. */
static void take_cost(struct trace *trace, const cJSON *cost)
{
	static const char *const of[] = {
		[TRACE_EXITS] = "exit",
		[TRACE_CALLS] = "ioctl",
		[TRACE_GUEST] = "guest",
		[TRACE_KINGLET] = "kinglet",
	};
	uint64_t count = trace_number(cost, "count");

	if (!trace->totals)
		memset(trace->sums, 0, ARRAY_SIZE(of) * sizeof(trace->sums[0]));
	trace->totals = true;
	for (unsigned i = 0; i < ARRAY_SIZE(of) && count; i++)
		if (strcmp(of[i], trace_string(cost, "of")) == 0)
			costs_add(&trace->sums[i], trace_string(cost, "what"), count,
				  trace_number(cost, "ns"));
}

/* False: more than any machine has. */
static bool take_fact(struct trace *trace, cJSON *event, const char *name)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(trace->facts, name);

	if (!list)
		list = cJSON_AddArrayToObject(trace->facts, name);
	cJSON_AddItemToArray(list, cJSON_DetachItemFromObjectCaseSensitive(event, "args"));
	return ++trace->fact_count < FACTS_MAX;
}

static bool take_metadata(struct trace *trace, cJSON *event, const char *name, const cJSON *args)
{
	if (strcmp(name, "process_name") == 0)
		return true;
	if (strcmp(name, "thread_name") == 0)
		take_thread(trace, event, args);
	else if (strcmp(name, "cost") == 0)
		take_cost(trace, args);
	else
		return take_fact(trace, event, name);
	return true;
}

static bool take_event(struct trace *trace, cJSON *event)
{
	const char *category = trace_string(event, "cat"), *name = trace_string(event, "name");
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
	uint64_t ns = time_of(event, "dur");

	if (strcmp(category, "__metadata") == 0)
		return take_metadata(trace, event, name, args);
	if (strcmp(category, "phase") == 0) {
		take_phase(trace, event, args);
	} else if (strcmp(category, "guest") == 0) {
		costs_add(&trace->sums[TRACE_GUEST], thread_of(trace, event), 1, ns);
	} else if (strcmp(category, "exit") == 0) {
		costs_add(&trace->sums[TRACE_EXITS], name, 1, ns);
		costs_add(&trace->sums[TRACE_KINGLET], thread_of(trace, event), 1, ns);
	} else if (strcmp(category, "ioctl") == 0) {
		costs_add(&trace->sums[TRACE_CALLS], name, 1, ns);
	} else if (strcmp(category, "interrupt") == 0) {
		costs_add(&trace->sums[TRACE_INTERRUPTS], name, 1, 0);
	}
	return true;
}

/* False for a line that is not an event, where one is expected. */
static bool take_line(struct trace *trace, char *line)
{
	size_t len = strcspn(line, "\n");
	cJSON *event;
	bool taken;

	if (*line != '{')
		return len < LINE_SIZE - 1;
	line[len] = '\0';
	if (len && line[len - 1] == ',')
		line[len - 1] = '\0';
	event = cJSON_Parse(line);
	taken = event && take_event(trace, event);
	cJSON_Delete(event);
	return taken;
}

static int compare_phases(const void *a, const void *b)
{
	const struct trace_phase *one = a, *other = b;

	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	return one->lasts < other->lasts ? -1 : one->lasts > other->lasts;
}

static int read_lines(struct trace *trace, FILE *in, const char *name, char *line)
{
	size_t version = 0;

	if (fgets(line, LINE_SIZE, in) && strncmp(line, head, sizeof(head) - 1) == 0)
		version = strcspn(line + sizeof(head) - 1, "\"\n");
	if (!version && !ferror(in)) {
		log_error("%s: not a trace of Kinglet's; write one with kinglet run --trace FILE",
			  name);
		return -EINVAL;
	}
	snprintf(trace->version, sizeof(trace->version), "%.*s", (int)version,
		 line + sizeof(head) - 1);
	for (unsigned number = 2; fgets(line, LINE_SIZE, in); number++) {
		if (!take_line(trace, line)) {
			log_error("%s: line %u: not an event", name, number);
			return -EINVAL;
		}
	}
	if (!ferror(in))
		return 0;
	log_error("%s: read: %s", name, strerror(errno));
	return -EIO;
}

int trace_new(struct trace **trace, FILE *in, const char *name)
{
	_cleanup_free_ char *line = malloc(LINE_SIZE);
	struct trace *t = calloc(1, sizeof(*t));
	int ret;

	if (t)
		t->facts = cJSON_CreateObject();
	if (line && t && t->facts) {
		ret = read_lines(t, in, name, line);
	} else {
		ret = -ENOMEM;
		log_error("%s: %s", name, strerror(ENOMEM));
	}
	if (ret) {
		trace_free(t);
		return ret;
	}
	qsort(t->phases, t->phase_count, sizeof(t->phases[0]), compare_phases);
	costs_sort(&t->sums[TRACE_EXITS]);
	costs_sort(&t->sums[TRACE_CALLS]);
	*trace = t;
	return 0;
}

void trace_free(struct trace *trace)
{
	if (trace)
		cJSON_Delete(trace->facts);
	free(trace);
}

bool trace_is_whole(const struct trace *trace)
{
	return trace_facts(trace, "run");
}
