/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device that a vDPA device is, with all its queues (backend/vhost_vdpa.h). */
#ifndef KINGLET_BACKEND_VHOST_VDPA_DEVICE_H
#define KINGLET_BACKEND_VHOST_VDPA_DEVICE_H

#include "backend/vhost_vdpa.h"

/*
 * Opens the node at `path`, which outlives the device, and makes what it is, bound to it. Logs on
 * failure; errors of vhost_vdpa_open() and vhost_vdpa_bind(); -EINVAL: it has too many queues.
 */
__must_check int vhost_vdpa_device_new(struct virtio_dev **out, const struct virtio_env *env,
				       unsigned instance, const char *path);

#endif
