/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio device core (virtio 1.2 §2, §3): status machine, feature negotiation, reset. It knows
 * neither PCI nor the backends' kinds.
 *
 *   transport (pci.c) ──calls──▶ core ──calls──▶ model (net, blk, …: features, config space)
 *                                     ──calls──▶ backend of each queue (local, vhost, …)
 *
 * Locking: `lock` is the device's one mutex. The transport takes it around guest accesses, backends
 * around their work; everything below expects it held unless it says otherwise.
 */
#ifndef KINGLET_VIRTIO_VIRTIO_H
#define KINGLET_VIRTIO_VIRTIO_H

#include "core/loop.h"
#include "core/state.h"
#include "virtio/queue.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdatomic.h>

struct virtio_dev;

enum { VIRTIO_STATS_MAX = 16 };

/* A name has lower-case letters, digits and underscores; sizes are in bytes. */
struct virtio_stat {
	const char *name;
	uint64_t value;
};

/* What kind of device it is. Const, one per kind. */
struct virtio_model {
	const char *name; /* "virtio-net" */
	uint16_t id;	  /* VIRTIO_ID_* */
	uint32_t pci_class;
	/*
	 * Device configuration space (virtio 1.2 §2.5). off and len are inside config_len. A write
	 * to a read-only field is ignored. Either may be NULL.
	 */
	void (*config_read)(struct virtio_dev *dev, unsigned off, void *buf, unsigned len);
	void (*config_write)(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len);
	/*
	 * DRIVER_OK with the acked features, before any queue starts: prepare the host side (tap
	 * offloads). A failure marks the device NEEDS_RESET. May be NULL.
	 */
	int (*activate)(struct virtio_dev *dev);
	/*
	 * A queue of the local backend was kicked, or has just been started. Take chains until
	 * virtq_pop() returns 0, then enable kicks with virtq_enable_kicks(). A guest that keeps
	 * adding must not occupy the loop: after about q->state.size chains,
	 * eventfd_signal(q->kick_fd) and return, and the loop calls again. Loop thread.
	 */
	void (*serve)(struct virtio_dev *dev, struct virtq *q);
	/* After all queues stopped: clear what the driver set. May be NULL. */
	void (*reset)(struct virtio_dev *dev);
	/*
	 * Local queues are being stopped: returns when none of their requests is in flight any more
	 * (completed and pushed, or given back by virtq_unpop()). The same queues may be started
	 * again without a reset, and then nothing must be missing. May be NULL.
	 */
	void (*quiesce)(struct virtio_dev *dev);
	/* Frees the model's own resources and the device. Everything is stopped. */
	void (*destroy)(struct virtio_dev *dev);
	/*
	 * Sets what the guest's memory is to shrink by, in bytes. Locks. -EINVAL: it cannot. NULL
	 * for all but the balloon.
	 */
	int (*resize)(struct virtio_dev *dev, uint64_t bytes);
	/*
	 * Saves or loads what the model itself keeps, after the core's part; nothing is in flight.
	 * Locked. -EBADMSG: what is loaded does not fit; or the host's error; logged. May be NULL.
	 */
	int (*state)(struct virtio_dev *dev, struct state *state);
	/*
	 * The machine has been saved: puts what its driver takes for written onto stable storage.
	 * Machine's thread, locked. Errors of fdatasync(2), logged. May be NULL.
	 */
	int (*sync)(struct virtio_dev *dev);
	/*
	 * A machine that moves: what only one process at a time may have of its storage (a lock, a
	 * target) is wanted here; or it is for the other one from here on, with all that was
	 * written. Between the two the device stands still; both are idempotent. Machine's thread,
	 * locked. -EBUSY, not logged: another process has it; or others of the host, logged. It is
	 * given up in any case. May be NULL.
	 */
	int (*own)(struct virtio_dev *dev, bool here);
	/*
	 * The machine was restored, perhaps on another host: tells the driver what that means for
	 * this device. Machine's thread, locked, after the thaw and before the vCPUs run. May be
	 * NULL.
	 */
	void (*restored)(struct virtio_dev *dev);
	/*
	 * --stats: logs what only this kind of device has to tell, if it has, in lines that begin
	 * with its name. Loop thread, not locked. May be NULL.
	 */
	void (*print_stats)(struct virtio_dev *dev);
	/*
	 * The same as numbers, for programs: returns how many it has set, at most
	 * VIRTIO_STATS_MAX. Loop thread, not locked. May be NULL.
	 */
	unsigned (*get_stats)(struct virtio_dev *dev, struct virtio_stat *stats);
};

