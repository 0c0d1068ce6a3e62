/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/snapshot_on.h"

#include <string.h>

static int begin(void *owner, const struct machine_parts *parts)
{
	struct snapshot_on *on = owner;

	on->parts = parts;
	return 0;
}

const struct machine_observer_ops snapshot_on_ops = {
	.begin = begin,
};

static bool line(void *owner, enum guest_stream stream, const char *text, bool whole,
		 struct verdict *end)
{
	const struct snapshot_on *on = owner;

	(void)stream;
	(void)whole;
	(void)end;
	if (strstr(text, on->text))
		on->parts->ops->save_soon(on->parts->vm);
	return false;
}

struct line_listener snapshot_on_listener(struct snapshot_on *on)
{
	return (struct line_listener){ .line = line, .owner = on };
}
