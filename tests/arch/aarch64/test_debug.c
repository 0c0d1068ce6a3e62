/* SPDX-License-Identifier: Apache-2.0 */
/* gdb's view of an arm64 vCPU, on a fake KVM with a bank of registers. */
#include "../../../arch/aarch64/regs.h"
#include "arch/debug.h"
#include "base/le.h"
#include "debug_block.h"
#include "fake_sys.h"
#include "unit.h"

#include <asm/ptrace.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1ULL << 20)
#define RAM 0x40000000ULL

enum { BANK_MAX = 128, VALUE_MAX = 256 };

struct fixture {
	struct fake_sys fake;
	struct kvm kvm;
	struct vcpu vcpu;
	struct gmem mem;
	bool sve;
	struct {
		uint64_t id;
		uint8_t value[VALUE_MAX];
	} bank[BANK_MAX];
	unsigned used, sets;
	struct kvm_guest_debug debug;
	int breaks, watches; /* registers that KVM has */
};

#define VREG(n)                                                                                    \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |                                    \
	 KVM_REG_ARM_CORE_REG(fp_regs.vregs[n]))

/* Every register exists, and is zero until it is set. */
static uint8_t *value_of(struct fixture *f, uint64_t id)
{
	for (unsigned i = 0; i < f->used; i++)
		if (f->bank[i].id == id)
			return f->bank[i].value;
	assert_true(f->used < BANK_MAX);
	f->bank[f->used].id = id;
	return f->bank[f->used++].value;
}

static void set(struct fixture *f, uint64_t id, uint64_t value)
{
	put_le64(value_of(f, id), value);
}

static uint64_t get(struct fixture *f, uint64_t id)
{
	return get_le64(value_of(f, id));
}

static size_t size_of(uint64_t id)
{
	return 1UL << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static int one_reg(struct fixture *f, unsigned long request, const struct kvm_one_reg *reg)
{
	void *value = (void *)(uintptr_t)reg->addr;

	if (f->sve && reg->id >= VREG(0) && reg->id <= VREG(31))
		return -ENOENT;
	if (request == KVM_GET_ONE_REG) {
		memcpy(value, value_of(f, reg->id), size_of(reg->id));
		return 0;
	}
	memcpy(value_of(f, reg->id), value, size_of(reg->id));
	f->sets++;
	return 0;
}

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;

	(void)fd;
	switch (request) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(f, request, arg);
	case KVM_SET_GUEST_DEBUG:
		f->debug = *(struct kvm_guest_debug *)arg;
		return 0;
	case KVM_CHECK_EXTENSION:
		if ((long)arg == KVM_CAP_GUEST_DEBUG_HW_BPS)
			return f->breaks;
		if ((long)arg == KVM_CAP_GUEST_DEBUG_HW_WPS)
			return f->watches;
		return FAKE_PASS;
	default:
		return FAKE_PASS;
	}
}

static int setup(void **state)
{
	static const struct gmem_range ram = { .gpa = RAM, .len = 4 * MIB };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_sys_init(&f->fake);
	f->fake.hook = answer;
	f->fake.hook_data = f;
	f->breaks = 6;
	f->watches = 4;
	assert_int_equal(kvm_init(&f->kvm, &f->fake.sys, 0), 0);
	assert_int_equal(vcpu_init(&f->vcpu, &f->kvm, 0, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(gmem_init(&f->mem, &ram, 1, &(struct gmem_options){ 0 }), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gmem_destroy(&f->mem);
	vcpu_destroy(&f->vcpu);
	kvm_destroy(&f->kvm);
	fake_sys_destroy(&f->fake);
	free(f);
	return 0;
}

/* --- Registers -------------------------------------------------------------------------------- */

static void registers_are_read(void **state)
{
	struct fixture *f = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	set(f, ARM64_X(0), 10);
	set(f, ARM64_X(30), 40);
	set(f, ARM64_CORE_REG(regs.sp), 0x5000);
	set(f, ARM64_CORE_REG(sp_el1), 0x6000);
	set(f, ARM64_CORE_REG(regs.pc), 0xffff800008010000);
	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL1h | PSR_I_BIT);
	set(f, VREG(31), 31);
	set(f, ARM64_TTBR1_EL1, 0x41000000);
	assert_int_equal(arch_debug_get_registers(&f->vcpu, block), 0);
	assert_int_equal(get_le64(block + offset_of("x0")), 10);
	assert_int_equal(get_le64(block + offset_of("x30")), 40);
	assert_int_equal(get_le64(block + offset_of("sp")), 0x6000);
	assert_true(get_le64(block + offset_of("pc")) == 0xffff800008010000);
	assert_int_equal(get_le32(block + offset_of("cpsr")), PSR_MODE_EL1h | PSR_I_BIT);
	assert_int_equal(block[offset_of("v31")], 31);
	assert_int_equal(get_le64(block + offset_of("ttbr1_el1")), 0x41000000);

	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL0t);
	assert_int_equal(arch_debug_get_registers(&f->vcpu, block), 0);
	assert_int_equal(get_le64(block + offset_of("sp")), 0x5000);
}

static void only_what_differs_is_written(void **state)
{
	struct fixture *f = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL1h);
	assert_int_equal(arch_debug_get_registers(&f->vcpu, block), 0);
	assert_int_equal(arch_debug_set_registers(&f->vcpu, block), 0);
	assert_int_equal(f->sets, 0);

	put_le64(block + offset_of("sp"), 0x7000);
	put_le64(block + offset_of("v2") + 8, 2);
	assert_int_equal(arch_debug_set_registers(&f->vcpu, block), 0);
	assert_int_equal(f->sets, 2);
	assert_int_equal(get(f, ARM64_CORE_REG(sp_el1)), 0x7000);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.sp)), 0);
	assert_int_equal(get_le64(value_of(f, VREG(2)) + 8), 2);
}

