/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what KVM supports, adapted to one vCPU. The CPUs are cores of one package, one thread
 * each, and the APIC id is the vCPU's number. (Intel SDM vol. 2A CPUID; AMD APM vol. 3 appendix E)
 */
#include "x86.h"

#include <stdlib.h>
#include <string.h>

/* Leaf 1 */
#define ECX_AMD_CMP_LEGACY (1u << 1)
#define ECX_X2APIC (1u << 21)
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR (1u << 31)
#define EDX_APIC (1u << 9)
#define EDX_HTT (1u << 28)

#define VENDOR_AUTH 0x68747541u /* "AuthenticAMD" */
#define VENDOR_HYGO 0x6f677948u /* "HygonGenuine" */

/* KVM refuses tables of more than 256 leaves. */
enum { LEAVES_FIRST_GUESS = 100, LEAVES_MAX = 4096 };

/* Added beyond KVM's: three subleaves of each of the two topology leaves. */
enum { LEAVES_ADDED = 6 };

/* Input for a vCPU's leaves. */
struct identity {
	uint32_t apic_id;
	uint32_t cpus;
	uint32_t id_bits; /* of the APIC id within the package */
	bool amd;
	bool irqchip;
	bool tsc_deadline;
};

static struct kvm_cpuid2 *alloc_leaves(unsigned count)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + count * sizeof(cpuid->entries[0]));

	if (cpuid)
		cpuid->nent = count;
	return cpuid;
}

int cpuid_get_supported(struct kvm *kvm, struct kvm_cpuid2 **cpuid)
{
	for (unsigned count = LEAVES_FIRST_GUESS; count <= LEAVES_MAX; count *= 2) {
		struct kvm_cpuid2 *buf = alloc_leaves(count);
		int ret;

		if (!buf)
			return -ENOMEM;
		ret = sys_ioctl(kvm->sys, kvm->dev_fd, KVM_GET_SUPPORTED_CPUID, buf);
		/*
		 * KVM api.rst 4.46: nent is the number of leaves, unless the buffer was too small.
		 */
		if (ret >= 0 && buf->nent <= count) {
			*cpuid = buf;
			return 0;
		}
		free(buf);
		if (ret >= 0)
			return -EPROTO;
		if (ret != -E2BIG)
			return ret;
	}
	return -E2BIG;
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
	return value < max ? value : max;
}

/* Features, and the first 8 bits of the APIC id. */
static void patch_features(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	leaf->ebx = (leaf->ebx & 0xffff) | at_most(1u << id->id_bits, 255) << 16 |
		    id->apic_id << 24;
	leaf->ecx |= ECX_HYPERVISOR;
	leaf->ecx &= ~ECX_TSC_DEADLINE;
	leaf->edx &= ~EDX_HTT;
	if (id->cpus > 1)
		leaf->edx |= EDX_HTT;
	if (id->tsc_deadline)
		leaf->ecx |= ECX_TSC_DEADLINE;
	/* There is no local APIC then. */
	if (!id->irqchip) {
		leaf->ecx &= ~ECX_X2APIC;
		leaf->edx &= ~EDX_APIC;
	}
}

/* Caches: the last level belongs to the package, the others to a core. Intel and AMD agree. */
static void patch_cache(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	uint32_t type = leaf->eax & 0x1f, level = leaf->eax >> 5 & 7;
	uint32_t ids = (1u << id->id_bits) - 1;

	if (!type)
		return;
	leaf->eax &= 0x3fff;
	if (level >= 3)
		leaf->eax |= at_most(ids, 0xfff) << 14;
	if (leaf->function == 4)
		leaf->eax |= at_most(ids, 0x3f) << 26;
}

static void patch_amd_features(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	if (!id->amd)
		return;
	leaf->ecx &= ~ECX_AMD_CMP_LEGACY;
	if (id->cpus > 1)
		leaf->ecx |= ECX_AMD_CMP_LEGACY;
}

/* The number of cores; reserved on Intel. */
static void patch_amd_cores(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	if (id->amd)
		leaf->ecx = (leaf->ecx & ~0xf0ffu) | id->id_bits << 12 |
			    at_most(id->cpus - 1, 0xff);
}

