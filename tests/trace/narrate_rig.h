/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the narration: fds with names, two buses with a device each, and the narration of an
 * event.
 */
#ifndef KINGLET_TESTS_NARRATE_RIG_H
#define KINGLET_TESTS_NARRATE_RIG_H

#include "core/kvm.h"
#include "trace/narrate.h"
#include "unit.h"

#include <string.h>

struct rig {
	struct fd_names names;
	struct bus pio, mmio;
	struct bus_region com1, bar;
	struct narration n;
	struct sys_event event;
	char said[600];
};

static inline uint64_t nothing_read(void *owner, uint64_t off, unsigned size)
{
	(void)owner;
	(void)off;
	(void)size;
	return 0;
}

static inline void nothing_written(void *owner, uint64_t off, uint64_t value, unsigned size)
{
	(void)owner;
	(void)off;
	(void)value;
	(void)size;
}

static inline void describe(void *owner, uint64_t off, struct text *out)
{
	(void)owner;
	if (off)
		text_add(out, "register %u", (unsigned)off);
}

static const struct bus_ops ops = {
	.read = nothing_read, .write = nothing_written, .describe = describe
};

static inline int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (!r)
		return -1;
	r->com1 = (struct bus_region){ .base = 0x3f8, .len = 8, .ops = &ops, .name = "COM1" };
	r->bar = (struct bus_region){
		.base = 0xc0000000, .len = 0x8000, .ops = &ops, .name = "virtio-net 0"
	};
	if (fd_names_init(&r->names) || bus_init(&r->pio) || bus_init(&r->mmio) ||
	    bus_add(&r->pio, &r->com1) || bus_add(&r->mmio, &r->bar))
		return -1;
	fd_names_set(&r->names, 7, "vCPU 0");
	fd_names_set(&r->names, 17, "kick of queue 0 of virtio-net 0 at 00:03.0");
	fd_names_set(&r->names, 20, "/dev/vhost-net");
	fd_names_set(&r->names, 21, "tap tap0");
	r->n = (struct narration){
		.event = &r->event, .names = &r->names, .pio = &r->pio, .mmio = &r->mmio
	};
	*state = r;
	return 0;
}

static inline int teardown(void **state)
{
	struct rig *r = *state;

	bus_destroy(&r->pio);
	bus_destroy(&r->mmio);
	fd_names_destroy(&r->names);
	free(r);
	return 0;
}

/* The narration of an ioctl on an fd; it also learns from it. */
static inline const char *said(struct rig *r, int fd, unsigned long request, const void *arg,
			       int result)
{
	const struct narrate_entry *entry = narrate_find(request);
	struct text out = text_of(r->said, sizeof(r->said));

	r->event = (struct sys_event){
		.kind = SYS_IOCTL, .fd = fd, .request = request, .arg = arg, .result = result
	};
	narrate_event(&out, &r->n, entry);
	if (entry && entry->learn && result >= 0)
		entry->learn(&r->n);
	return r->said;
}

#endif
