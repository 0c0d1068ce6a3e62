/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BETWEEN, CONTENTS, SUM_HIGH, SUM_LOW };
enum { CTRL_C = 0x03, ESCAPE = '}', ESCAPE_XOR = 0x20 };

static void begin(struct gdb_parser *parser)
{
	parser->state = CONTENTS;
	parser->len = 0;
	parser->sum = 0;
	parser->escaped = parser->broken = false;
}

static enum gdb_input take_between(struct gdb_parser *parser, uint8_t byte)
{
	if (byte == '$')
		begin(parser);
	else if (byte == CTRL_C)
		return GDB_INTERRUPT;
	else if (byte == '-')
		return GDB_AGAIN;
	return GDB_MORE;
}

static void take_contents(struct gdb_parser *parser, uint8_t byte)
{
	if (byte == '#') {
		parser->state = SUM_HIGH;
		return;
	}
	if (byte == '$') { /* never inside a packet: the end of the previous one was lost */
		begin(parser);
		return;
	}
	parser->sum += byte;
	if (byte == ESCAPE && !parser->escaped) {
		parser->escaped = true;
		return;
	}
	if (parser->len == GDB_PACKET_MAX)
		parser->broken = true;
	else
		parser->data[parser->len++] = (char)(parser->escaped ? byte ^ ESCAPE_XOR : byte);
	parser->escaped = false;
}

static enum gdb_input take_sum(struct gdb_parser *parser, uint8_t byte)
{
	unsigned value = hex_digit((char)byte);

	if (value > 15)
		parser->broken = true;
	if (parser->state == SUM_HIGH) {
		parser->sum_given = (uint8_t)(value << 4);
		parser->state = SUM_LOW;
		return GDB_MORE;
	}
	parser->state = BETWEEN;
	parser->data[parser->len] = '\0';
	if (parser->broken || (parser->sum_given | value) != parser->sum)
		return GDB_BROKEN;
	return GDB_PACKET;
}

enum gdb_input gdb_parser_take(struct gdb_parser *parser, uint8_t byte)
{
	switch (parser->state) {
	case BETWEEN:
		return take_between(parser, byte);
	case CONTENTS:
		take_contents(parser, byte);
		return GDB_MORE;
	default:
		return take_sum(parser, byte);
	}
}

void gdb_reply_add(struct gdb_reply *reply, const void *data, size_t len)
{
	if (len > sizeof(reply->data) - reply->len)
		len = sizeof(reply->data) - reply->len;
	memcpy(reply->data + reply->len, data, len);
	reply->len += len;
}

void gdb_reply_format(struct gdb_reply *reply, const char *fmt, ...)
{
	char text[256];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len > 0)
		gdb_reply_add(reply, text,
			      (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void gdb_reply_hex(struct gdb_reply *reply, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		const char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };

		gdb_reply_add(reply, pair, sizeof(pair));
	}
}

size_t gdb_reply_frame(const struct gdb_reply *reply, char frame[GDB_FRAME_MAX])
{
	size_t at = 0;
	uint8_t sum = 0;

	frame[at++] = '$';
	for (size_t i = 0; i < reply->len; i++) {
		char c = reply->data[i];

		if (c && strchr("#$}*", c)) {
			frame[at++] = ESCAPE;
			sum += (uint8_t)ESCAPE;
			c ^= ESCAPE_XOR;
		}
		frame[at++] = c;
		sum += (uint8_t)c;
	}
	return at + (size_t)snprintf(frame + at, GDB_FRAME_MAX - at, "#%02x", sum);
}

bool gdb_take_hex(const char **text, uint64_t *value)
{
	const char *p = *text;

	*value = 0;
	for (; hex_digit(*p) < 16; p++) {
		if (*value >> 60)
			return false;
		*value = *value << 4 | hex_digit(*p);
	}
	if (p == *text)
		return false;
	*text = p;
	return true;
}

bool gdb_take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

bool gdb_take_bytes(const char **text, void *data, size_t len)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		int byte = hex_byte(*text);

		if (byte < 0)
			return false;
		bytes[i] = (uint8_t)byte;
		*text += 2;
	}
	return true;
}
