/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger's connection: frames, acknowledgements, attach and detach. */
#include "internal.h"

int gdb_new(struct gdb **out, const struct gdb_options *options)
{
	struct gdb *gdb = calloc(1, sizeof(*gdb));

	*out = gdb;
	if (!gdb)
		return -ENOMEM;
	gdb->options = *options;
	gdb->vcpus = calloc(options->parts->vcpu_count, sizeof(*gdb->vcpus));
	if (!gdb->vcpus) {
		gdb_free(gdb);
		*out = NULL;
		return -ENOMEM;
	}
	arch_debug_describe(gdb->target, sizeof(gdb->target));
	gdb->running = !options->wait;
	for (unsigned i = 0; i < options->parts->vcpu_count; i++) {
		gdb->vcpus[i].running = gdb->running;
		gdb->vcpus[i].action = GDB_RUN;
		if (options->wait)
			vcpu_pause(gdb_vcpu(gdb, i));
	}
	return 0;
}

void gdb_free(struct gdb *gdb)
{
	if (!gdb)
		return;
	free(gdb->vcpus);
	free(gdb);
}

static void acknowledge(struct gdb *gdb, char how)
{
	if (!gdb->no_ack)
		gdb->options.ops->send(gdb->options.owner, &how, 1);
}

static void take_packet(struct gdb *gdb)
{
	struct gdb_reply reply = { .len = 0 };

	acknowledge(gdb, '+');
	if (gdb_obey(gdb, &reply))
		gdb_send(gdb, &reply);
}

void gdb_attach(struct gdb *gdb)
{
	gdb_stop(gdb);
	gdb->attached = true;
	gdb->no_ack = false;
	gdb->tells_breaks = false;
	gdb->frame_len = 0;
	gdb->parser = (struct gdb_parser){ .len = 0 };
	gdb_set_stop(gdb, 0, GDB_SIGTRAP, "");
}

bool gdb_holds(const struct gdb *gdb)
{
	return gdb->attached || !gdb->running;
}

void gdb_take(struct gdb *gdb, uint8_t byte)
{
	if (!gdb->attached)
		return;
	switch (gdb_parser_take(&gdb->parser, byte)) {
	case GDB_MORE:
		break;
	case GDB_PACKET:
		take_packet(gdb);
		break;
	case GDB_BROKEN:
		acknowledge(gdb, '-');
		break;
	case GDB_AGAIN:
		if (!gdb->no_ack)
			gdb->options.ops->send(gdb->options.owner, gdb->frame, gdb->frame_len);
		break;
	case GDB_INTERRUPT:
		gdb_interrupt(gdb, GDB_SIGINT);
		break;
	}
}

void gdb_hang_up(struct gdb *gdb)
{
	if (gdb->attached)
		gdb_let_go(gdb);
}

void gdb_ended(struct gdb *gdb, int status)
{
	struct gdb_reply reply = { .len = 0 };

	if (!gdb->attached || !gdb->running)
		return;
	gdb_reply_format(&reply, "W%02x", (unsigned)status & 0xff);
	gdb_send(gdb, &reply);
}