/* gdb sees the lower part of SVE's registers; the rest stays. */
static void vectors_of_sve_are_read_and_written(void **state)
{
	struct fixture *f = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX], *z3 = value_of(f, KVM_REG_ARM64_SVE_ZREG(3, 0));

	f->sve = true;
	z3[0] = 3;
	z3[16] = 99;
	assert_int_equal(arch_debug_get_registers(&f->vcpu, block), 0);
	assert_int_equal(block[offset_of("v3")], 3);
	assert_int_equal(block[offset_of("v4")], 0);
	block[offset_of("v3")] = 4;
	assert_int_equal(arch_debug_set_registers(&f->vcpu, block), 0);
	assert_int_equal(f->sets, 1);
	assert_int_equal(z3[0], 4);
	assert_int_equal(z3[16], 99);
}

/* --- Addresses -------------------------------------------------------------------------------- */

#define T0SZ(bits) (64ULL - (bits))
#define T1SZ(bits) ((64ULL - (bits)) << 16)
#define TG1_4K (2ULL << 30)
#define TG1_64K (3ULL << 30)
#define TABLE 3ULL
#define BLOCK 1ULL
#define PAGE 3ULL

static void put_desc(struct fixture *f, uint64_t table, unsigned index, uint64_t desc)
{
	assert_int_equal(gmem_write(&f->mem, table + 8ULL * index, &desc, sizeof(desc)), 0);
}

static void assert_mapped(struct fixture *f, uint64_t address, uint64_t wanted)
{
	uint64_t gpa = 0;

	assert_int_equal(arch_debug_translate(&f->mem, &f->vcpu, address, &gpa), 0);
	assert_true(gpa == wanted);
}

static void assert_unmapped(struct fixture *f, uint64_t address)
{
	uint64_t gpa;

	assert_int_equal(arch_debug_translate(&f->mem, &f->vcpu, address, &gpa), -EFAULT);
}

static void without_mmu_addresses_are_physical(void **state)
{
	assert_mapped(*state, RAM + 0x1234, RAM + 0x1234);
}

/* As in Linux: four levels in the upper half, and a block. */
static void four_levels_are_walked(void **state)
{
	const uint64_t pgd = RAM + 0x1000, pud = RAM + 0x2000;
	const uint64_t pmd = RAM + 0x3000, pte = RAM + 0x4000;
	struct fixture *f = *state;

	set(f, ARM64_SCTLR_EL1, 1);
	set(f, ARM64_TCR_EL1, T0SZ(48) | T1SZ(48) | TG1_4K);
	set(f, ARM64_TTBR1_EL1, 0x0005000000000001 | pgd); /* ASID, CnP */
	put_desc(f, pgd, 0x100, pud | TABLE);
	put_desc(f, pud, 0, pmd | TABLE | 1ULL << 59);
	put_desc(f, pmd, 0x40, pte | TABLE);
	put_desc(f, pmd, 0x41, 0x45600000 | BLOCK | 1ULL << 54);
	put_desc(f, pte, 0x10, 0x47654000 | PAGE | 1ULL << 53 | 0x700);
	assert_mapped(f, 0xffff800008010123, 0x47654123);
	assert_mapped(f, 0xffff800008234567, 0x45634567);
	assert_unmapped(f, 0xffff800008011000);
	assert_unmapped(f, 0xffff900008010000);
	assert_unmapped(f, 0xfff7800008010123); /* not canonical */
	put_desc(f, pte, 0x10, 0x47654000 | BLOCK); /* reserved there */
	assert_unmapped(f, 0xffff800008010123);
	put_desc(f, pgd, 0x100, (RAM + 64 * MIB) | TABLE); /* tables out of RAM */
	assert_unmapped(f, 0xffff800008010123);
	put_desc(f, pgd, 0x100, pud | TABLE);
	set(f, ARM64_TCR_EL1, get(f, ARM64_TCR_EL1) | 1ULL << 23); /* EPD1 */
	assert_unmapped(f, 0xffff800008234567);
}

