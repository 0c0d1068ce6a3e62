/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/tail.h"

#include <stdlib.h>
#include <string.h>

void console_tail_destroy(struct console_tail *tail)
{
	for (unsigned i = 0; i < CONSOLE_TAIL_LINES; i++)
		free(tail->lines[i]);
	*tail = (struct console_tail){ 0 };
}

void console_tail_add(struct console_tail *tail, const char *line)
{
	char **slot = &tail->lines[tail->count++ % CONSOLE_TAIL_LINES];

	free(*slot);
	*slot = strdup(line);
}

const char *console_tail_line(const struct console_tail *tail, unsigned index)
{
	unsigned kept = tail->count < CONSOLE_TAIL_LINES ? tail->count : CONSOLE_TAIL_LINES;
	const char *line;

	if (index >= kept)
		return NULL;
	line = tail->lines[(tail->count - kept + index) % CONSOLE_TAIL_LINES];
	return line ? line : "";
}
