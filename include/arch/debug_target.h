/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of registers that an architecture shows to gdb, for the files of arch/ARCH that
 * implement arch/debug.h; arch/common implements the functions of that header that need only the
 * table. All in static storage. Any thread.
 */
#ifndef KINGLET_ARCH_DEBUG_TARGET_H
#define KINGLET_ARCH_DEBUG_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct debug_reg {
	const char *name;
	const char *type; /* gdb's; NULL: an integer */
	uint16_t bits;	  /* as gdb sees it */
	uint16_t bytes;	  /* as KVM has it; gdb's other bytes are zero */
	uint64_t where;	  /* private to the architecture: an offset, an id */
};

struct debug_feature {
	const char *name;  /* gdb manual, appendix G.5 */
	const char *types; /* XML of the types that its registers have */
	const struct debug_reg *regs;
	unsigned count;
};

struct debug_target {
	const char *architecture; /* as gdb calls it */
	const struct debug_feature *features;
	unsigned count;
};

/* Each architecture has one. */
extern const struct debug_target arch_debug_target;

/*
 * The register of that number, and its offset in the register block, in bytes; NULL when there is
 * none, and then the offset is the length of the block.
 */
const struct debug_reg *debug_target_find(unsigned number, size_t *offset);

/* How many bytes of a register both gdb and KVM have. */
static inline size_t debug_reg_copied(const struct debug_reg *reg)
{
	return reg->bytes < reg->bits / 8 ? reg->bytes : reg->bits / 8;
}

#endif
