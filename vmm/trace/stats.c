/* SPDX-License-Identifier: Apache-2.0 */
/* --stats: what the run has cost so far. */
#include "../machine/vm.h"

#include "base/log.h"
#include "devices/net.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t exits_by_reason(const struct vm *vm, unsigned reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vm->vcpu_count; i++)
		sum += load(&vm->vcpus[i].exits_by_reason[reason]);
	return sum;
}

static void print_vcpus(const struct vm *vm)
{
	uint64_t exits = 0;

	for (unsigned i = 0; i < vm->vcpu_count; i++)
		exits += load(&vm->vcpus[i].exits);
	log_error("%-24s %10s", "vCPU exits to Kinglet", "number");
	for (unsigned i = 0; i < ARRAY_SIZE(vm->vcpus[0].exits_by_reason); i++) {
		uint64_t count = exits_by_reason(vm, i);
		const char *name = vcpu_exit_name(i);
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		if (count)
			log_error("  KVM_EXIT_%-13s %10" PRIu64, name ? name : number, count);
	}
	log_error("%-24s %10" PRIu64, "  all", exits);
}

static void print_devices(const struct vm *vm)
{
	log_error("%-24s %10s %10s", "device, in use", "exits", "wake-ups");
	for (unsigned i = 0; i < vm->device_count; i++) {
		const struct virtio_dev *dev = vm->devices[i];

		log_error("  %-22s %10" PRIu64 " %10" PRIu64, dev->name, load(&dev->guest_exits),
			  load(&dev->loop_wakeups));
	}
}

/* Nothing of a card whose frames do not pass through Kinglet. */
static void print_frames(struct virtio_dev *dev)
{
	struct virtio_net_stats stats;

	if (dev->model->id == VIRTIO_ID_NET && virtio_net_get_stats(dev, &stats))
		log_error("%s: frames: %" PRIu64 " received, %" PRIu64 " unwanted, %" PRIu64
			  " dropped; %" PRIu64 " sent, %" PRIu64 " dropped", dev->name,
			  stats.rx_frames, stats.rx_filtered, stats.rx_dropped, stats.tx_frames,
			  stats.tx_dropped);
}

void vm_print_stats(struct vm *vm)
{
	print_vcpus(vm);
	log_error("%-24s %10u", "interrupts by MSI", irqs_msi_count(&vm->irqs));
	if (!vm->device_count)
		return;
	print_devices(vm);
	for (unsigned i = 0; i < vm->device_count; i++)
		print_frames(vm->devices[i]);
}
