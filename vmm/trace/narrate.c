/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/narrate.h"

#include <string.h>

static const struct narrate_table *const tables[] = {
	&narrate_kvm,
	&narrate_arch,
	&narrate_tun,
	&narrate_vhost,
	&narrate_vdpa,
};

const struct narrate_entry *narrate_find(unsigned long request)
{
	for (unsigned t = 0; t < ARRAY_SIZE(tables); t++)
		for (unsigned i = 0; i < tables[t]->count; i++)
			if (tables[t]->entries[i].request == request)
				return &tables[t]->entries[i];
	return NULL;
}

static void narrate_open(struct text *out, const struct sys_event *event)
{
	text_add(out, "open: %s", (const char *)event->arg);
	if (event->result >= 0)
		text_add(out, " is fd %d", event->result);
}

static void narrate_note(struct text *out, const struct narration *n)
{
	const struct sys_event *event = n->event;
	static const char *const topics[] = {
		[SYS_TOPIC_INTERRUPT] = "interrupt",
		[SYS_TOPIC_DEVICE] = "virtio",
		[SYS_TOPIC_QUEUE] = "virtio",
		[SYS_TOPIC_PHASE] = "run",
		[SYS_TOPIC_MOVE] = "migration",
	};

	text_add(out, "%s: ", topics[event->topic]);
	if (event->topic == SYS_TOPIC_INTERRUPT) {
		text_add(out, "Kinglet signals ");
		fd_names_add(n->names, event->fd, out);
		text_add(out, ": ");
	}
	text_add(out, "%s", (const char *)event->arg);
}

static void narrate_ioctl(struct text *out, const struct narration *n,
			  const struct narrate_entry *entry)
{
	if (!entry) {
		text_add(out, "ioctl 0x%lx on ", n->event->request);
		fd_names_add(n->names, n->event->fd, out);
		return;
	}
	text_add(out, "%s: ", entry->name);
	narrate_text(out, n, entry->text);
	if (entry->say)
		entry->say(out, n);
	if (entry->answer && n->event->result >= 0)
		entry->answer(out, n);
}

void narrate_event(struct text *out, const struct narration *n, const struct narrate_entry *entry)
{
	switch (n->event->kind) {
	case SYS_RUN:
		narrate_exit(out, n);
		return;
	case SYS_NOTE:
		narrate_note(out, n);
		return;
	case SYS_OPEN:
		narrate_open(out, n->event);
		break;
	case SYS_WRITE:
		narrate_message(out, n);
		break;
	case SYS_IOCTL:
		narrate_ioctl(out, n, entry);
		break;
	}
	if (n->event->result < 0)
		text_add(out, ": refused: %s", strerror(-n->event->result));
}
