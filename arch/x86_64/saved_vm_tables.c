/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of KVM's structures of a machine, and the list of all. (KVM api.rst at the ioctls) */
#include "saved.h"

#include "arch/x86_64/layout.h"

/* The guest's clock; the other fields are the host's. */
static const struct state_field clock_fields[] = {
	STATE_NUMBER(struct kvm_clock_data, clock),
	STATE_END,
};

const struct state_table saved_clock = {
	.name = "kvmclock",
	.version = 1,
	.size = sizeof(struct kvm_clock_data),
	.fields = clock_fields,
};

static const struct state_field pic_fields[] = {
	STATE_NUMBER(struct kvm_pic_state, last_irr),
	STATE_NUMBER(struct kvm_pic_state, irr),
	STATE_NUMBER(struct kvm_pic_state, imr),
	STATE_NUMBER(struct kvm_pic_state, isr),
	STATE_LIMITED(struct kvm_pic_state, priority_add, 7),
	STATE_NUMBER(struct kvm_pic_state, irq_base),
	STATE_LIMITED(struct kvm_pic_state, read_reg_select, 1),
	STATE_NUMBER(struct kvm_pic_state, poll),
	STATE_NUMBER(struct kvm_pic_state, special_mask),
	STATE_LIMITED(struct kvm_pic_state, init_state, 3),
	STATE_NUMBER(struct kvm_pic_state, auto_eoi),
	STATE_NUMBER(struct kvm_pic_state, rotate_on_auto_eoi),
	STATE_NUMBER(struct kvm_pic_state, special_fully_nested_mode),
	STATE_NUMBER(struct kvm_pic_state, init4),
	STATE_NUMBER(struct kvm_pic_state, elcr),
	STATE_NUMBER(struct kvm_pic_state, elcr_mask),
	STATE_END,
};

const struct state_table saved_pic = {
	.name = "pic",
	.version = 1,
	.size = sizeof(struct kvm_pic_state),
	.fields = pic_fields,
};

static const struct state_field ioapic_fields[] = {
	STATE_NUMBER(struct kvm_ioapic_state, base_address),
	STATE_NUMBER(struct kvm_ioapic_state, ioregsel),
	STATE_NUMBER(struct kvm_ioapic_state, id),
	STATE_NUMBER(struct kvm_ioapic_state, irr),
	STATE_NUMBERS(struct kvm_ioapic_state, redirtbl),
	STATE_END,
};

static const char *check_ioapic(const void *object)
{
	const struct kvm_ioapic_state *ioapic = object;

	return ioapic->base_address == X86_IOAPIC_BASE ? NULL : "is at another address";
}

const struct state_table saved_ioapic = {
	.name = "ioapic",
	.version = 1,
	.size = sizeof(struct kvm_ioapic_state),
	.fields = ioapic_fields,
	.check = check_ioapic,
};

/* Without the host's time at which it began to count: KVM takes that anew when it is set. */
#define PIT_LIMITED(n, field, limit) STATE_LIMITED(struct kvm_pit_state2, channels[n].field, limit)
#define PIT_CHANNEL(n)                                                                             \
	PIT_LIMITED(n, count, 65536), PIT_LIMITED(n, latched_count, UINT16_MAX),                   \
		PIT_LIMITED(n, count_latched, 4), PIT_LIMITED(n, status_latched, 1),               \
		PIT_LIMITED(n, status, UINT8_MAX), PIT_LIMITED(n, read_state, 4),                  \
		PIT_LIMITED(n, write_state, 4), PIT_LIMITED(n, write_latch, UINT8_MAX),            \
		PIT_LIMITED(n, rw_mode, 4), PIT_LIMITED(n, mode, UINT8_MAX),                       \
		PIT_LIMITED(n, bcd, 1), PIT_LIMITED(n, gate, UINT8_MAX)

static const struct state_field pit_fields[] = {
	PIT_CHANNEL(0),
	PIT_CHANNEL(1),
	PIT_CHANNEL(2),
	STATE_LIMITED(struct kvm_pit_state2, flags,
		      KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON),
	STATE_END,
};

const struct state_table saved_pit = {
	.name = "pit",
	.version = 1,
	.size = sizeof(struct kvm_pit_state2),
	.fields = pit_fields,
};

const struct state_table *const arch_state_tables[] = {
	&saved_clock,
	&saved_pic,
	&saved_ioapic,
	&saved_pit,
	&saved_cpuid,
	&saved_regs,
	&saved_sregs,
	&saved_sregs2,
	&saved_debugregs,
	&saved_xcrs,
	&saved_lapic,
	&saved_mp_state,
	&saved_events,
	&saved_tsc,
	&saved_msrs,
	&saved_ssp,
	NULL,
};
