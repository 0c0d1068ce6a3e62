/* SPDX-License-Identifier: Apache-2.0 */
/* A flattened device tree is a list of words (Devicetree specification 0.4, §5). */
#include "fdt.h"

enum { FDT_MAGIC = 0xd00dfeed, FDT_STRUCT = 8, FDT_STRINGS = 12 };
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4 };

static uint32_t cell(const void *at)
{
	return __builtin_bswap32(*(const uint32_t *)at);
}

uint64_t fdt_u64(const void *cells)
{
	return (uint64_t)cell(cells) << 32 | cell((const char *)cells + 4);
}

static uint32_t text_len(const char *text)
{
	uint32_t len = 0;

	while (text[len])
		len++;
	return len;
}

static bool is_node(const char *full, const char *node)
{
	while (*node && *full == *node)
		full++, node++;
	return !*node && (!*full || *full == '@');
}

const void *fdt_property(const void *fdt, const char *node, const char *name, uint32_t *len)
{
	const char *base = fdt, *at = base + cell(base + FDT_STRUCT), *value;
	const char *strings = base + cell(base + FDT_STRINGS);
	unsigned depth = 0;
	bool inside = false;

	check(cell(base) == FDT_MAGIC);
	for (;;) {
		uint32_t token = cell(at);

		at += 4;
		switch (token) {
		case FDT_BEGIN_NODE:
			inside = ++depth == 2 && is_node(at, node);
			at += (text_len(at) + 4) & ~3u;
			break;
		case FDT_END_NODE:
			depth--;
			inside = false;
			break;
		case FDT_PROP:
			value = at + 8;
			if (inside && same_text(strings + cell(at + 4), name)) {
				if (len)
					*len = cell(at);
				return value;
			}
			at = value + ((cell(at) + 3) & ~3u);
			break;
		case FDT_NOP:
			break;
		default:
			return NULL;
		}
	}
}

const char *command_line(const void *fdt)
{
	return fdt_property(fdt, "chosen", "bootargs", NULL);
}
