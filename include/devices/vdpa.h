/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any virtio device that a vDPA device of the host is: its kind, queues, features and configuration
 * space, a network card's address among them, are what the device says (backend/vhost_vdpa.h).
 */
#ifndef KINGLET_DEVICES_VDPA_H
#define KINGLET_DEVICES_VDPA_H

#include "devices/kind.h"

struct vdpa_config {
	const char *node; /* /dev/vhost-vdpa-N; outlives the device */
};

extern const struct device_kind vdpa_kind;

#endif