/* Runs queues. One backend may run several queues of a device (vhost-net: a pair). */
struct backend_ops {
	const char *name; /* "local", "vhost-net" */
	/*
	 * Starts every queue of dev bound to this backend and enabled by the driver. Features and
	 * queue state are final. On error nothing is left started.
	 */
	int (*start)(struct backend *backend, struct virtio_dev *dev);
	/*
	 * On return nothing is in flight and state.last_avail of each queue is valid. Idempotent.
	 */
	void (*stop)(struct backend *backend, struct virtio_dev *dev);
	void (*destroy)(struct backend *backend);
};

struct backend {
	const struct backend_ops *ops;
};

struct virtio_transport;

/* What the core needs from the transport. */
struct virtio_transport_ops {
	/* Raise the configuration-change interrupt. */
	void (*config_changed)(struct virtio_transport *transport);
	/*
	 * Queues have started or stopped: register or remove their ioeventfds. Kicks reach kick_fd
	 * in any case, an ioeventfd only makes them cheap; so this cannot fail.
	 */
	void (*attach_kicks)(struct virtio_transport *transport);
	void (*detach_kicks)(struct virtio_transport *transport);
};

struct virtio_transport {
	const struct virtio_transport_ops *ops;
};

/* Is told when a device breaks, as often as the log is (VIRTIO_COMPLAINTS_MAX). */
struct virtio_watcher {
	/* Any thread, the device is locked; must not block. May be NULL. */
	void (*broken)(void *owner, const struct virtio_dev *dev, const char *reason);
	void *owner; /* borrowed */
};

struct virtio_dev {
	const struct virtio_model *model;
	struct virtio_transport *transport; /* borrowed; set by the transport, before any status */
	char name[32]; /* "virtio-blk 0", for messages */
	pthread_mutex_t lock;
	struct gmem *mem;   /* borrowed */
	struct loop *loop;  /* borrowed */
	uint64_t offered;   /* feature bits, VIRTIO_F_VERSION_1 always among them */
	uint64_t acked;
	uint8_t status;
	bool started; /* backends run */
	bool loaded;  /* and not yet thawed */
	bool dma_off; /* the device may not access guest memory */
	unsigned held; /* reasons of virtio_hold() */
	unsigned complaints; /* logged by virtio_broken() */
	/* virtio 1.2 §2.5.2: counts virtio_config_changed(); a reset does not make it repeat. */
	uint8_t config_generation;
	bool config_unread; /* it has changed, or the device broke, and it was not read since */
	unsigned config_len; /* bytes of device configuration space */
	struct virtq *queues; /* owned */
	unsigned queue_count;
	struct irq_line config_irq;
	struct virtio_watcher watcher;
	/* Its cost for this process, for --stats. Read without the lock. */
	_Atomic uint64_t guest_exits;  /* accesses to its BAR by vCPUs while DRIVER_OK was set */
	_Atomic uint64_t loop_wakeups; /* events of this device that the loop served */
};

static inline void virtio_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* What a device is made in; all borrowed. */
struct virtio_env {
	struct gmem *mem;
	struct loop *loop;
	struct irqs *irqs;
	struct sys *sys; /* for those that talk to a kernel's interface */
	struct virtio_watcher watcher;
	bool arrives; /* another process has its storage as yet: model->own() follows */
};

/*
 * Initialises *dev with `queue_count` queues of at most `max_size` entries, unbound. `relay` is set
 * by the transport later. Not locked. -ENOMEM, or errors of eventfd(2).
 */
__must_check int virtio_dev_init(struct virtio_dev *dev, const struct virtio_model *model,
				 const struct virtio_env *env, unsigned instance, uint64_t features,
				 unsigned config_len, unsigned queue_count, uint16_t max_size);
/*
 * Frees queues, lines and the backends that queues are bound to; the device must be reset. Called
 * by model->destroy, and on failures after virtio_dev_init(). Not locked.
 */
void virtio_dev_destroy(struct virtio_dev *dev);