static void halves_and_granules_differ(void **state)
{
	const uint64_t low = RAM + 0x10000, high = RAM + 0x20000, pages = RAM + 0x30000;
	struct fixture *f = *state;

	set(f, ARM64_SCTLR_EL1, 1);
	/* 39 bits in pages of 4 KiB below: three levels; 42 in pages of 64 KiB above: two. */
	set(f, ARM64_TCR_EL1, T0SZ(39) | T1SZ(42) | TG1_64K | 1ULL << 37);
	set(f, ARM64_TTBR0_EL1, low);
	set(f, ARM64_TTBR1_EL1, high);
	put_desc(f, low, 1, 0x80000000 | BLOCK);
	put_desc(f, high, 0x1fff, pages | TABLE);
	put_desc(f, pages, 0x1fff, 0x12340000 | PAGE);
	assert_mapped(f, 0x40001000, 0x80001000);
	assert_mapped(f, 0x5500000040001000, 0x80001000); /* the top byte is ignored */
	assert_unmapped(f, 0x0000008040001000);
	assert_mapped(f, 0xffffffffffff8765, 0x12348765);
	set(f, ARM64_TCR_EL1, T0SZ(39) | 3ULL << 14); /* a reserved granule */
	assert_unmapped(f, 0x40001000);
	set(f, ARM64_TCR_EL1, 60); /* no bits */
	assert_unmapped(f, 0);
}

/* --- Points, and stops ------------------------------------------------------------------------ */

static void control(struct fixture *f, const struct arch_debug_control *wanted)
{
	assert_int_equal(arch_debug_control(&f->vcpu, wanted), 0);
}

/* DBGBCR: BAS, PMC, E. DBGWCR: BAS, LSC, PAC, E. */
static void points_are_debug_registers(void **state)
{
	static const struct arch_debug_point points[] = {
		{ ARCH_DEBUG_WRITE, 0x1004, 4 },
		{ ARCH_DEBUG_EXECUTE, 0xffff800008010000, 4 },
		{ ARCH_DEBUG_ACCESS, 0x2006, 4 }, /* two words */
	};
	struct fixture *f = *state;

	control(f, &(struct arch_debug_control){ .points = points, .count = 3 });
	assert_int_equal(f->debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW);
	assert_true(f->debug.arch.dbg_bvr[0] == points[1].address);
	assert_int_equal(f->debug.arch.dbg_bcr[0], 0x1e7);
	assert_int_equal(f->debug.arch.dbg_bcr[1], 0);
	assert_int_equal(f->debug.arch.dbg_wvr[0], 0x1000);
	assert_int_equal(f->debug.arch.dbg_wcr[0], 0xf0 << 5 | 0x17);
	assert_int_equal(f->debug.arch.dbg_wvr[1], 0x2000);
	assert_int_equal(f->debug.arch.dbg_wcr[1], 0xc0 << 5 | 0x1f);
	assert_int_equal(f->debug.arch.dbg_wvr[2], 0x2008);
	assert_int_equal(f->debug.arch.dbg_wcr[2], 0x03 << 5 | 0x1f);
	assert_int_equal(f->debug.arch.dbg_wcr[3], 0);
}

