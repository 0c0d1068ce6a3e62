/* SPDX-License-Identifier: Apache-2.0 */
/* --stats: the cost of the run so far. */
#include "trace/observer.h"

#include "base/log.h"
#include "core/irq.h"
#include "core/vcpu.h"
#include "virtio/virtio.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t exits_by_reason(const struct machine_parts *parts, unsigned reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < parts->vcpu_count; i++)
		sum += load(&parts->vcpus[i].exits_by_reason[reason]);
	return sum;
}

/* --- The numbers, for text and JSON ----------------------------------------------------------- */

enum group { GROUP_EXITS, GROUP_INTERRUPTS, GROUP_DEVICES, GROUPS };

static const struct {
	const char *key, *keys[2];	/* of the object in JSON, and of more than one number */
	const char *title, *columns[2]; /* of the text; NULL: a row has its own name */
	const char *prefix;		/* of a row in the text */
	unsigned count;			/* of numbers */
} groups[GROUPS] = {
	[GROUP_EXITS] = { "exits", { NULL }, "vCPU exits to Kinglet",
			  { "number" }, "  KVM_EXIT_", 1 },
	[GROUP_INTERRUPTS] = { "interrupts", { NULL }, NULL, { NULL }, "interrupts by ", 1 },
	[GROUP_DEVICES] = { "devices", { "exits", "wakeups" }, "device, in use",
			    { "exits", "wake-ups" }, "  ", 2 },
};

struct row {
	enum group group;
	const char *name;
	uint64_t numbers[2];
};

struct sink {
	void (*begin)(struct sink *sink, enum group group);
	void (*row)(struct sink *sink, const struct row *row);
	cJSON *json, *object; /* of all, and of the group */
};

static void walk_vcpus(const struct machine_parts *parts, struct sink *sink)
{
	struct row all = { GROUP_EXITS, "all", { 0 } };

	for (unsigned i = 0; i < parts->vcpu_count; i++)
		all.numbers[0] += load(&parts->vcpus[i].exits);
	sink->begin(sink, GROUP_EXITS);
	for (unsigned i = 0; i < ARRAY_SIZE(parts->vcpus[0].exits_by_reason); i++) {
		struct row row = { GROUP_EXITS, vcpu_exit_name(i), { exits_by_reason(parts, i) } };
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		if (!row.name)
			row.name = number;
		if (row.numbers[0])
			sink->row(sink, &row);
	}
	sink->row(sink, &all);
}

static void walk(const struct machine_parts *parts, struct sink *sink)
{
	const struct row msi = { GROUP_INTERRUPTS, "MSI", { irqs_msi_count(parts->irqs) } };

	walk_vcpus(parts, sink);
	sink->begin(sink, GROUP_INTERRUPTS);
	sink->row(sink, &msi);
	if (parts->device_count)
		sink->begin(sink, GROUP_DEVICES);
	for (unsigned i = 0; i < parts->device_count; i++) {
		const struct virtio_dev *dev = parts->devices[i];
		const struct row row = { GROUP_DEVICES, dev->name,
					 { load(&dev->guest_exits), load(&dev->loop_wakeups) } };

		sink->row(sink, &row);
	}
}

/* --- Text ------------------------------------------------------------------------------------- */

static void print_title(struct sink *sink, enum group group)
{
	const char *const *columns = groups[group].columns;

	(void)sink;
	if (groups[group].count == 2)
		log_error("%-24s %10s %10s", groups[group].title, columns[0], columns[1]);
	else if (groups[group].title)
		log_error("%-24s %10s", groups[group].title, columns[0]);
}

static void print_row(struct sink *sink, const struct row *row)
{
	bool all = !strcmp(row->name, "all");
	char label[64];

	(void)sink;
	snprintf(label, sizeof(label), "%s%s", all ? "  " : groups[row->group].prefix, row->name);
	if (groups[row->group].count == 2)
		log_error("%-24s %10" PRIu64 " %10" PRIu64, label, row->numbers[0],
			  row->numbers[1]);
	else
		log_error("%-24s %10" PRIu64, label, row->numbers[0]);
}

static void print(void *owner)
{
	const struct machine_parts *parts = ((const struct stats *)owner)->parts;
	struct sink text = { .begin = print_title, .row = print_row };

	walk(parts, &text);
	for (unsigned i = 0; i < parts->device_count; i++)
		if (parts->devices[i]->model->print_stats)
			parts->devices[i]->model->print_stats(parts->devices[i]);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void begin_object(struct sink *sink, enum group group)
{
	sink->object = cJSON_AddObjectToObject(sink->json, groups[group].key);
}

static void add_row(struct sink *sink, const struct row *row)
{
	cJSON *object;

	if (groups[row->group].count == 1) {
		cJSON_AddNumberToObject(sink->object, row->name, (double)row->numbers[0]);
		return;
	}
	object = cJSON_AddObjectToObject(sink->object, row->name);
	for (unsigned i = 0; i < groups[row->group].count; i++)
		cJSON_AddNumberToObject(object, groups[row->group].keys[i],
					(double)row->numbers[i]);
}

static void add_own_stats(struct virtio_dev *dev, cJSON *object)
{
	struct virtio_stat stats[VIRTIO_STATS_MAX];
	unsigned count = dev->model->get_stats ? dev->model->get_stats(dev, stats) : 0;

	for (unsigned i = 0; i < count; i++)
		cJSON_AddNumberToObject(object, stats[i].name, (double)stats[i].value);
}

struct cJSON *stats_json(const struct machine_parts *parts)
{
	struct sink json = { .begin = begin_object, .row = add_row, .json = cJSON_CreateObject() };

	walk(parts, &json);
	for (unsigned i = 0; i < parts->device_count; i++)
		add_own_stats(parts->devices[i],
			      cJSON_GetObjectItemCaseSensitive(json.object,
							       parts->devices[i]->name));
	return json.json;
}

/* --- The observer ----------------------------------------------------------------------------- */

static int built(void *owner, const struct machine_parts *parts)
{
	((struct stats *)owner)->parts = parts;
	return 0;
}

/* The vCPUs may run, as at a report. Prints nothing for a machine that was not built. */
static void phase(void *owner, const struct sys_site *site, enum machine_phase phase)
{
	(void)site;
	if (phase == MACHINE_ENDS && ((const struct stats *)owner)->parts)
		print(owner);
}

const struct machine_observer_ops stats_ops = {
	.built = built,
	.phase = phase,
	.report = print,
};
