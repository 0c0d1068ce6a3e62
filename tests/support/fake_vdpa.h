/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake vDPA device and its vhost-vdpa node, behind the hook of a fake_sys: a fake_vhost walks its
 * rings, by guest-physical addresses that its IOTLB has, from DRIVER_OK until a reset. It refuses
 * what the kernel and the simulated devices of Linux 6.1 refuse: they want ACCESS_PLATFORM, and a
 * reset takes their maps, while the node keeps its own.
 */
#ifndef KINGLET_TESTS_FAKE_VDPA_H
#define KINGLET_TESTS_FAKE_VDPA_H

#include "fake_vhost.h"

enum { FAKE_VDPA_CONFIG = 24, FAKE_VDPA_MAPS = 16 };

struct fake_vdpa {
	struct fake_vhost vhost; /* what was refused: its refusals */
	/* What it is; may be set before it is opened. */
	uint64_t backend_features;
	uint32_t id, queues, config_len;
	uint16_t queue_size;
	struct vhost_vdpa_iova_range range;
	bool refuses_features; /* FEATURES_OK does not stay */
	int map_errno;	       /* of each UPDATE; 0: none */
	uint8_t config[FAKE_VDPA_CONFIG];
	/* What was set. */
	uint64_t acked, acked_backend;
	uint8_t status;
	bool in_batch, suspended;
	int changed; /* of SET_CONFIG_CALL */
	struct vhost_vring_addr addr[FAKE_VHOST_RINGS];
	bool enabled[FAKE_VHOST_RINGS];
	struct vhost_iotlb_msg maps[FAKE_VDPA_MAPS];
	unsigned map_count;
	unsigned resets;
};

/* A device like vdpa_sim's, with these features and ACCESS_PLATFORM. */
void fake_vdpa_init(struct fake_vdpa *vdpa, struct loop *loop, uint64_t features);

/* For fake_sys.hook: answers ioctls and messages, and passes all others. */
int fake_vdpa_ioctl(struct fake_vdpa *vdpa, unsigned long request, void *arg);

#endif