static void more_than_there_are_do_not_fit(void **state)
{
	struct arch_debug_point points[20];
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(points); i++)
		points[i] = (struct arch_debug_point){ ARCH_DEBUG_EXECUTE, 4 * i, 4 };
	assert_true(arch_debug_points_fit(&f->vcpu, points, 6));
	assert_false(arch_debug_points_fit(&f->vcpu, points, 7));
	f->breaks = 16;
	assert_true(arch_debug_points_fit(&f->vcpu, points, 16));
	assert_false(arch_debug_points_fit(&f->vcpu, points, 17));
	points[0].address = 2;
	assert_false(arch_debug_points_fit(&f->vcpu, points, 1));
	points[0] = (struct arch_debug_point){ ARCH_DEBUG_WRITE, 0x1001, 31 };
	assert_true(arch_debug_points_fit(&f->vcpu, points, 1));
	points[0].len = 32;
	assert_false(arch_debug_points_fit(&f->vcpu, points, 1));
	points[0].len = UINT64_MAX;
	assert_false(arch_debug_points_fit(&f->vcpu, points, 1));
	points[0].len = 0;
	assert_false(arch_debug_points_fit(&f->vcpu, points, 1));
	points[0] = (struct arch_debug_point){ ARCH_DEBUG_WRITE, UINT64_MAX, 2 };
	assert_true(arch_debug_points_fit(&f->vcpu, points, 1));
}

static void steps_and_traps_are_asked_for(void **state)
{
	struct fixture *f = *state;
	uint64_t note = 0;

	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL1h | PSR_I_BIT | PSR_F_BIT);
	control(f, &(struct arch_debug_control){ .step = true, .mem = &f->mem, .note = &note });
	assert_int_equal(f->debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	assert_int_equal(note, 0);
	control(f, &(struct arch_debug_control){ .traps = true });
	assert_int_equal(f->debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	control(f, &(struct arch_debug_control){ .count = 0 });
	assert_int_equal(f->debug.control, 0);
	assert_int_equal(f->sets, 0);
}

static void step(struct fixture *f, uint32_t instruction, uint64_t *note)
{
	assert_int_equal(gmem_write(&f->mem, RAM + 0x1000, &instruction, sizeof(instruction)), 0);
	set(f, ARM64_CORE_REG(regs.pc), RAM + 0x1000);
	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL1h | PSR_F_BIT);
	control(f, &(struct arch_debug_control){ .step = true, .mem = &f->mem, .note = note });
}

/*
 * Otherwise a step from a breakpoint would end in the handler of the timer, which is pending by
 * then.
 */
static void a_step_takes_no_interrupt(void **state)
{
	const uint32_t nop = 0xd503201f;
	const uint64_t open = PSR_MODE_EL1h | PSR_F_BIT, masked = open | PSR_I_BIT;
	struct fixture *f = *state;
	uint64_t note = 0;

	set(f, ARM64_VBAR_EL1, RAM + 0x8000);
	step(f, nop, &note);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)), masked);
	set(f, ARM64_CORE_REG(regs.pc), RAM + 0x1004);
	assert_int_equal(arch_debug_stopped(&f->vcpu, &note), 0);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)), open);
	assert_int_equal(note, 0);

	/* It faulted: the interrupted code is not masked, the handler is. */
	step(f, nop, &note);
	set(f, ARM64_CORE_REG(regs.pc), RAM + 0x8200);
	set(f, ARM64_CORE_REG(elr_el1), RAM + 0x1000);
	set(f, ARM64_SPSR_EL1, masked);
	assert_int_equal(arch_debug_stopped(&f->vcpu, &note), 0);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)), masked);
	assert_int_equal(get(f, ARM64_SPSR_EL1), open);

	/* Nothing is done twice. */
	f->sets = 0;
	assert_int_equal(arch_debug_stopped(&f->vcpu, &note), 0);
	assert_int_equal(f->sets, 0);
}

/*
 * A handler that has enabled interrupts again, still in the vector table, or jumping to a vector.
 */
static void a_step_among_vectors_is_no_exception(void **state)
{
	static const struct {
		uint64_t pc, elr;
	} stops[] = {
		{ RAM + 0x1004, RAM + 0x9000 },
		{ RAM + 0x1004, RAM + 0x1000 }, /* another exception's, at the same place */
		{ RAM + 0x1080, RAM + 0x9000 },
	};
	const uint64_t open = PSR_MODE_EL1h | PSR_F_BIT, masked = open | PSR_I_BIT;
	struct fixture *f = *state;
	uint64_t note = 0;

	set(f, ARM64_VBAR_EL1, RAM + 0x1000);
	set(f, ARM64_SPSR_EL1, masked);
	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		step(f, 0xd503201f, &note);
		set(f, ARM64_CORE_REG(regs.pc), stops[i].pc);
		set(f, ARM64_CORE_REG(elr_el1), stops[i].elr);
		assert_int_equal(arch_debug_stopped(&f->vcpu, &note), 0);
		assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)), open);
		assert_int_equal(get(f, ARM64_SPSR_EL1), masked);
		assert_int_equal(note, 0);
	}
}

