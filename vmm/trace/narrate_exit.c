/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of exits. (KVM api.rst 5, struct kvm_run) */
#include "trace/narrate.h"
#include "core/vcpu.h"

#include "base/le.h"

#include <ctype.h>
#include <string.h>

static const char *const meanings[] = {
	[KVM_EXIT_UNKNOWN] = "the CPU left the guest for a reason that KVM does not know",
	[KVM_EXIT_HYPERCALL] = "the guest made a hypercall that is left to userspace",
	[KVM_EXIT_DEBUG] = "a breakpoint, or a single step, of a debugger",
	[KVM_EXIT_HLT] = "the guest halts; without an interrupt controller nothing can wake it",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "the guest could take an interrupt now",
	[KVM_EXIT_SHUTDOWN] = "the CPU shuts down: a fault while it handled a double fault",
	[KVM_EXIT_FAIL_ENTRY] = "the CPU refuses to enter the guest with this state",
	[KVM_EXIT_INTR] = "a signal waits for this thread",
	[KVM_EXIT_SET_TPR] = "the guest has written CR8, its task priority",
	[KVM_EXIT_ARM_NISV] = "an access to a device that the CPU does not describe",
	[KVM_EXIT_INTERNAL_ERROR] = "KVM cannot go on, as with an instruction it cannot emulate",
};

static void add_value(struct text *out, const void *data, unsigned size)
{
	uint64_t value = get_le_bytes(data, size);

	text_add(out, "0x%llx", (unsigned long long)value);
	if (size == 1 && value < 0x80 && isprint((int)value))
		text_add(out, " '%c'", (int)value);
}

/* `data`: what it writes, once. */
static void narrate_access(struct text *out, bool write, unsigned count, unsigned size,
			   const void *data)
{
	text_add(out, "the guest %s ", write ? "writes" : "reads");
	if (count > 1)
		text_add(out, "%u times ", count);
	text_add(out, "%u byte%s", size, size == 1 ? "" : "s");
	if (write && count == 1) {
		text_add(out, ", ");
		add_value(out, data, size);
	}
	text_add(out, "%s ", write ? ", to" : " from");
}

static void narrate_io(struct text *out, const struct narration *n, const struct kvm_run *run)
{
	narrate_access(out, run->io.direction == KVM_EXIT_IO_OUT, run->io.count, run->io.size,
		       (const char *)run + run->io.data_offset);
	text_add(out, "port 0x%x: ", run->io.port);
	narrate_place(out, n->pio, run->io.port);
}

static void narrate_mmio(struct text *out, const struct narration *n, const struct kvm_run *run)
{
	narrate_access(out, run->mmio.is_write, 1, run->mmio.len, run->mmio.data);
	text_add(out, "0x%llx, which is no RAM: ", run->mmio.phys_addr);
	narrate_place(out, n->mmio, run->mmio.phys_addr);
}

static void narrate_system_event(struct text *out, const struct kvm_run *run)
{
	static const char *const types[] = {
		[KVM_SYSTEM_EVENT_SHUTDOWN] = "the guest powers itself off",
		[KVM_SYSTEM_EVENT_RESET] = "the guest resets itself",
		[KVM_SYSTEM_EVENT_CRASH] = "the guest reports a crash",
	};
	uint32_t type = run->system_event.type;

	if (type < ARRAY_SIZE(types) && types[type])
		text_add(out, "%s", types[type]);
	else
		text_add(out, "system event %u", type);
}

static void narrate_interruption(struct text *out, int result)
{
	if (result == -EINTR)
		text_add(out, "KVM_RUN: back without an exit: a signal or immediate_exit wants the "
			      "vCPU out of the guest");
	else if (result == -EAGAIN)
		text_add(out, "KVM_RUN: back without an exit: the vCPU still waits to be started by "
			      "another one");
	else
		text_add(out, "KVM_RUN: refused: %s", strerror(-result));
}

static void add_name(struct text *out, unsigned reason)
{
	const char *name = vcpu_exit_name(reason);

	if (name)
		text_add(out, "%s", name);
	else
		text_add(out, "%u", reason);
}

void narrate_exit(struct text *out, const struct narration *n)
{
	const struct kvm_run *run = n->event->arg;
	unsigned reason = run->exit_reason;

	if (n->event->result < 0) {
		narrate_interruption(out, n->event->result);
		return;
	}
	text_add(out, "KVM_EXIT_");
	add_name(out, reason);
	text_add(out, ": ");
	if (reason == KVM_EXIT_IO)
		narrate_io(out, n, run);
	else if (reason == KVM_EXIT_MMIO)
		narrate_mmio(out, n, run);
	else if (reason == KVM_EXIT_SYSTEM_EVENT)
		narrate_system_event(out, run);
	else if (reason < ARRAY_SIZE(meanings) && meanings[reason])
		text_add(out, "%s", meanings[reason]);
	else
		text_add(out, "see KVM's api.rst 5");
}

static void add_access(struct text *out, struct bus *bus, uint64_t addr, bool write)
{
	text_add(out, "%s ", write ? "write to" : "read of");
	if (bus && bus_describe(bus, addr, out, NULL))
		return;
	/* There are few port numbers; for MMIO, each unused address would be a separate cause. */
	if (addr <= UINT16_MAX)
		text_add(out, "port 0x%llx, where nobody is", (unsigned long long)addr);
	else
		text_add(out, "memory where nobody is");
}

void narrate_exit_cause(struct text *out, const struct narration *n)
{
	const struct kvm_run *run = n->event->arg;

	if (n->event->result < 0)
		text_add(out, "interruption");
	else if (run->exit_reason == KVM_EXIT_IO)
		add_access(out, n->pio, run->io.port, run->io.direction == KVM_EXIT_IO_OUT);
	else if (run->exit_reason == KVM_EXIT_MMIO)
		add_access(out, n->mmio, run->mmio.phys_addr, run->mmio.is_write);
	else
		add_name(out, run->exit_reason);
}
