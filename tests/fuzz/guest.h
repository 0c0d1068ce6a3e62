/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For targets with virtio devices on the PCI transport: a machine, and a guest that initialises the
 * devices fully, partly or wrongly, fills their rings with garbage, and resets and moves them at
 * any time. A target adds the devices, and further actions of its guest or host.
 */
#ifndef KINGLET_TESTS_FUZZ_GUEST_H
#define KINGLET_TESTS_FUZZ_GUEST_H

#include "fuzz.h"
#include "pci_rig.h"
#include "virtio/virtio.h"

enum { FUZZ_DEVICES = 6, FUZZ_RAM_END = 0xc0000 };

struct fuzz_guest {
	struct pci_rig rig;
	struct gmem mem; /* kept from input to input, but cleared */
	bool shared;	 /* set before the first time: RAM is, as daemons need it */
	struct virtio_env env;
	struct virtio_dev *devs[FUZZ_DEVICES]; /* owned by the bus; in slot 1 + index */
	unsigned count;
};

/* An empty machine. Zero *g but for `shared` before the first time. */
void fuzz_guest_init(struct fuzz_guest *g);
/* The next device, on the bus, which then owns it. Its queues are bound. */
void fuzz_guest_add(struct fuzz_guest *g, struct virtio_dev *dev);
void fuzz_guest_destroy(struct fuzz_guest *g);

/* One thing that a guest may do to any device and queue. */
void fuzz_guest_step(struct fuzz_guest *g, struct fuzz_input *in, unsigned which, unsigned queue);

/* Checks invariants of every device after each step. */
void fuzz_guest_check(const struct fuzz_guest *g);

/* Parts, for requests of one kind of device. */
void fuzz_put(struct fuzz_guest *g, uint64_t gpa, const void *data, uint64_t len);
uint64_t fuzz_pick_buffer(struct fuzz_input *in);
void fuzz_write_desc(struct fuzz_guest *g, unsigned which, unsigned queue, unsigned index,
		     uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void fuzz_make_available(struct fuzz_guest *g, unsigned which, unsigned queue, uint16_t head);
void fuzz_kick(struct fuzz_guest *g, unsigned which, unsigned queue);
/* Serves the event loop for a bounded number of turns. */
void fuzz_dispatch(struct fuzz_guest *g);

#endif
