/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's requests that every architecture has, in words. */
#include "core/kvm.h"
#include "trace/narrate.h"

#define ULL(x) ((unsigned long long)(x))

static const char *capability_name(long capability)
{
#define CAP(name) { name, #name }
	static const struct {
		long number;
		const char *name;
	} names[] = {
		CAP(KVM_CAP_IRQCHIP),
		CAP(KVM_CAP_NR_VCPUS),
		CAP(KVM_CAP_MAX_VCPUS),
		CAP(KVM_CAP_COALESCED_MMIO),
		CAP(KVM_CAP_COALESCED_PIO),
		CAP(KVM_CAP_IRQ_ROUTING),
		CAP(KVM_CAP_IRQFD),
		CAP(KVM_CAP_IRQFD_RESAMPLE),
		CAP(KVM_CAP_IOEVENTFD),
		CAP(KVM_CAP_IOEVENTFD_ANY_LENGTH),
		CAP(KVM_CAP_MSI_DEVID),
		CAP(KVM_CAP_SIGNAL_MSI),
		CAP(KVM_CAP_IMMEDIATE_EXIT),
		CAP(KVM_CAP_READONLY_MEM),
		CAP(KVM_CAP_ONE_REG),
		CAP(KVM_CAP_DEVICE_CTRL),
		CAP(KVM_CAP_MP_STATE),
		CAP(KVM_CAP_TSC_DEADLINE_TIMER),
		CAP(KVM_CAP_X2APIC_API),
		CAP(KVM_CAP_ARM_VM_IPA_SIZE),
		CAP(KVM_CAP_ARM_PSCI_0_2),
		CAP(KVM_CAP_ARM_SVE),
		CAP(KVM_CAP_ARM_PTRAUTH_ADDRESS),
		CAP(KVM_CAP_ARM_PTRAUTH_GENERIC),
		CAP(KVM_CAP_ARM_NISV_TO_USER),
		CAP(KVM_CAP_ARM_INJECT_EXT_DABT),
		/* Names that the header has on x86 only. */
		{ 55, "KVM_CAP_XSAVE" },
		{ 56, "KVM_CAP_XCRS" },
	};
#undef CAP

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].number == capability)
			return names[i].name;
	return NULL;
}

static void add_capability(struct text *out, long capability)
{
	const char *name = capability_name(capability);

	if (name)
		text_add(out, "%s", name);
	else
		text_add(out, "capability %ld", capability);
}

static void say_api_version(struct text *out, const struct narration *n)
{
	text_add(out, "asks for the version of the interface");
	if (n->event->result >= 0)
		text_add(out, ": %d", n->event->result);
}

static void say_mmap_size(struct text *out, const struct narration *n)
{
	text_add(out, "asks how much to map of each vCPU's fd");
	if (n->event->result >= 0)
		text_add(out, ": %d bytes, struct kvm_run and rings shared with KVM",
			 n->event->result);
}

static void say_create_vm(struct text *out, const struct narration *n)
{
	text_add(out, "creates a virtual machine of type %lu, without memory, CPUs or devices",
		 (unsigned long)n->event->arg);
	if (n->event->result >= 0)
		text_add(out, "; it is fd %d", n->event->result);
}

static void learn_vm(const struct narration *n)
{
	fd_names_set(n->names, n->event->result, "VM");
}

static void say_check_extension(struct text *out, const struct narration *n)
{
	text_add(out, "asks for ");
	add_capability(out, (long)n->event->arg);
	if (n->event->result == 0)
		text_add(out, ": not there");
	else if (n->event->result > 0)
		text_add(out, ": %d", n->event->result);
}

static void say_create_vcpu(struct text *out, const struct narration *n)
{
	text_add(out, "creates vCPU %lu", (unsigned long)n->event->arg);
	if (n->event->result >= 0)
		text_add(out, "; it is fd %d", n->event->result);
}

static void learn_vcpu(const struct narration *n)
{
	fd_names_set(n->names, n->event->result, "vCPU %lu", (unsigned long)n->event->arg);
}

