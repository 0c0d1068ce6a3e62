/* SPDX-License-Identifier: Apache-2.0 */
/* --stats: the cost of the run so far. */
#include "trace/observer.h"

#include "base/log.h"
#include "core/irq.h"
#include "core/vcpu.h"
#include "virtio/virtio.h"

#include <inttypes.h>
#include <stdio.h>

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

static void print_vcpus(const struct machine_parts *parts)
{
	uint64_t exits = 0;

	for (unsigned i = 0; i < parts->vcpu_count; i++)
		exits += load(&parts->vcpus[i].exits);
	log_error("%-24s %10s", "vCPU exits to Kinglet", "number");
	for (unsigned i = 0; i < ARRAY_SIZE(parts->vcpus[0].exits_by_reason); i++) {
		uint64_t count = exits_by_reason(parts, i);
		const char *name = vcpu_exit_name(i);
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		if (count)
			log_error("  KVM_EXIT_%-13s %10" PRIu64, name ? name : number, count);
	}
	log_error("%-24s %10" PRIu64, "  all", exits);
}

static void print_devices(const struct machine_parts *parts)
{
	log_error("%-24s %10s %10s", "device, in use", "exits", "wake-ups");
	for (unsigned i = 0; i < parts->device_count; i++) {
		const struct virtio_dev *dev = parts->devices[i];

		log_error("  %-22s %10" PRIu64 " %10" PRIu64, dev->name, load(&dev->guest_exits),
			  load(&dev->loop_wakeups));
	}
}

static void print(void *owner)
{
	const struct machine_parts *parts = ((const struct stats *)owner)->parts;

	print_vcpus(parts);
	log_error("%-24s %10u", "interrupts by MSI", irqs_msi_count(parts->irqs));
	if (!parts->device_count)
		return;
	print_devices(parts);
	for (unsigned i = 0; i < parts->device_count; i++)
		if (parts->devices[i]->model->print_stats)
			parts->devices[i]->model->print_stats(parts->devices[i]);
}

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
