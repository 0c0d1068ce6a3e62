/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/lines.h"

#include "base/utf8.h"

#include <string.h>

/* ECMA-48: ESC [ … final; ESC ] … BEL or ESC \; ESC and one more character. */
enum { TEXT, AFTER_ESC, IN_CSI, IN_OSC };
enum { BEL = 0x07, ESC = 0x1b };

/* A newline ends every escape sequence, so that one cut short cannot hide what follows. */
static enum lines_byte classify(struct lines *lines, uint8_t c)
{
	unsigned state = lines->escape;

	if (c == '\n') {
		lines->escape = TEXT;
		return LINES_NEWLINE;
	}
	if (c == ESC)
		lines->escape = AFTER_ESC;
	else if (state == AFTER_ESC)
		lines->escape = c == '[' ? IN_CSI : c == ']' ? IN_OSC : TEXT;
	else if ((state == IN_CSI && c >= 0x40 && c <= 0x7e) || (state == IN_OSC && c == BEL))
		lines->escape = TEXT;
	else if (state == TEXT && ((c >= ' ' && c != 0x7f) || c == '\t'))
		return LINES_CHARACTER;
	return LINES_HIDDEN;
}

static const char *clean(struct lines *lines)
{
	utf8_clean(lines->text, sizeof(lines->text), lines->raw + lines->start,
		   lines->len - lines->start);
	lines->grown = false;
	return lines->text;
}

/* `kept`: characters of it that stay before the next one. */
static const char *take(struct lines *lines, size_t kept)
{
	const char *text = clean(lines);

	kept = kept < lines->len ? kept : lines->len;
	memmove(lines->raw, lines->raw + lines->len - kept, kept);
	lines->start = lines->len = kept;
	return text;
}

const char *lines_feed(struct lines *lines, uint8_t c)
{
	const char *before = NULL;

	lines->last = classify(lines, c);
	if (lines->last == LINES_NEWLINE) {
		lines->returned = false;
		return take(lines, 0);
	}
	if (c == '\r')
		lines->returned = true;
	if (lines->last == LINES_HIDDEN)
		return NULL;
	if (lines->returned && lines->len > lines->start)
		before = take(lines, LINE_KEPT);
	lines->returned = false;
	/* A tab moves on: it parts words. */
	lines->raw[lines->len++] = (char)(c == '\t' ? ' ' : c);
	lines->grown = true;
	return lines->len - lines->start == LINE_MAX_LEN ? take(lines, LINE_KEPT) : before;
}

const char *lines_partial(struct lines *lines)
{
	return lines->grown ? clean(lines) : NULL;
}

const char *lines_end(struct lines *lines)
{
	return lines->len > lines->start ? take(lines, 0) : NULL;
}