static void say_memory_region(struct text *out, const struct narration *n)
{
	const struct kvm_userspace_memory_region *region = n->event->arg;

	if (!region->memory_size) {
		text_add(out, "takes memory slot %u, at guest-physical 0x%llx, away", region->slot,
			 ULL(region->guest_phys_addr));
		return;
	}
	text_add(out, "memory slot %u: guest-physical 0x%llx to 0x%llx, ", region->slot,
		 ULL(region->guest_phys_addr),
		 ULL(region->guest_phys_addr + region->memory_size - 1));
	text_add_bytes(out, region->memory_size);
	text_add(out, ", is Kinglet's own memory at 0x%llx%s", ULL(region->userspace_addr),
		 region->flags & KVM_MEM_LOG_DIRTY_PAGES ? ", and KVM logs what is written to" : "");
}

static void say_irq_line(struct text *out, const struct narration *n)
{
	const struct kvm_irq_level *irq = n->event->arg;

	text_add(out, "%s GSI %u, a pin of the interrupt controllers in the kernel",
		 irq->level ? "raises" : "lowers", irq->irq);
}

/* Of many MSIs the last: a new one is put there. */
static void say_gsi_routing(struct text *out, const struct narration *n)
{
	const struct kvm_irq_routing *table = n->event->arg;
	const struct kvm_irq_routing_entry *last = NULL;
	unsigned msis = 0;

	for (unsigned i = 0; i < table->nr; i++) {
		if (table->entries[i].type != KVM_IRQ_ROUTING_MSI)
			continue;
		last = &table->entries[i];
		msis++;
	}
	text_add(out, "replaces the interrupt routes: %u to controller pins, %u to MSIs",
		 table->nr - msis, msis);
	if (last)
		text_add(out, ", the last of them GSI %u: data 0x%x to address 0x%llx", last->gsi,
			 last->u.msi.data,
			 ULL(last->u.msi.address_hi) << 32 | last->u.msi.address_lo);
}

static void say_irqfd(struct text *out, const struct narration *n)
{
	const struct kvm_irqfd *irqfd = n->event->arg;

	if (irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		text_add(out, "a signal of ");
		fd_names_add(n->names, (int)irqfd->fd, out);
		text_add(out, " no longer injects GSI %u: it waits in the eventfd", irqfd->gsi);
		return;
	}
	text_add(out, "from now on a signal of ");
	fd_names_add(n->names, (int)irqfd->fd, out);
	text_add(out, " injects GSI %u, inside the kernel", irqfd->gsi);
	if (irqfd->flags & KVM_IRQFD_FLAG_RESAMPLE)
		text_add(out, ", until the guest acknowledges it");
}

static void say_ioeventfd(struct text *out, const struct narration *n)
{
	const struct kvm_ioeventfd *io = n->event->arg;
	bool pio = io->flags & KVM_IOEVENTFD_FLAG_PIO;

	text_add(out, "a guest write to %s0x%llx", pio ? "port " : "", ULL(io->addr));
	if (io->len)
		text_add(out, " of %u bytes", io->len);
	text_add(out, ": ");
	narrate_place(out, pio ? n->pio : n->mmio, io->addr);
	if (io->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		text_add(out, ", is an exit again and no longer signals ");
		fd_names_add(n->names, io->fd, out);
		return;
	}
	text_add(out, ", signals ");
	fd_names_add(n->names, io->fd, out);
	text_add(out, " inside the kernel and is no exit");
}

static void say_coalesce(struct text *out, const struct narration *n)
{
	const struct kvm_coalesced_mmio_zone *zone = n->event->arg;

	text_add(out, "collects guest writes to %s0x%llx to 0x%llx, ", zone->pio ? "ports " : "",
		 ULL(zone->addr), ULL(zone->addr) + zone->size - 1);
	narrate_place(out, zone->pio ? n->pio : n->mmio, zone->addr);
	text_add(out, ", in a ring: they wait for the next exit");
}

