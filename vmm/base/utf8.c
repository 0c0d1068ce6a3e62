/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

/* RFC 3629 §4: length of the sequence with this lead byte; 0: not a lead byte. */
static unsigned sequence_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

static bool is_wanted(uint32_t c)
{
	if (c < ' ' || (c >= 0x7f && c < 0xa0))
		return false;
	return (c < 0xd800 || c > 0xdfff) && c != 0xfffe && c != 0xffff && c <= 0x10ffff;
}

/* The length of the well-formed and allowed character at `in`, or 0. */
static unsigned character_length(const uint8_t *in, size_t len)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned count = sequence_length(in[0]);
	uint32_t c = in[0];

	if (!count || count > len)
		return 0;
	if (count > 1)
		c &= 0x7fu >> count;
	for (unsigned i = 1; i < count; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (in[i] & 0x3f);
	}
	return c >= smallest[count] && is_wanted(c) ? count : 0;
}

size_t utf8_clean(char *out, size_t size, const void *in, size_t len)
{
	const uint8_t *p = in, *end = p + len;
	size_t used = 0;

	while (p < end) {
		unsigned count = character_length(p, (size_t)(end - p));
		const void *from = count ? (const char *)p : *p == '\t' ? " " : replacement;
		size_t bytes = count ? count : *p == '\t' ? 1 : sizeof(replacement) - 1;

		if (used + bytes >= size)
			break;
		memcpy(out + used, from, bytes);
		used += bytes;
		p += count ? count : 1;
	}
	out[used] = '\0';
	return used;
}
