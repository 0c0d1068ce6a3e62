/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All state that KVM keeps of a vCPU, by its ioctls. A new vCPU is in its power-on state: that is
 * read then, and written back at each reset, so a reset covers registers that are not listed here.
 */
#include "saved.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state_group {
	unsigned long get, set;
	const char *get_name, *set_name;
	size_t offset;			 /* in struct x86_inventory */
	const struct state_table *table; /* NULL: not described by fields */
	long needs;			 /* a capability, or 0 */
	long without;			 /* a capability, or 0: only where it is missing */
	bool irqchip;			 /* only with an in-kernel local APIC */
};

#define STATE_BY(got, what, field, ...)                                                            \
	{                                                                                          \
		.get = KVM_GET_##got, .set = KVM_SET_##what, .get_name = "KVM_GET_" #got,          \
		.set_name = "KVM_SET_" #what, .offset = offsetof(struct x86_inventory, field),     \
		__VA_ARGS__                                                                        \
	}
#define STATE(what, field, ...) STATE_BY(what, what, field, __VA_ARGS__)
#define EVENTS STATE(VCPU_EVENTS, events, .table = &saved_events)

/*
 * In the order of writing, before the MSRs. Nested state and SMM are left before the mode changes:
 * with VMX on, KVM refuses a CR4 without it. The APIC base, in SREGS, sets the mode of the local
 * APIC's registers, and these whether an MSR is its timer.
 */
static const struct state_group groups[] = {
	STATE(NESTED_STATE, nested, .needs = KVM_CAP_NESTED_STATE),
	EVENTS,
	STATE(SREGS2, sregs2, .table = &saved_sregs2, .needs = KVM_CAP_SREGS2),
	STATE(SREGS, sregs, .table = &saved_sregs, .without = KVM_CAP_SREGS2),
	STATE(REGS, regs, .table = &saved_regs),
	STATE(DEBUGREGS, debugregs, .table = &saved_debugregs),
	STATE(XCRS, xcrs, .table = &saved_xcrs, .needs = KVM_CAP_XCRS),
	STATE_BY(XSAVE2, XSAVE, xsave, .needs = KVM_CAP_XSAVE2),
	STATE(XSAVE, xsave, .without = KVM_CAP_XSAVE2),
	STATE(LAPIC, lapic, .table = &saved_lapic, .irqchip = true),
};

/*
 * Written after the MSRs, because setting other registers drops events; and read before all else,
 * because KVM_GET_MP_STATE lets an INIT that is pending take effect.
 */
static const struct state_group last_groups[] = {
	STATE(MP_STATE, mp_state, .table = &saved_mp_state, .irqchip = true),
	EVENTS,
};

/*
 * MSRs that guests may write although KVM_GET_MSR_INDEX_LIST omits them. (SDM vol. 4; APM vol. 2)
 */
static const struct msr_range {
	uint32_t first, count;
} unlisted[] = {
	{ 0x8c, 4 },	   /* SGXLEPUBKEYHASH, only Intel */
	{ 0x1d9, 1 },	   /* DEBUGCTL */
	{ 0x200, 16 },	   /* MTRRs: variable, */
	{ 0x250, 1 },	   /* of 64 KiB each, */
	{ 0x258, 2 },	   /* of 16 KiB, */
	{ 0x268, 8 },	   /* of 4 KiB, */
	{ 0x2ff, 1 },	   /* and the default type */
	{ 0x400, 4 * 32 }, /* machine checks, for KVM's number of banks */
	{ 0xc0000103, 1 }, /* TSC_AUX, listed if the host has RDTSCP */
	{ 0xc0010114, 1 }, /* VM_CR, only AMD */
};

/* Of the above: some KVMs list some of them. */
static bool is_unlisted(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(unlisted); i++)
		if (msr - unlisted[i].first < unlisted[i].count)
			return true;
	return false;
}