static void what_uses_the_masks_is_stepped_as_it_is(void **state)
{
	static const uint32_t users[] = {
		0xd53b4223, /* mrs x3, daif */
		0xd51b4223, /* msr daif, x3 */
		0xd50342df, /* msr daifset, #2 */
		0xd50342ff, /* msr daifclr, #2 */
		0xd69f03e0, /* eret */
		0xd69f0bff, /* eretaa */
		0xd4000001, /* svc #0 */
	};
	struct fixture *f = *state;
	uint64_t note = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(users); i++) {
		step(f, users[i], &note);
		assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)), PSR_MODE_EL1h | PSR_F_BIT);
		assert_int_equal(note, 0);
	}
	/* Nor what cannot be read. */
	set(f, ARM64_CORE_REG(regs.pc), RAM + 64 * MIB);
	control(f, &(struct arch_debug_control){ .step = true, .mem = &f->mem, .note = &note });
	assert_int_equal(note, 0);
	set(f, ARM64_CORE_REG(regs.pc), RAM + 0x1002);
	control(f, &(struct arch_debug_control){ .step = true, .mem = &f->mem, .note = &note });
	assert_int_equal(note, 0);
}

static struct arch_debug_event event_of(struct fixture *f, uint32_t class, uint64_t far,
					const struct arch_debug_point *points, unsigned count)
{
	struct arch_debug_event event;

	f->vcpu.run->debug.arch.hsr = class << 26 | 1u << 25;
	f->vcpu.run->debug.arch.far = far;
	arch_debug_event(&f->vcpu, points, count, &event);
	assert_int_equal(event.pc, 0x1000);
	return event;
}

static void events_are_told_apart(void **state)
{
	static const struct arch_debug_point points[] = {
		{ ARCH_DEBUG_WRITE, 0x2004, 4 },
		{ ARCH_DEBUG_EXECUTE, 0x2000, 4 },
		{ ARCH_DEBUG_EXECUTE, 0x1000, 4 },
		{ ARCH_DEBUG_WRITE, 0x3000, 8 },
	};
	struct fixture *f = *state;
	struct arch_debug_event event;

	set(f, ARM64_CORE_REG(regs.pc), 0x1000);
	event = event_of(f, 0x3c, 0, points, 4);
	assert_true(event.trap && !event.step && event.point == -1);
	event = event_of(f, 0x32, 0, points, 4);
	assert_true(event.step && !event.trap && event.point == -1);
	event = event_of(f, 0x30, 0, points, 4);
	assert_true(!event.step && !event.trap && event.point == 2);
	event = event_of(f, 0x34, 0x3004, points, 4);
	assert_true(!event.step && !event.trap && event.point == 3);
	event = event_of(f, 0x34, 0x2ff8, points, 4); /* a pair, whose second half is watched */
	assert_int_equal(event.point, 3);
	event = event_of(f, 0x34, 0x2004, points, 4);
	assert_int_equal(event.point, 0);
	/* A guest's own, where no breakpoint is set. */
	event = event_of(f, 0x30, 0, points, 1);
	assert_int_equal(event.point, -1);
	event = event_of(f, 0x34, 0x2004, &points[1], 1);
	assert_int_equal(event.point, -1);
}

/* Arm ARM D1.10: the guest's vectors, and the register state after an exception. */
static void the_guest_gets_its_own_trap(void **state)
{
	const uint32_t brk = 0x3cu << 26 | 1u << 25 | 0x800; /* as Linux's BUG() */
	const uint64_t kernel = PSR_MODE_EL1h | PSR_Z_BIT | 1u << 21; /* SS, of a step */
	struct fixture *f = *state;

	set(f, ARM64_CORE_REG(regs.pc), 0xffff800008010000);
	set(f, ARM64_CORE_REG(regs.pstate), kernel);
	set(f, ARM64_VBAR_EL1, 0xffff800008000800);
	f->vcpu.run->debug.arch.hsr = brk;
	control(f, &(struct arch_debug_control){ .traps = true,
						 .reinject = ARCH_DEBUG_REINJECT_TRAP });
	assert_int_equal(f->debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	assert_true(get(f, ARM64_CORE_REG(elr_el1)) == 0xffff800008010000);
	assert_int_equal(get(f, ARM64_SPSR_EL1), kernel);
	assert_int_equal(get(f, ARM64_ESR_EL1), brk);
	assert_true(get(f, ARM64_CORE_REG(regs.pc)) == 0xffff800008000a00);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)),
			 PSR_MODE_EL1h | PSR_Z_BIT | PSR_PAN_BIT | PSR_D_BIT | PSR_A_BIT |
				 PSR_I_BIT | PSR_F_BIT);
}

