/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake of the kernel's vhost, behind the hook of a fake_sys: it records its ioctls, refuses what
 * drivers/vhost refuses, and has a worker that processes the rings once they are switched on
 * (VHOST_NET_SET_BACKEND for a ring, VHOST_VSOCK_SET_RUNNING or VHOST_SCSI_SET_ENDPOINT for all).
 * It echoes data, and logs its writes if it is told to, bit by bit as the kernel does. The worker runs in the event loop, which the tests run anyway.
 *
 * It has its own ring code, so that it does not share Kinglet's mistakes.
 */
#ifndef KINGLET_TESTS_FAKE_VHOST_H
#define KINGLET_TESTS_FAKE_VHOST_H

#include "core/loop.h"
#include "core/memory.h"
#include "fake_sys.h"

#include <linux/vhost.h>
#include <sys/uio.h>

enum { FAKE_VHOST_RINGS = 8, FAKE_VHOST_IOV = 64 };

struct fake_vhost;

struct fake_vring {
	struct fake_vhost *kernel;
	unsigned poll_us;
	unsigned num, base; /* base: the next available entry to take */
	struct vhost_vring_addr addr;
	int err, call, kick, backend; /* -1: none */
	uint16_t used;
	bool walked;		 /* kick is in the loop */
	struct loop_event event; /* the kick, as lent */
};

struct fake_vhost {
	struct loop *loop; /* borrowed; NULL: no worker */
	bool owned;
	uint64_t supported, features;
	uint64_t log_base; /* VHOST_SET_LOG_BASE */
	/* struct vhost_memory, whose flexible array must come last in a struct. */
	struct {
		uint32_t nregions, padding;
	} memory;
	struct vhost_memory_region regions[GMEM_MAX_SLOTS];
	struct fake_vring rings[FAKE_VHOST_RINGS];
	/* Called for each write to guest memory; NULL is allowed. */
	void (*wrote)(void *owner, const void *hva, uint64_t len);
	void *owner;
	/* ioctls that the kernel would refuse in any case, or that mix up a running ring */
	unsigned refusals;
};

void fake_vhost_init(struct fake_vhost *kernel, struct loop *loop, uint64_t supported);

/* For fake_sys.hook: answers vhost's ioctls, and passes all others. */
int fake_vhost_ioctl(struct fake_vhost *kernel, unsigned long request, void *arg);

/* Rings that are switched on. */
unsigned fake_vhost_running(const struct fake_vhost *kernel);

#endif
