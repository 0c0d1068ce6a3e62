/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

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

unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

int hex_byte(const char *text)
{
	unsigned high = hex_digit(text[0]);
	unsigned low = high < 16 ? hex_digit(text[1]) : 16;

	return low < 16 ? (int)(high << 4 | low) : -1;
}

uint64_t bytes_hash(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t hash = 0xcbf29ce484222325;

	while (len--)
		hash = (hash ^ *at++) * 0x100000001b3;
	return hash;
}

uint64_t text_hash(const char *text)
{
	return bytes_hash(text, strlen(text));
}

void text_print_xml(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc((unsigned char)*text < ' ' ? '?' : *text, out);
	}
}
