/* SPDX-License-Identifier: Apache-2.0 */
#include "debug_block.h"

#include "arch/debug.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t offset_of(const char *name)
{
	char text[ARCH_DEBUG_TARGET_MAX], wanted[40];
	const char *p = text, *end;
	size_t offset, size;
	unsigned number = 0;

	arch_debug_describe(text, sizeof(text));
	snprintf(wanted, sizeof(wanted), "<reg name=\"%s\"", name);
	end = strstr(text, wanted);
	assert_non_null(end);
	while ((p = strstr(p, "<reg ")) < end) {
		number++;
		p++;
	}
	assert_true(arch_debug_register(number, &offset, &size));
	return offset;
}

void the_description_is_of_the_block(void **state)
{
	static const char attribute[] = "bitsize=\"";
	char text[ARCH_DEBUG_TARGET_MAX], *end;
	size_t sum = 0, offset, size;
	const char *bits;
	unsigned number = 0;

	(void)state;
	arch_debug_describe(text, sizeof(text));
	for (const char *p = text; (p = strstr(p, "<reg ")); p++) {
		assert_true(arch_debug_register(number++, &offset, &size));
		assert_int_equal(offset, sum);
		bits = strstr(p, attribute);
		assert_non_null(bits);
		assert_int_equal(size, strtoul(bits + strlen(attribute), &end, 10) / 8);
		assert_int_equal(*end, '"');
		sum += size;
	}
	assert_false(arch_debug_register(number, &offset, &size));
	assert_int_equal(sum, arch_debug_registers_size());
	assert_true(sum <= ARCH_DEBUG_REGISTERS_MAX);
	assert_non_null(strstr(text, "</target>"));
}
