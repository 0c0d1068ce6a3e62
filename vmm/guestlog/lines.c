/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/lines.h"

#include "base/utf8.h"

/* ECMA-48: ESC [ … final; ESC ] … BEL or ESC \; ESC and one more character. */
enum { TEXT, AFTER_ESC, IN_CSI, IN_OSC };
enum { BEL = 0x07, ESC = 0x1b };

bool console_filter_byte(struct console_filter *filter, uint8_t c)
{
	if (c == '\n') {
		filter->state = TEXT;
		return false;
	}
	if (c == ESC) {
		filter->state = AFTER_ESC;
		return false;
	}
	switch (filter->state) {
	case AFTER_ESC:
		filter->state = c == '[' ? IN_CSI : c == ']' ? IN_OSC : TEXT;
		return false;
	case IN_CSI:
		if (c >= 0x40 && c <= 0x7e)
			filter->state = TEXT;
		return false;
	case IN_OSC:
		if (c == BEL)
			filter->state = TEXT;
		return false;
	default:
		return c >= ' ' && c != 0x7f;
	}
}

static const char *clean(struct console_lines *lines)
{
	utf8_clean(lines->text, sizeof(lines->text), lines->raw, lines->len);
	return lines->text;
}

static const char *take(struct console_lines *lines)
{
	const char *text = clean(lines);

	lines->len = 0;
	lines->grown = false;
	return text;
}

const char *console_lines_feed(struct console_lines *lines, uint8_t c)
{
	bool seen = console_filter_byte(&lines->filter, c);
	const char *before = NULL;

	if (c == '\n') {
		lines->returned = false;
		return take(lines);
	}
	if (c == '\r')
		lines->returned = true;
	/* A tab moves on: it parts words. */
	if (!seen && (c != '\t' || lines->filter.state != TEXT))
		return NULL;
	if (lines->returned && lines->len)
		before = take(lines);
	lines->returned = false;
	lines->raw[lines->len++] = (char)c;
	lines->grown = true;
	return lines->len == sizeof(lines->raw) ? take(lines) : before;
}

const char *console_lines_partial(struct console_lines *lines)
{
	if (!lines->grown)
		return NULL;
	lines->grown = false;
	return clean(lines);
}

const char *console_lines_end(struct console_lines *lines)
{
	return lines->len ? take(lines) : NULL;
}