/*
 * Hyper-V MSRs: KVM refuses them to a guest, as CPUID does not offer them; but an access by Kinglet
 * would allocate Hyper-V state.
 */
static bool is_hyperv(uint32_t msr)
{
	return msr >= 0x40000000 && msr < 0x40000200;
}

enum { LISTED_FIRST_GUESS = 512, UNLISTED_MAX = 256 };

static bool has_group(struct kvm *kvm, const struct state_group *group)
{
	return (!group->irqchip || kvm->has_irqchip) &&
	       (!group->needs || kvm_check_extension(kvm, group->needs)) &&
	       (!group->without || !kvm_check_extension(kvm, group->without));
}

/* --- MSRs -------------------------------------------------------------------------------------- */

enum { MSRS_A_CALL = 255, REFUSED = 1 }; /* KVM's limit per call */

/*
 * KVM_GET_MSRS or KVM_SET_MSRS, each of which stops at an MSR that this KVM or CPU lacks: that one
 * is marked and skipped.
 */
static int msrs_call(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		     const char *name, struct kvm_msr_entry *entries, unsigned count)
{
	_Alignas(
		struct kvm_msrs) char buf[sizeof(struct kvm_msrs) + MSRS_A_CALL * sizeof(*entries)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)buf;
	unsigned done = 0;

	while (done < count) {
		unsigned n = count - done < MSRS_A_CALL ? count - done : MSRS_A_CALL;
		int ret;

		*msrs = (struct kvm_msrs){ .nmsrs = n };
		memcpy(msrs->entries, entries + done, n * sizeof(*entries));
		ret = vcpu_call_from(vcpu, site, request, name, msrs);
		if (ret < 0)
			return ret;
		memcpy(entries + done, msrs->entries, (unsigned)ret * sizeof(*entries));
		done += (unsigned)ret;
		if ((unsigned)ret < n)
			entries[done++].reserved = REFUSED;
	}
	return 0;
}
#define MSRS_CALL(vcpu, request, entries, count)                                                   \
	msrs_call(vcpu, SYS_HERE, request, #request, entries, count)

int x86_msr_from(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		 uint32_t index, uint64_t *value)
{
	_Alignas(struct kvm_msrs) char
		buf[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = { 0 };
	struct kvm_msrs *msrs = (struct kvm_msrs *)buf;
	int ret;

	msrs->nmsrs = 1;
	msrs->entries[0].index = index;
	msrs->entries[0].data = *value;
	ret = vcpu_ioctl_from(vcpu, site, request, msrs);
	*value = msrs->entries[0].data;
	return ret;
}

static int list_msrs(struct kvm *kvm, struct kvm_msr_list **listed)
{
	unsigned count = LISTED_FIRST_GUESS;
	int ret;

	do {
		struct kvm_msr_list *list = calloc(1, sizeof(*list) + count * sizeof(uint32_t));

		if (!list)
			return -ENOMEM;
		list->nmsrs = count;
		ret = sys_ioctl(kvm->sys, kvm->dev_fd, KVM_GET_MSR_INDEX_LIST, list);
		if (ret >= 0) {
			*listed = list;
			return 0;
		}
		/* KVM api.rst 4.3: nmsrs is then the number needed. */
		if (ret == -E2BIG && list->nmsrs <= count)
			ret = -EPROTO;
		count = list->nmsrs;
		free(list);
	} while (ret == -E2BIG);
	return ret;
}

bool x86_has_msr(const struct kvm_msr_entry *msrs, unsigned count, uint32_t index, unsigned *at)
{
	for (unsigned i = 0; i < count; i++) {
		if (msrs[*at].index == index)
			return true;
		*at = *at + 1 < count ? *at + 1 : 0;
	}
	return false;
}

/* The MSRs that this KVM has for a vCPU, with their values. */
static int find_msrs(struct vcpu *vcpu, const struct kvm_msr_list *listed,
		     struct x86_inventory *inventory)
{
	struct kvm_msr_entry *msrs = inventory->msrs;
	unsigned count = 0;
	int ret;

	for (unsigned i = 0; i < listed->nmsrs; i++)
		if (!is_hyperv(listed->indices[i]) && !is_unlisted(listed->indices[i]))
			msrs[count++].index = listed->indices[i];
	for (unsigned i = 0; i < ARRAY_SIZE(unlisted); i++)
		for (uint32_t n = 0; n < unlisted[i].count; n++)
			msrs[count++].index = unlisted[i].first + n;
	ret = MSRS_CALL(vcpu, KVM_GET_MSRS, msrs, count);
	for (unsigned i = 0; i < count && ret >= 0; i++)
		if (msrs[i].reserved != REFUSED)
			msrs[inventory->msr_count++] = msrs[i];
	return ret;
}

/*
 * Only those that differ: some are read-only and never differ, and others may not be written any
 * more once the vCPU has run.
 */
static int write_msrs(struct vcpu *vcpu, const struct x86_inventory *inventory,
		      struct kvm_msr_entry *refused)
{
	size_t len = inventory->msr_count * sizeof(inventory->msrs[0]);
	_cleanup_free_ struct kvm_msr_entry *msrs = malloc(len);
	unsigned changed = 0;
	int ret;

	if (!msrs) {
		log_error("out of memory");
		return -ENOMEM;
	}
	memcpy(msrs, inventory->msrs, len);
	ret = MSRS_CALL(vcpu, KVM_GET_MSRS, msrs, inventory->msr_count);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < inventory->msr_count; i++)
		if (msrs[i].data != inventory->msrs[i].data)
			msrs[changed++] = inventory->msrs[i];
	ret = MSRS_CALL(vcpu, KVM_SET_MSRS, msrs, changed);
	for (unsigned i = 0; i < changed && refused && !ret; i++) {
		if (msrs[i].reserved != REFUSED)
			continue;
		*refused = msrs[i];
		ret = 1;
	}
	return ret;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

static void *state_of(const struct x86_inventory *inventory, const struct state_group *group)
{
	return (char *)inventory + group->offset;
}

static int get_group(struct vcpu *vcpu, const struct state_group *group,
		     struct x86_inventory *inventory)
{
	if (!has_group(vcpu->kvm, group))
		return 0;
	return vcpu_call_from(vcpu, SYS_HERE, group->get, group->get_name,
			      state_of(inventory, group));
}

static int set_group(struct vcpu *vcpu, const struct state_group *group,
		     const struct x86_inventory *inventory)
{
	if (!has_group(vcpu->kvm, group))
		return 0;
	return vcpu_call_from(vcpu, SYS_HERE, group->set, group->set_name,
			      state_of(inventory, group));
}

/*
 * The reverse of the order of writing. A timer may expire meanwhile: its MSR, read first, then has
 * it expire again, where the reverse would lose it.
 */
static int read_last_groups(struct vcpu *vcpu, struct x86_inventory *inventory)
{
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(last_groups) && ret >= 0; i++)
		ret = get_group(vcpu, &last_groups[i], inventory);
	return ret;
}

static int read_groups(struct vcpu *vcpu, struct x86_inventory *inventory)
{
	int ret = 0;

	inventory->nested.size = sizeof(inventory->nested);
	for (unsigned i = 0; i < ARRAY_SIZE(groups) && ret >= 0; i++)
		ret = get_group(vcpu, &groups[i], inventory);
	return ret;
}

int inventory_read(struct vcpu *vcpu, struct x86_inventory *inventory)
{
	int ret = read_last_groups(vcpu, inventory);

	if (ret >= 0)
		ret = MSRS_CALL(vcpu, KVM_GET_MSRS, inventory->msrs, inventory->msr_count);
	return ret < 0 ? ret : read_groups(vcpu, inventory);
}

/* KVM api.rst 4.42, 4.134: struct kvm_xsave, or more where a CPU has more. */
static int size_xsave(struct kvm *kvm, struct x86_inventory *inventory)
{
	int len = kvm_check_extension(kvm, KVM_CAP_XSAVE2);

	inventory->xsave_len = len ? (size_t)len : sizeof(struct kvm_xsave);
	if (inventory->xsave_len <= sizeof(inventory->xsave))
		return 0;
	log_error("/dev/kvm: KVM_CAP_XSAVE2: %d bytes of a vCPU's registers; Kinglet has room "
		  "for %zu", len, sizeof(inventory->xsave));
	return -E2BIG;
}

int inventory_take(struct vcpu *vcpu, struct x86_inventory **inventory)
{
	_cleanup_free_ struct kvm_msr_list *listed = NULL;
	_cleanup_free_ struct x86_inventory *taken = NULL;
	int ret = list_msrs(vcpu->kvm, &listed);

	if (ret < 0) {
		log_error("/dev/kvm: KVM_GET_MSR_INDEX_LIST: %s", strerror(-ret));
		return ret;
	}
	taken = calloc(1, sizeof(*taken) + (listed->nmsrs + UNLISTED_MAX) * sizeof(taken->msrs[0]));
	if (!taken) {
		log_error("out of memory");
		return -ENOMEM;
	}
	ret = size_xsave(vcpu->kvm, taken);
	if (ret >= 0)
		ret = read_last_groups(vcpu, taken);
	if (ret >= 0)
		ret = find_msrs(vcpu, listed, taken);
	if (ret >= 0)
		ret = read_groups(vcpu, taken);
	if (ret < 0)
		return ret;
	*inventory = steal_ptr(taken);
	return 0;
}

struct x86_inventory *inventory_copy(const struct x86_inventory *inventory)
{
	size_t len = sizeof(*inventory) + inventory->msr_count * sizeof(inventory->msrs[0]);
	struct x86_inventory *copy = malloc(len);

	return copy ? memcpy(copy, inventory, len) : NULL;
}

int inventory_put(struct vcpu *vcpu, const struct x86_inventory *inventory,
		  struct kvm_msr_entry *refused)
{
	int ret = 0, msrs;

	for (unsigned i = 0; i < ARRAY_SIZE(groups) && ret >= 0; i++)
		ret = set_group(vcpu, &groups[i], inventory);
	if (ret < 0)
		return ret;
	msrs = write_msrs(vcpu, inventory, refused);
	if (msrs < 0)
		return msrs;
	for (unsigned i = 0; i < ARRAY_SIZE(last_groups) && ret >= 0; i++)
		ret = set_group(vcpu, &last_groups[i], inventory);
	return ret < 0 ? ret : msrs;
}

/* --- Saved ------------------------------------------------------------------------------------ */

static int xsave_saved(struct x86_inventory *inventory, struct state *state, const char *name)
{
	char bytes_name[STATE_NAME_MAX];
	size_t len = inventory->xsave_len;
	int ret;

	snprintf(bytes_name, sizeof(bytes_name), "%s xsave", name);
	ret = state_bytes(state, bytes_name, inventory->xsave, inventory->xsave_len, &len);
	if (!ret && len != inventory->xsave_len)
		ret = state_refuse(state, "%zu bytes; on this host they are %zu", len,
				   inventory->xsave_len);
	return ret;
}

int inventory_saved(struct kvm *kvm, struct x86_inventory *inventory, struct state *state,
		    const char *name)
{
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(groups) && !ret; i++)
		if (groups[i].table && has_group(kvm, &groups[i]))
			ret = state_section(state, groups[i].table, name,
					    state_of(inventory, &groups[i]));
	if (!ret && kvm->has_irqchip)
		ret = state_section(state, &saved_mp_state, name, &inventory->mp_state);
	return ret ? ret : xsave_saved(inventory, state, name);
}
