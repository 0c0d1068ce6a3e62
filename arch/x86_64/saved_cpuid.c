/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID in the saved state of a vCPU. What the guest was told must be true here: of features, this
 * host may have more, and the guest keeps those that it had; everything else must be the same.
 */
#include "saved.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVES_MAX = 256 }; /* KVM's own limit */

enum { REGISTERS = 4 };

/* How the registers EAX, EBX, ECX and EDX of a leaf are compared; those of all others are SAME. */
enum { SAME = '=', AT_MOST = '<', FEATURES = '&' };

static const struct rule {
	uint32_t function, index;
	const char how[REGISTERS + 1];
	const char *names[REGISTERS]; /* of bits, from bit 0 on; - is one without */
} rules[] = {
	{ 0, 0, "<===", { 0 } },
	{ 1, 0, "==&&",
	  { NULL, NULL,
	    "sse3 pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cnxt_id sdbg fma cx16 xtpr "
	    "pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline aes xsave osxsave avx "
	    "f16c rdrand hypervisor",
	    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - "
	    "dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe" } },
	{ 7, 0, "<&&&",
	  { NULL,
	    "fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid rtm cqm "
	    "zero_fcs_fds mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt "
	    "clwb intel_pt avx512pf avx512er avx512cd sha avx512bw avx512vl",
	    "prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq "
	    "avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid key_locker "
	    "bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc pks",
	    "- sgx_keys avx512_4vnniw avx512_4fmaps fsrm uintr - - avx512_vp2intersect srbds_ctrl "
	    "md_clear rtm_always_abort - tsx_force_abort serialize hybrid tsxldtrk - pconfig "
	    "arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl stibp flush_l1d "
	    "arch_capabilities core_capabilities ssbd" } },
	{ 7, 1, "&&&&", { "sha512 sm3 sm4 - avx_vnni avx512_bf16 - cmpccxadd" } },
	{ 7, 2, "===&", { 0 } },
	/* State components; sizes of the area for them. */
	{ 0xd, 0, "&<<&", { 0 } },
	{ 0xd, 1, "&<&&", { "xsaveopt xsavec xgetbv1 xsaves xfd" } },
	{ 0x40000000, 0, "<===", { 0 } },
	{ 0x40000001, 0, "&==&",
	  { "kvmclock kvm_nop_io_delay kvm_mmu_op kvmclock2 kvm_asyncpf kvm_steal_time kvm_pv_eoi "
	    "kvm_pv_unhalt - kvm_pv_tlb_flush kvm_asyncpf_vmexit kvm_pv_ipi kvm_poll_control "
	    "kvm_pv_sched_yield kvm_asyncpf_int kvm_msi_ext_dest_id kvm_hc_map_gpa_range "
	    "kvm_migration_control" } },
	{ 0x80000000, 0, "<===", { 0 } },
	{ 0x80000001, 0, "==&&",
	  { NULL, NULL,
	    "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs "
	    "xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - "
	    "bpext ptsc perfctr_llc mwaitx",
	    "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr_opt pdpe1gb rdtscp "
	    "- lm 3dnowext 3dnow" } },
	{ 0x80000007, 0, "===&", { 0 } },
	{ 0x80000008, 0, "=&==",
	  { NULL, "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - amd_ibpb - amd_ibrs "
		  "amd_stibp" } },
	{ 0x80000021, 0, "&===", { 0 } },
};

static const struct rule *rule_of(const struct kvm_cpuid_entry2 *leaf)
{
	static const struct rule all_the_same = { .how = "====" };

	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].function == leaf->function && rules[i].index == leaf->index)
			return &rules[i];
	return &all_the_same;
}

static int refuse_feature(struct state *state, const struct kvm_cpuid_entry2 *leaf,
			  const char *names, unsigned reg, unsigned bit)
{
	static const char unnamed[] = "a feature";
	int len;

	for (unsigned i = 0; names && i < bit; i++) {
		names = strchr(names, ' ');
		names += !!names;
	}
	if (!names || *names == '-')
		names = unnamed;
	len = names == unnamed ? (int)strlen(unnamed) : (int)strcspn(names, " ");
	return state_refuse(state, "of another CPU or kernel: the guest has %.*s, and this host has "
				   "not (CPUID leaf 0x%x.%u, E%cX, bit %u)",
			    len, names, leaf->function, leaf->index, "ABCD"[reg], bit);
}

