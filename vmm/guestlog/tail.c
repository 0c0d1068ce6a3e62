/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/tail.h"

#include <stdlib.h>
#include <string.h>

void tail_destroy(struct tail *tail)
{
	for (unsigned i = 0; i < TAIL_LINES; i++)
		free(tail->lines[i]);
	*tail = (struct tail){ 0 };
}

void tail_add(struct tail *tail, const char *line)
{
	char **slot = &tail->lines[tail->count++ % TAIL_LINES];

	free(*slot);
	*slot = strdup(line);
}

const char *tail_line(const struct tail *tail, unsigned index)
{
	unsigned kept = tail->count < TAIL_LINES ? tail->count : TAIL_LINES;
	const char *line;

	if (index >= kept)
		return NULL;
	line = tail->lines[(tail->count - kept + index) % TAIL_LINES];
	return line ? line : "";
}
