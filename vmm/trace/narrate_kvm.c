/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of KVM requests common to all architectures. */
#include "core/kvm.h"
#include "trace/narrate.h"

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
		CAP(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2),
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
		/* Names that only the x86 header has. */
		{ 55, "KVM_CAP_XSAVE" },
		{ 56, "KVM_CAP_XCRS" },
		{ 60, "KVM_CAP_TSC_CONTROL" },
		{ 157, "KVM_CAP_NESTED_STATE" },
		{ 200, "KVM_CAP_SREGS2" },
		{ 208, "KVM_CAP_XSAVE2" },
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

static unsigned long number_of(const struct narration *n)
{
	return (unsigned long)n->event->arg;
}

static void answer_mmap_size(struct text *out, const struct narration *n)
{
	text_add(out, ": %d bytes, struct kvm_run and rings shared with KVM", n->event->result);
}

static void say_vm(struct text *out, const struct narration *n)
{
	text_add(out, "%lu, without memory, CPUs or devices", number_of(n));
}

static void learn_vm(const struct narration *n)
{
	fd_names_set(n->names, n->event->result, "VM");
}

static void say_extension(struct text *out, const struct narration *n)
{
	add_capability(out, (long)number_of(n));
}

static void answer_extension(struct text *out, const struct narration *n)
{
	if (n->event->result)
		narrate_number_result(out, n);
	else
		text_add(out, ": not there");
}

static void say_vcpu(struct text *out, const struct narration *n)
{
	text_add(out, "%lu", number_of(n));
}

static void learn_vcpu(const struct narration *n)
{
	fd_names_set(n->names, n->event->result, "vCPU %lu", number_of(n));
}

static void say_memory_region(struct text *out, const struct narration *n)
{
	const struct kvm_userspace_memory_region *region = n->event->arg;

	if (!region->memory_size) {
		text_add(out, "takes memory slot %u, at guest-physical 0x%llx, away", region->slot,
			 region->guest_phys_addr);
		return;
	}
	text_add(out, "memory slot %u: guest-physical 0x%llx to 0x%llx, ", region->slot,
		 region->guest_phys_addr, region->guest_phys_addr + region->memory_size - 1);
	text_add_bytes(out, region->memory_size);
	text_add(out, ", is Kinglet's own memory at 0x%llx%s", region->userspace_addr,
		 region->flags & KVM_MEM_LOG_DIRTY_PAGES ? ", and KVM logs what is written to" : "");
}

static void say_irq_line(struct text *out, const struct narration *n)
{
	const struct kvm_irq_level *irq = n->event->arg;

	text_add(out, "%s GSI %u, a pin of the interrupt controllers in the kernel",
		 irq->level ? "raises" : "lowers", irq->irq);
}

/* Shows the last of many MSIs, where new ones are added. */
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
	text_add(out, "%u to controller pins, %u to MSIs",
		 table->nr - msis, msis);
	if (last)
		text_add(out, ", the last of them GSI %u: data 0x%x to address 0x%llx", last->gsi,
			 last->u.msi.data,
			 (__u64)last->u.msi.address_hi << 32 | last->u.msi.address_lo);
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

	text_add(out, "%s0x%llx", pio ? "port " : "", io->addr);
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

	text_add(out, "%s0x%llx to 0x%llx, ", zone->pio ? "ports " : "",
		 zone->addr, zone->addr + zone->size - 1);
	narrate_place(out, zone->pio ? n->pio : n->mmio, zone->addr);
	text_add(out, ", in a ring: they wait for the next exit");
}

static void say_enable_cap(struct text *out, const struct narration *n)
{
	const struct kvm_enable_cap *cap = n->event->arg;

	add_capability(out, cap->cap);
	text_add(out, " on, with argument 0x%llx", cap->args[0]);
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

static void say_mp_state(struct text *out, const struct narration *n)
{
	text_add(out, "%s", mp_state(((const struct kvm_mp_state *)n->event->arg)->mp_state));
}

static void answer_mp_state(struct text *out, const struct narration *n)
{
	text_add(out, ": ");
	say_mp_state(out, n);
}

static void say_dirty_log(struct text *out, const struct narration *n)
{
	text_add(out, "%u were written to since it last asked",
		 ((const struct kvm_dirty_log *)n->event->arg)->slot);
}

static void say_clear_dirty_log(struct text *out, const struct narration *n)
{
	const struct kvm_clear_dirty_log *log = n->event->arg;

	text_add(out, "%u, of pages 0x%llx to 0x%llx those that it is about to read", log->slot,
		 log->first_page, log->first_page + log->num_pages - 1);
}

static void say_guest_debug(struct text *out, const struct narration *n)
{
	uint32_t control = ((const struct kvm_guest_debug *)n->event->arg)->control;

	if (!(control & KVM_GUESTDBG_ENABLE))
		text_add(out, "no debugger any more");
	else
		text_add(out, "a debugger is told of its breakpoints%s",
			 control & KVM_GUESTDBG_SINGLESTEP ? ", and of each instruction" : "");
}

#define ENTRY(number, section, sentence, ...)                                                      \
	{ .request = number, .name = #number, .doc = "api.rst " section,                           \
	  .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_GET_API_VERSION, "4.1", "asks for the version of the interface",
	      .answer = narrate_number_result),
	ENTRY(KVM_CREATE_VM, "4.2", "creates a virtual machine of type ", say_vm, narrate_fd_result,
	      learn_vm),
	ENTRY(KVM_CHECK_EXTENSION, "4.4", "asks for ", say_extension, answer_extension),
	ENTRY(KVM_GET_VCPU_MMAP_SIZE, "4.5", "asks how much to map of each vCPU's fd",
	      .answer = answer_mmap_size),
	ENTRY(KVM_CREATE_VCPU, "4.7", "creates vCPU ", say_vcpu, narrate_fd_result, learn_vcpu),
	ENTRY(KVM_GET_DIRTY_LOG, "4.8", "asks which pages of memory slot ", say_dirty_log),
	ENTRY(KVM_IRQ_LINE, "4.25", "", say_irq_line),
	ENTRY(KVM_SET_USER_MEMORY_REGION, "4.35", "", say_memory_region),
	ENTRY(KVM_ENABLE_CAP, "4.37", "turns ", say_enable_cap),
	ENTRY(KVM_GET_MP_STATE, "4.38", "asks what @ is doing", .answer = answer_mp_state),
	ENTRY(KVM_SET_MP_STATE, "4.39", "@ is ", say_mp_state),
	ENTRY(KVM_SET_GSI_ROUTING, "4.52", "replaces the interrupt routes: ", say_gsi_routing),
	ENTRY(KVM_IOEVENTFD, "4.59", "a guest write to ", say_ioeventfd),
	ENTRY(KVM_IRQFD, "4.75", "", say_irqfd),
	ENTRY(KVM_SET_GUEST_DEBUG, "4.87", "@: ", say_guest_debug),
	ENTRY(KVM_REGISTER_COALESCED_MMIO, "4.116", "collects guest writes to ", say_coalesce),
	ENTRY(KVM_CLEAR_DIRTY_LOG, "4.117", "counts as clean, in memory slot ",
	      say_clear_dirty_log),
};

const struct narrate_table narrate_kvm = { entries, ARRAY_SIZE(entries) };