static void say_enable_cap(struct text *out, const struct narration *n)
{
	const struct kvm_enable_cap *cap = n->event->arg;

	text_add(out, "turns ");
	add_capability(out, cap->cap);
	text_add(out, " on, with argument 0x%llx", ULL(cap->args[0]));
}

static const char *mp_state(uint32_t state)
{
	static const char *const names[] = {
		[KVM_MP_STATE_RUNNABLE] = "runnable",
		[KVM_MP_STATE_UNINITIALIZED] = "waits for INIT, which another vCPU sends",
		[KVM_MP_STATE_INIT_RECEIVED] = "has had INIT and waits for SIPI",
		[KVM_MP_STATE_HALTED] = "halted",
		[KVM_MP_STATE_SIPI_RECEIVED] = "has just had SIPI",
		[KVM_MP_STATE_STOPPED] = "stopped",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "in a state of its own";
}

static void say_get_mp_state(struct text *out, const struct narration *n)
{
	const struct kvm_mp_state *state = n->event->arg;

	text_add(out, "asks what ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " is doing");
	if (n->event->result >= 0)
		text_add(out, ": %s", mp_state(state->mp_state));
}

static void say_set_mp_state(struct text *out, const struct narration *n)
{
	const struct kvm_mp_state *state = n->event->arg;

	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " is %s", mp_state(state->mp_state));
}

static void say_dirty_log(struct text *out, const struct narration *n)
{
	const struct kvm_dirty_log *log = n->event->arg;

	text_add(out, "asks which pages of memory slot %u were written to since it last asked",
		 log->slot);
}

static void say_guest_debug(struct text *out, const struct narration *n)
{
	const struct kvm_guest_debug *debug = n->event->arg;

	fd_names_add(n->names, n->event->fd, out);
	if (!(debug->control & KVM_GUESTDBG_ENABLE))
		text_add(out, ": no debugger any more");
	else
		text_add(out, ": a debugger is told of its breakpoints%s",
			 debug->control & KVM_GUESTDBG_SINGLESTEP ? ", and of each instruction" : "");
}

#define ENTRY(request, doc, ...) { request, #request, doc, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_GET_API_VERSION, "api.rst 4.1", say_api_version, NULL),
	ENTRY(KVM_CREATE_VM, "api.rst 4.2", say_create_vm, learn_vm),
	ENTRY(KVM_CHECK_EXTENSION, "api.rst 4.4", say_check_extension, NULL),
	ENTRY(KVM_GET_VCPU_MMAP_SIZE, "api.rst 4.5", say_mmap_size, NULL),
	ENTRY(KVM_CREATE_VCPU, "api.rst 4.7", say_create_vcpu, learn_vcpu),
	ENTRY(KVM_GET_DIRTY_LOG, "api.rst 4.8", say_dirty_log, NULL),
	ENTRY(KVM_IRQ_LINE, "api.rst 4.25", say_irq_line, NULL),
	ENTRY(KVM_SET_USER_MEMORY_REGION, "api.rst 4.35", say_memory_region, NULL),
	ENTRY(KVM_ENABLE_CAP, "api.rst 4.37", say_enable_cap, NULL),
	ENTRY(KVM_GET_MP_STATE, "api.rst 4.38", say_get_mp_state, NULL),
	ENTRY(KVM_SET_MP_STATE, "api.rst 4.39", say_set_mp_state, NULL),
	ENTRY(KVM_SET_GSI_ROUTING, "api.rst 4.52", say_gsi_routing, NULL),
	ENTRY(KVM_IOEVENTFD, "api.rst 4.59", say_ioeventfd, NULL),
	ENTRY(KVM_IRQFD, "api.rst 4.75", say_irqfd, NULL),
	ENTRY(KVM_SET_GUEST_DEBUG, "api.rst 4.87", say_guest_debug, NULL),
	ENTRY(KVM_REGISTER_COALESCED_MMIO, "api.rst 4.116", say_coalesce, NULL),
};

const struct narrate_table narrate_kvm = { entries, ARRAY_SIZE(entries) };
