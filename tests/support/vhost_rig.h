/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device whose two rings a fake vhost-net runs, which sends back what the driver sends, and
 * logs what it writes if it is told to.
 */
#ifndef KINGLET_TESTS_VHOST_RIG_H
#define KINGLET_TESTS_VHOST_RIG_H

#include "core/dirty.h"
#include "devices/vhost_net.h"
#include "fake_vhost.h"
#include "mock_ring.h"

enum { RINGS = 2, SIZE = 8, TAP_FD = 1234, PAGE = 4096, MAX_SEEN = 16 };

#define BIT(n) (1ULL << (n))

struct vhost_rig {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct mock_ring rings[RINGS];
	struct vhost *vhost;
	struct vhost_kind kind;
	struct fake_vhost kernel;
	struct gmem_kvm memslots;
	struct dirty_log log;
	unsigned long refused; /* fails with EIO */
	uint64_t offered;
	uint64_t out;	       /* GPA of the data that is sent back */
	uint64_t seen[MAX_SEEN]; /* by vhost_rig_read_log() */
	unsigned seen_count;
};

/* The device offers features, the kernel has `more`; it may log the rings, but no data. */
struct vhost_rig *vhost_rig_new(uint64_t offered, uint64_t more, bool logs_data);
/* Returns what fake_vhost counted: requests that vhost's rules forbid. */
unsigned vhost_rig_free(struct vhost_rig *rig);

/* The driver starts the device. The worker looks at both rings, and notes in them that it did. */
void vhost_rig_start(struct vhost_rig *rig);

/* The next round of the log. */
void vhost_rig_read_log(struct vhost_rig *rig);

uint64_t page_of(uint64_t gpa);

#endif
