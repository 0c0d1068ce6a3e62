/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of vhost_vdpa*.c. */
#ifndef KINGLET_BACKEND_VHOST_VDPA_PRIVATE_H
#define KINGLET_BACKEND_VHOST_VDPA_PRIVATE_H

#include "backend/vhost_vdpa.h"
#include "vhost_internal.h"

struct vhost_vdpa {
	struct vhost vhost; /* first: vhost_free() */
	const char *path;
	struct vhost_vdpa_info info;
	uint64_t backend_features;
	uint64_t own_features; /* acknowledged for the driver, which is not offered them */
	struct vhost_vdpa_iova_range range;
	struct gmem_range maps[GMEM_MAX_SLOTS]; /* guest RAM that is mapped */
	unsigned map_count;
	bool live; /* DRIVER_OK is, or was, set since the last reset */
	bool suspended;
	struct loop_event changed; /* eventfd, owned: the configuration space; -1: none */
	uint8_t config[VHOST_VDPA_CONFIG_MAX];
};

static inline struct vhost_vdpa *vdpa_of(const struct vhost *vhost)
{
	return container_of(vhost, struct vhost_vdpa, vhost);
}

/*
 * Makes the device's maps those of the memory table, at a start or while it runs. -ERANGE, -EINVAL
 * for RAM that it cannot reach, errors of write(2) for what the kernel refuses; then some of RAM is
 * not mapped.
 */
__must_check int vdpa_map(struct vhost_vdpa *vdpa);

/* Unmaps all, after a reset; idempotent. After an error of write(2) the rest is to be tried again. */
__must_check int vdpa_unmap(struct vhost_vdpa *vdpa);

/* Logs why vdpa_map() failed. */
void vdpa_explain_map(const struct vhost_vdpa *vdpa, int ret);

#endif