static int compare_leaf(struct state *state, const struct kvm_cpuid_entry2 *saved,
			const struct kvm_cpuid_entry2 *here)
{
	const uint32_t was[REGISTERS] = { saved->eax, saved->ebx, saved->ecx, saved->edx };
	const uint32_t is[REGISTERS] = { here->eax, here->ebx, here->ecx, here->edx };
	const struct rule *rule = rule_of(saved);

	for (unsigned i = 0; i < REGISTERS; i++) {
		uint32_t lacks = was[i] & ~is[i];

		if (was[i] == is[i] || (rule->how[i] == AT_MOST && was[i] < is[i]) ||
		    (rule->how[i] == FEATURES && !lacks))
			continue;
		if (rule->how[i] == FEATURES)
			return refuse_feature(state, saved, rule->names[i], i,
					      (unsigned)__builtin_ctz(lacks));
		return state_refuse(state, "of another CPU or kernel: CPUID leaf 0x%x.%u has E%cX "
					   "0x%08x, and on this host 0x%08x",
				    saved->function, saved->index, "ABCD"[i], was[i], is[i]);
	}
	return 0;
}

static int compare(struct state *state, const struct kvm_cpuid2 *saved,
		   const struct kvm_cpuid2 *here)
{
	int ret = 0;

	for (unsigned i = 0; i < saved->nent && !ret; i++) {
		const struct kvm_cpuid_entry2 *leaf = &saved->entries[i], *at = here->entries;

		while (at < here->entries + here->nent &&
		       (at->function != leaf->function || at->index != leaf->index ||
			at->flags != leaf->flags))
			at++;
		if (at == here->entries + here->nent)
			return state_refuse(state, "of another CPU or kernel: it has CPUID leaf "
						   "0x%x.%u, and this host has not",
					    leaf->function, leaf->index);
		ret = compare_leaf(state, leaf, at);
	}
	return ret;
}

static bool are_same(const struct kvm_cpuid2 *a, const struct kvm_cpuid2 *b)
{
	return a->nent == b->nent &&
	       memcmp(a->entries, b->entries, a->nent * sizeof(a->entries[0])) == 0;
}

/* The guest keeps what it was told. */
static int load(struct arch_vm *arch, struct vcpu *vcpu, struct state *state,
		const struct kvm_cpuid2 *saved, const struct kvm_cpuid2 *here)
{
	struct x86_vm *vm = arch->priv;
	_cleanup_free_ struct kvm_cpuid2 *now = NULL;
	int ret = compare(state, saved, here);

	if (ret || (are_same(saved, here) && !vm->told_less))
		return ret;
	ret = cpuid_keep(arch, saved);
	if (!ret)
		now = cpuid_of(arch, vcpu);
	if (ret || !now) {
		log_error("out of memory");
		return -ENOMEM;
	}
	if (!are_same(saved, now))
		return state_refuse(state, "of another CPU or kernel: its leaves cannot be had here");
	ret = cpuid_set(arch, vcpu);
	if (ret < 0)
		log_error("vCPU %u: KVM_SET_CPUID2: %s", vcpu->id, strerror(-ret));
	return ret;
}

int cpuid_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state, const char *name)
{
	_cleanup_free_ struct kvm_cpuid2 *here = cpuid_of(arch, vcpu), *saved = NULL;
	size_t count = here ? here->nent : 0;
	int ret;

	if (count)
		saved = calloc(1, sizeof(*saved) + LEAVES_MAX * sizeof(saved->entries[0]));
	if (!saved || count > LEAVES_MAX) {
		log_error("vCPU %u: %s", vcpu->id, saved ? "too many leaves of CPUID" : "out of memory");
		return -ENOMEM;
	}
	memcpy(saved->entries, here->entries, count * sizeof(here->entries[0]));
	ret = state_list(state, &saved_cpuid, name, saved->entries, LEAVES_MAX, &count);
	saved->nent = (uint32_t)count;
	return ret || !state_loads(state) ? ret : load(arch, vcpu, state, saved, here);
}
