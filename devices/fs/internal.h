/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KINGLET_FS_INTERNAL_H
#define KINGLET_FS_INTERNAL_H

#include "devices/fs.h"

/* A daemon that is Kinglet's own: as in struct vhost_user_device_options. */
struct fs_daemon {
	const char *unsaved, *final;
	int fd;
	void (*gone)(void *owner);
	void *owner;
};

/* daemon: NULL, it is the user's. Errors of vhost_user_device_new(). */
__must_check int fs_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			const struct fs_config *fs, const struct fs_daemon *daemon);

#endif
