/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/registers.h"

#include "base/text.h"

void arch_add_register(struct arch_vcpu_state *state, const char *name, uint64_t value,
		       const struct bit_name *bits)
{
	struct arch_register *reg = &state->registers[state->register_count++];
	struct text text = text_of(reg->bits, sizeof(reg->bits));

	reg->name = name;
	reg->value = value;
	for (; bits && bits->mask; bits++)
		if (value & bits->mask)
			text_add(&text, "%s%s", text.len ? " " : "", bits->name);
}
