/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device that a vhost-user daemon is, with all its queues (backend/vhost_user.h). */
#ifndef KINGLET_BACKEND_VHOST_USER_DEVICE_H
#define KINGLET_BACKEND_VHOST_USER_DEVICE_H

#include "backend/vhost_user.h"

/* For a kind's row of options. */
#define VHOST_USER_RECONNECT                                                                       \
	.name = "reconnect", .metavar = "SECONDS", .kind = OPTION_NUMBER, .min = 1, .max = 3600,   \
	.initial = "1", .help = "with vhost-user: between attempts to reach a daemon that has ended"

struct vhost_user_device_options {
	const char *model;  /* "virtio-blk" */
	uint16_t id;	    /* VIRTIO_ID_* */
	uint32_t pci_class;
	const char *path;   /* of the daemon's socket; outlives the device */
	unsigned queues;    /* of the device; 0: as many as the daemon's space says */
	uint16_t queue_size;
	unsigned config_len; /* bytes of configuration space, at most 256 */
	const void *config;  /* it, or NULL: the daemon's */
	/* Where their number, 16 bits, is in the daemon's space if it offers this feature; else 1. */
	unsigned queues_at, queues_feature;
	uint64_t withheld;   /* features of the daemon that the driver is not offered */
	/*
	 * Why a machine with it cannot be saved: the daemon keeps what the guest relies on. NULL: it
	 * keeps nothing but what its space says, and it is the same to the one that loads.
	 */
	const char *unsaved;
	uint64_t patience_ns; /* as in struct vhost_user_options, as are these */
	unsigned reconnect;
	const char *final;
	int fd;
	/* The device is destroyed, and the connection closed. Both may be NULL. */
	void (*gone)(void *owner);
	void *owner;
};

/*
 * Connects to the daemon and makes the device, bound to it. Logs on failure; errors of
 * vhost_user_open(); -EINVAL: the daemon serves fewer queues than asked for, or none.
 */
__must_check int vhost_user_device_new(struct virtio_dev **out, const struct virtio_env *env,
				       unsigned instance,
				       const struct vhost_user_device_options *options);

/* What is saved of each: for the state_tables of its kind. */
extern const struct state_table vhost_user_device_table;

/*
 * For --dry-run: whether a socket is at `path`, which is not connected to: a daemon may end with its
 * first connection. -ENOENT, -EINVAL, errno of stat(2), logged.
 */
__must_check int vhost_user_check(const char *path);

/* -EINVAL, logged, if both are the same socket: a daemon serves one device. NULL: of none. */
__must_check int vhost_user_conflict(const char *a, const char *b);

#endif