static void the_guest_gets_its_own_watchpoint(void **state)
{
	const uint32_t watch = 0x34u << 26 | 1u << 25 | 0x62;
	struct fixture *f = *state;

	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL0t);
	set(f, ARM64_VBAR_EL1, 0x1000);
	set(f, ARM64_SCTLR_EL1, 1ULL << 23); /* SPAN: PAN stays as it is */
	f->vcpu.run->debug.arch.hsr = watch;
	f->vcpu.run->debug.arch.far = 0x7777;
	control(f, &(struct arch_debug_control){ .reinject = ARCH_DEBUG_REINJECT_DEBUG });
	assert_int_equal(get(f, ARM64_FAR_EL1), 0x7777);
	assert_int_equal(get(f, ARM64_ESR_EL1), watch);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pc)), 0x1400);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pstate)) & PSR_PAN_BIT, 0);

	/* From EL1 the class is different. */
	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL1t);
	control(f, &(struct arch_debug_control){ .reinject = ARCH_DEBUG_REINJECT_DEBUG });
	assert_int_equal(get(f, ARM64_ESR_EL1), watch + (1u << 26));
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pc)), 0x1000);

	/* And from 32-bit programs, the vector is different. */
	set(f, ARM64_CORE_REG(regs.pstate), PSR_MODE32_BIT | PSR_MODE_EL0t);
	control(f, &(struct arch_debug_control){ .reinject = ARCH_DEBUG_REINJECT_DEBUG });
	assert_int_equal(get(f, ARM64_ESR_EL1), watch);
	assert_int_equal(get(f, ARM64_CORE_REG(regs.pc)), 0x1600);
}

static void every_failing_call_is_told(void **state)
{
	const struct arch_debug_control wanted = { .reinject = ARCH_DEBUG_REINJECT_TRAP };
	struct fixture *f = *state;
	int ret = -1;
	unsigned n;

	for (n = 1; ret; n++) {
		f->fake.calls = 0;
		f->fake.fail_at = n;
		f->fake.fail_errno = EINVAL;
		ret = arch_debug_control(&f->vcpu, &wanted);
		assert_true(ret == (f->fake.calls < n ? 0 : -EINVAL));
	}
	assert_int_equal(n, 12); /* 4 to read, 5 to write, 1 to resume; none failed, and one more */
}

/* Written code is executed: here, on this CPU. */
static void written_code_is_fetched(void **state)
{
	static const uint32_t returns[] = { 0x52800020, 0xd65f03c0 }; /* mov w0, #1; ret */
	static const uint32_t other = 0x52800040;		      /* mov w0, #2 */
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t *code = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*function)(void);

	(void)state;
	assert_true(code != MAP_FAILED);
	memcpy(&function, &code, sizeof(function));
	memcpy(code, returns, sizeof(returns));
	arch_debug_wrote(code, sizeof(returns));
	assert_int_equal(function(), 1);
	memcpy(code, &other, sizeof(other));
	arch_debug_wrote(code, sizeof(other));
	assert_int_equal(function(), 2);
	munmap(code, page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_description_is_of_the_block),
		TEST(registers_are_read),
		TEST(only_what_differs_is_written),
		TEST(vectors_of_sve_are_read_and_written),
		TEST(without_mmu_addresses_are_physical),
		TEST(four_levels_are_walked),
		TEST(halves_and_granules_differ),
		TEST(points_are_debug_registers),
		TEST(more_than_there_are_do_not_fit),
		TEST(steps_and_traps_are_asked_for),
		TEST(a_step_takes_no_interrupt),
		TEST(a_step_among_vectors_is_no_exception),
		TEST(what_uses_the_masks_is_stepped_as_it_is),
		TEST(events_are_told_apart),
		TEST(the_guest_gets_its_own_trap),
		TEST(the_guest_gets_its_own_watchpoint),
		TEST(every_failing_call_is_told),
		TEST(written_code_is_fetched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