static void patch_amd_topology(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	if (!id->amd)
		return;
	leaf->eax = id->apic_id;
	leaf->ebx = id->apic_id & 0xff; /* core id; one thread per core */
	leaf->ecx = 0;			/* node 0; one node */
	leaf->edx = 0;
}

static const struct {
	uint32_t function;
	void (*patch)(struct kvm_cpuid_entry2 *leaf, const struct identity *id);
} patches[] = {
	{ 0x1, patch_features },
	{ 0x4, patch_cache },
	{ 0x80000001, patch_amd_features },
	{ 0x80000008, patch_amd_cores },
	{ 0x8000001d, patch_cache },
	{ 0x8000001e, patch_amd_topology },
};

static void patch_leaf(struct kvm_cpuid_entry2 *leaf, const struct identity *id)
{
	for (unsigned i = 0; i < ARRAY_SIZE(patches); i++)
		if (leaf->function == patches[i].function)
			patches[i].patch(leaf, id);
}

/* Extended topology: a thread level, a core level, and the end. Leaf 0x1f has the same form. */
static void add_topology(struct kvm_cpuid2 *cpuid, uint32_t function, const struct identity *id)
{
	const struct {
		uint32_t shift, count, type;
	} levels[] = {
		{ 0, 1, 1 },
		{ id->id_bits, id->cpus, 2 },
		{ 0, 0, 0 },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(levels); i++)
		cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
			.function = function,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = levels[i].shift,
			.ebx = levels[i].count,
			.ecx = levels[i].type << 8 | i,
			.edx = id->apic_id,
		};
}

static bool is_topology(uint32_t function)
{
	return function == 0xb || function == 0x1f;
}

static uint32_t bits_for(uint32_t count)
{
	uint32_t bits = 0;

	while (bits < 31 && 1u << bits < count)
		bits++;
	return bits;
}

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid2 *cpuid, uint32_t function)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	return NULL;
}

struct kvm_cpuid2 *cpuid_of(const struct arch_vm *arch, const struct vcpu *vcpu)
{
	const struct x86_vm *vm = arch->priv;
	const struct kvm_cpuid2 *supported = vm->supported;
	const struct kvm_cpuid_entry2 *basic = find_leaf(supported, 0);
	struct kvm_cpuid2 *cpuid = alloc_leaves(supported->nent + LEAVES_ADDED);
	uint32_t max_leaf = basic ? basic->eax : 0;
	struct identity id = {
		.apic_id = vcpu->id,
		.cpus = arch->cpus,
		.id_bits = bits_for(arch->cpus),
		.amd = basic && (basic->ebx == VENDOR_AUTH || basic->ebx == VENDOR_HYGO),
		.irqchip = arch->kvm->has_irqchip,
		.tsc_deadline = vm->tsc_deadline,
	};

	if (!cpuid)
		return NULL;
	cpuid->nent = 0;
	for (unsigned i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 leaf = supported->entries[i];

		if (is_topology(leaf.function))
			continue;
		patch_leaf(&leaf, &id);
		cpuid->entries[cpuid->nent++] = leaf;
	}
	if (max_leaf >= 0xb)
		add_topology(cpuid, 0xb, &id);
	if (max_leaf >= 0x1f)
		add_topology(cpuid, 0x1f, &id);
	return cpuid;
}

int cpuid_keep(struct arch_vm *arch, const struct kvm_cpuid2 *cpuid)
{
	struct x86_vm *vm = arch->priv;
	struct kvm_cpuid2 *copy = alloc_leaves(cpuid->nent);

	if (!copy)
		return -ENOMEM;
	memcpy(copy->entries, cpuid->entries, cpuid->nent * sizeof(copy->entries[0]));
	free(vm->supported);
	vm->supported = copy;
	vm->told_less = true;
	return 0;
}

int cpuid_set(const struct arch_vm *arch, struct vcpu *vcpu)
{
	_cleanup_free_ struct kvm_cpuid2 *cpuid = cpuid_of(arch, vcpu);

	return cpuid ? vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid) : -ENOMEM;
}