/* Operations of the driver, called by the transport, locked. */
uint64_t virtio_offered(const struct virtio_dev *dev);
void virtio_ack_features(struct virtio_dev *dev, unsigned word, uint32_t value);
/* Writes device status by the rules of §3.1: may refuse FEATURES_OK, starts, resets on 0. */
void virtio_set_status(struct virtio_dev *dev, uint8_t status);
/* Stop everything started; status, features and queues as after power-on. */
void virtio_reset(struct virtio_dev *dev);
/*
 * Whether the device may access guest memory (PCI: bus mastering); initially it may. Losing this
 * clears DRIVER_OK, and getting it back does not restore it, because another kernel, which does not
 * know the old one's rings, may have set the bit: the driver must set DRIVER_OK again, or reset the
 * device first. DRIVER_OK set while access is off takes effect when it is on.
 */
void virtio_allow_dma(struct virtio_dev *dev, bool allowed);
void virtio_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len);
void virtio_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len);

/* The queue may be configured: selected, not yet enabled, and DRIVER_OK not yet set. */
bool virtio_queue_writable(const struct virtio_dev *dev, const struct virtq *q);

/*
 * The number of lines logged: a guest that keeps breaking its device must not fill the host's log.
 */
enum { VIRTIO_COMPLAINTS_MAX = 8 };

/*
 * The driver broke the rules or the host failed: sets DEVICE_NEEDS_RESET, stops the backends,
 * raises the config interrupt and logs `reason`, once per reset and at most VIRTIO_COMPLAINTS_MAX
 * times (§2.1.2). model->quiesce is called before it returns; a serve that calls it returns at
 * once.
 */
void virtio_broken(struct virtio_dev *dev, const char *reason);

/*
 * Ends a turn of model->serve: notifies the driver. `ret` is that of the last virtq_pop(): negative,
 * then the device is broken, for this reason; with 1, or when chains have arrived meanwhile, the
 * queue kicks itself, so that others have their turn first.
 */
void virtio_end_turn(struct virtq *q, int ret, const char *broken);

/*
 * For model->quiesce: what is in flight must be completed, because the driver waits for it on the
 * same rings later; else the rings are given up, and a reset must not take long.
 */
static inline bool virtio_resumes(const struct virtio_dev *dev)
{
	return (dev->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

/* The model changed its configuration space. */
void virtio_config_changed(struct virtio_dev *dev);

/* Why a device stands still. */
enum {
	VIRTIO_HELD_FROZEN = 1,	  /* virtio_freeze() */
	VIRTIO_HELD_SWITCHED = 2, /* its rings change hands: core/dirty.h, struct gmem_listener */
};

/*
 * Stops the backends of a running device without a change of its status, which stays the driver's:
 * nothing is in flight after it, guest memory is not accessed any more, and last_avail of each
 * queue is valid. A device for which that is not so (a failing vhost) is broken. Whatever the driver
 * does, nothing starts before all reasons are released. Kicks meanwhile are lost, and made up for by
 * the start; one that fails makes the device broken. Both are idempotent.
 */
void virtio_hold(struct virtio_dev *dev, unsigned reason);
void virtio_release(struct virtio_dev *dev, unsigned reason);

/* Holds the device, with all vCPUs parked. Machine's thread; not locked, as the next. */
void virtio_freeze(struct virtio_dev *dev);
/*
 * After virtio_freeze(), or after virtio_state() has loaded into a fresh device: starts again what
 * should run, and kicks each running queue, for what arrived meanwhile. After a load it also raises
 * their interrupts, once, because one may have been on its way when the machine was saved.
 */
void virtio_thaw(struct virtio_dev *dev);

/*
 * Saves a frozen device, or loads into a fresh one, in sections that its name tells from those of
 * others: the core's, the queues', the model's own. Pending interrupts are raised again, and that of
 * the configuration if the driver has not read it since it changed; the transport binds the lines after it. The driver's rings are as untrusted as ever: the checks of
 * virtio_thaw() are those of a start. Locked.
 */
__must_check int virtio_state(struct virtio_dev *dev, struct state *state);
/* Ends with NULL; without the models' own. */
extern const struct state_table *const virtio_state_tables[];

static inline bool virtio_has(const struct virtio_dev *dev, unsigned bit)
{
	return dev->acked >> bit & 1;
}

#endif
