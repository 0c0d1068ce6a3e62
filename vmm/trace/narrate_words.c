/* SPDX-License-Identifier: Apache-2.0 */
/* What sentences of all kinds are made of. */
#include "trace/narrate.h"

#include <stdio.h>

void narrate_text(struct text *out, const struct narration *n, const char *text)
{
	for (; *text; text++) {
		if (*text == '@')
			fd_names_add(n->names, n->event->fd, out);
		else if (*text == '#')
			text_add(out, "fd %d", n->event->fd);
		else
			text_add_char(out, *text);
	}
}

void narrate_number_result(struct text *out, const struct narration *n)
{
	text_add(out, ": %d", n->event->result);
}

void narrate_fd_result(struct text *out, const struct narration *n)
{
	text_add(out, "; it is fd %d", n->event->result);
}

void narrate_place(struct text *out, struct bus *bus, uint64_t addr)
{
	char buf[64];
	struct text place = text_of(buf, sizeof(buf));

	if (!bus || !bus_describe(bus, addr, out, &place))
		text_add(out, "no device");
	if (place.len)
		text_add(out, " (%s)", buf);
}

void narrate_number(struct text *out, uint64_t number)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);

	for (int i = 0; i < len; i++)
		text_add(out, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
}
