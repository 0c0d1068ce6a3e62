/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *text, const char *fmt, ...)
{
	size_t room = text->size - text->len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text->buf + text->len, room, fmt, args);
	va_end(args);
	if (len > 0)
		text->len += (size_t)len < room ? (size_t)len : room - 1;
}

void text_add_bytes(struct text *text, uint64_t bytes)
{
	static const char *const units[] = { "byte", "KiB", "MiB", "GiB", "TiB" };
	uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
	unsigned unit = 0;

	for (; tenths >= 10240 && unit + 1 < ARRAY_SIZE(units); unit++)
		tenths /= 1024;
	text_add(text, "%llu", (unsigned long long)(tenths / 10));
	if (unit && tenths % 10)
		text_add(text, ".%u", (unsigned)(tenths % 10));
	text_add(text, " %s%s", units[unit], !unit && bytes != 1 ? "s" : "");
}
