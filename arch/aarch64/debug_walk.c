/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of a guest's page tables, for which KVM has no ioctl on arm64. (Arm ARM DDI 0487, D8.2:
 * stage 1 of the EL1&0 translation regime)
 */
#include "arch/debug.h"
#include "regs.h"

#define SCTLR_MMU 1u
#define DESC_VALID 1u
#define DESC_TABLE 2u /* else a block; on the last level: a page, and always set */
#define OUTPUT_MASK 0x0000ffffffffffffULL /* no guest has RAM above it: RAM_MAX */

/* The fields of TCR_EL1 for one half of the addresses. */
struct half {
	unsigned size_shift;   /* of T0SZ or T1SZ: 64 minus the bits of an address */
	unsigned granule_shift;
	unsigned disable_bit;  /* EPD */
	unsigned ignore_bit;   /* TBI: the top byte is ignored */
	uint8_t page_bits[4];  /* by TG; 0: reserved */
	uint64_t table_id;
};

static const struct half lower = { 0, 14, 7, 37, { 12, 16, 14, 0 }, ARM64_TTBR0_EL1 };
static const struct half upper = { 16, 30, 23, 38, { 0, 14, 12, 16 }, ARM64_TTBR1_EL1 };

static uint64_t low_bits(unsigned count)
{
	return count < 64 ? (1ULL << count) - 1 : UINT64_MAX;
}

/* Whether all bits above the translated ones equal the top bit of the half. */
static bool is_canonical(uint64_t address, unsigned bits, bool ignores_top)
{
	uint64_t above = ~low_bits(bits) & low_bits(ignores_top ? 56 : 64);

	return (address & above) == (address >> 55 & 1 ? above : 0);
}

static int walk(const struct gmem *mem, uint64_t table, uint64_t address, unsigned page_bits,
		unsigned bits, uint64_t *gpa)
{
	unsigned stride = page_bits - 3; /* of 8-byte descriptors in a page */
	unsigned levels = (bits - page_bits + stride - 1) / stride;

	address &= low_bits(bits);
	while (levels--) {
		unsigned shift = page_bits + levels * stride;
		uint64_t index = address >> shift & low_bits(stride), desc;

		if (gmem_read(mem, table + 8 * index, &desc, sizeof(desc)) || !(desc & DESC_VALID))
			return -EFAULT;
		if (!levels && !(desc & DESC_TABLE))
			return -EFAULT;
		if (!levels || !(desc & DESC_TABLE)) {
			*gpa = desc & OUTPUT_MASK & ~low_bits(shift);
			*gpa |= address & low_bits(shift);
			return 0;
		}
		table = desc & OUTPUT_MASK & ~low_bits(page_bits);
	}
	return -EFAULT;
}

int arch_debug_translate(const struct gmem *mem, struct vcpu *vcpu, uint64_t address,
			 uint64_t *gpa)
{
	const struct half *half = address >> 55 & 1 ? &upper : &lower;
	uint64_t sctlr, tcr, table;
	unsigned page_bits, bits;
	int ret = arm64_get_reg(vcpu, ARM64_SCTLR_EL1, &sctlr);

	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_TCR_EL1, &tcr);
	if (ret >= 0)
		ret = arm64_get_reg(vcpu, half->table_id, &table);
	if (ret < 0)
		return ret;
	if (!(sctlr & SCTLR_MMU)) {
		*gpa = address;
		return 0;
	}
	page_bits = half->page_bits[tcr >> half->granule_shift & 3];
	bits = 64 - (unsigned)(tcr >> half->size_shift & 63);
	if (!page_bits || bits <= page_bits || bits > 52 || tcr >> half->disable_bit & 1 ||
	    !is_canonical(address, bits, tcr >> half->ignore_bit & 1))
		return -EFAULT;
	return walk(mem, table & OUTPUT_MASK & ~1ULL, address, page_bits, bits, gpa);
}
