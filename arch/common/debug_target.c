/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/debug_target.h"

#include "arch/debug.h"
#include "base/text.h"

static const char *type_of(const struct debug_reg *reg)
{
	if (reg->type)
		return reg->type;
	return reg->bits == 32 ? "int32" : "int64";
}

void arch_debug_describe(char *text, size_t len)
{
	const struct debug_target *target = &arch_debug_target;
	struct text out = text_of(text, len);

	text_add(&out, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
		       "<target><architecture>%s</architecture>", target->architecture);
	for (unsigned f = 0; f < target->count; f++) {
		const struct debug_feature *feature = &target->features[f];

		text_add(&out, "<feature name=\"%s\">%s", feature->name, feature->types);
		for (unsigned i = 0; i < feature->count; i++)
			text_add(&out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>",
				 feature->regs[i].name, feature->regs[i].bits,
				 type_of(&feature->regs[i]));
		text_add(&out, "</feature>");
	}
	text_add(&out, "</target>");
}

const struct debug_reg *debug_target_find(unsigned number, size_t *offset)
{
	const struct debug_target *target = &arch_debug_target;

	*offset = 0;
	for (unsigned f = 0; f < target->count; f++) {
		for (unsigned i = 0; i < target->features[f].count; i++) {
			if (!number--)
				return &target->features[f].regs[i];
			*offset += target->features[f].regs[i].bits / 8;
		}
	}
	return NULL;
}

bool arch_debug_register(unsigned number, size_t *offset, size_t *size)
{
	const struct debug_reg *reg = debug_target_find(number, offset);

	*size = reg ? reg->bits / 8 : 0;
	return reg;
}

size_t arch_debug_registers_size(void)
{
	size_t size;

	(void)debug_target_find(UINT32_MAX, &size);
	return size;
}
