/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues run by the kernel's vhost: what vhost-net, vhost-scsi and vhost-vsock have in common
 * (linux/vhost.h).
 *
 *   open      /dev/vhost-* or an inherited fd → SET_OWNER → GET_FEATURES (kept)
 *   start     SET_FEATURES (acked only) → SET_MEM_TABLE → per ring NUM, BASE, ADDR, ERR, CALL, KICK
 *             → the kind's own switch (NET_SET_BACKEND, SCSI_SET_ENDPOINT, VSOCK_SET_RUNNING)
 *   stop      switch off → per ring KICK, CALL, ERR unbound → GET_VRING_BASE
 *   log on    SET_LOG_BASE → SET_FEATURES with LOG_ALL → per ring ADDR with its used ring's guest
 *             address; off is the same without. A start while it is on has these in their places
 *
 * The start is at DRIVER_OK, never earlier; RESET_OWNER is never used, nor is SET_BACKEND_FEATURES,
 * because all its bits concern an IOMMU, which is not offered here. While a ring runs, the guest's
 * kick is an ioeventfd that vhost polls and its call is the queue's irq_line: no thread of Kinglet
 * wakes. Only the error eventfd wakes Kinglet: it marks the device NEEDS_RESET.
 *
 * Locking: start and stop run under the device's lock; guest RAM may change at any time, but never
 * under that lock; everything else on the machine's thread.
 */
#ifndef KINGLET_BACKEND_VHOST_H
#define KINGLET_BACKEND_VHOST_H

#include "core/memory.h"
#include "core/node.h"
#include "core/sys.h"
#include "virtio/virtio.h"

struct vhost;

/* What differs between those that run rings. Everything else is done once, above it. Locked. */
struct vhost_ops {
	/*
	 * Does a request of linux/vhost.h, whose numbers and arguments all of them have equivalents
	 * for: >= 0, or a negative errno, not logged.
	 */
	int (*request)(struct vhost *vhost, const struct sys_site *site, unsigned long request,
		       void *arg);
	/* The bound rings are set up: let them run. On failure none runs. */
	int (*run)(struct vhost *vhost);
	/* On return no ring is used any more. */
	void (*halt)(struct vhost *vhost);
	/* Requests follow that change the memory or the log of one that may run. NULL: so be it. */
	void (*changes)(struct vhost *vhost);
	/*
	 * Logs why a request has failed, if the errno alone does not tell, and says whether it did.
	 * NULL: it does.
	 */
	bool (*explain)(const struct vhost *vhost, unsigned long request, int ret);
};

/* One kind of vhost device: const, one per file. */
struct vhost_kind {
	struct backend_ops ops; /* vhost_start, vhost_stop, vhost_destroy */
	struct vhost_ops vhost;
	struct device_node node; /* of the kernel's */
	/*
	 * Its write log has the buffers that it fills. vhost-scsi (of Linux 6.1) and
	 * vhost-vsock offer VHOST_F_LOG_ALL, but log their used rings only: while a log is on,
	 * chains of such a kind come back by way of this process, which notes their buffers.
	 */
	bool logs_data;
};

struct vhost_relay;

struct vhost_ring {
	struct vhost *vhost;
	struct virtq *q;	 /* borrowed */
	struct loop_event error; /* eventfd, owned */
	/*
	 * vhost has, or may have, our eventfds. q->running is no substitute: the queue may belong
	 * to another backend now.
	 */
	bool bound;
	uint16_t lag; /* of vhost_user: available minus used index when it started; else 0 */
	struct vhost_relay *relay; /* owned; NULL before the first log that needs it */
};

/* Which pages have been written. Private to vhost*.c, locked. */
struct vhost_log {
	uint64_t *words; /* owned; by guest-physical page, from 0; others set bits in it */
	uint64_t count;	 /* of words */
	int fd;		 /* owned, with words: their memfd */
	bool on;
};

/* struct vhost_memory with room for every slot; opaque here, linux/vhost.h stays in .c files. */
struct vhost_table;

struct vhost {
	struct backend backend;
	const struct vhost_kind *kind;
	struct sys *sys; /* borrowed */
	int fd;		 /* owned */
	uint64_t features; /* what the kernel's vhost offers */
	struct virtio_dev *dev; /* borrowed; NULL until bound */
	struct gmem_listener listener;
	struct vhost_table *table; /* owned */
	struct vhost_log log;
	struct vhost_ring *rings;  /* owned */
	unsigned ring_count;
	bool relays; /* this process passes the rings' entries on: vhost_relay.c */
	bool started;
};

/*
 * Opens the kind's node, or takes over an inherited `fd` of it if >= 0 (also on failure), becomes
 * its owner and gets its features. Logs one line that says what is missing: a warning if it is
 * `optional`, because the caller then uses another backend. -ENOENT or -ENODEV without the module,
 * -EACCES, -EBADF for an fd that was not inherited, -EBUSY for one that has an owner, and errors of
 * the ioctls.
 */
__must_check int vhost_open(struct vhost *vhost, const struct vhost_kind *kind, struct sys *sys,
			    int fd, bool optional);

/*
 * Binds queues [first, first + count) of dev, which owns the vhost from then on, also on failure:
 * the vhost's own ring 0 is the first of them. From now on the memory table follows guest RAM. A
 * queue that the model later binds elsewhere is left alone. Logs on failure. -ENOMEM, errors of
 * eventfd(2).
 */
__must_check int vhost_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned first,
			    unsigned count);

/* Closes everything; idempotent. Stopped, or never bound. */
void vhost_close(struct vhost *vhost);
/* The same, and frees the memory that begins with it. */
void vhost_free(struct vhost *vhost);

/* backend_ops.start, .stop and .destroy, which is vhost_free() */
__must_check int vhost_start(struct backend *backend, struct virtio_dev *dev);
void vhost_stop(struct backend *backend, struct virtio_dev *dev);
void vhost_destroy(struct backend *backend);

/* Whether a failure may still be logged: the limit is that of the device's complaints. */
bool vhost_may_log(const struct vhost *vhost);

/* vhost_ops.request: >= 0, or a negative errno, logged with the request's name. */
#define vhost_request(vhost, request, arg)                                                         \
	vhost_request_from(vhost, SYS_HERE, request, #request, arg)
__must_check int vhost_request_from(struct vhost *vhost, const struct sys_site *site,
				    unsigned long request, const char *name, void *arg);

/* vhost_ops.request of the kernel's kinds: an ioctl on the vhost fd. */
__must_check int vhost_ioctl(struct vhost *vhost, const struct sys_site *site,
			     unsigned long request, void *arg);

#endif
