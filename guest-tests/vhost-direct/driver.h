/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver in an ordinary process: what a guest's kernel would do, without a guest. vhost
 * needs only memory that it can access, and two eventfds for each ring:
 *
 *   this program                                     the kernel
 *   ────────────                                     ──────────
 *   struct gmem: "guest RAM"     SET_MEM_TABLE ────▶ finds rings and buffers there
 *   ring_send: descriptors,
 *     avail index, kick fd ────────────────────────▶ vhost's worker takes them
 *   ring_wait: poll ◀──────────────────── call fd    and puts them into the used ring
 *
 * What a transport would do is done by driver_start(), and by poll(2) on the call fds.
 */
#ifndef KINGLET_VHOST_DIRECT_DRIVER_H
#define KINGLET_VHOST_DIRECT_DRIVER_H

#include "core/loop.h"
#include "core/sys.h"
#include "virtio/virtio.h"

enum { RING_SIZE = 64, CHAIN_MAX = 4 };

/* The parts of a machine that are needed. */
struct host {
	struct sys sys;
	struct gmem mem;
	struct loop loop; /* vhost.c watches its error eventfds here */
	struct kvm kvm;	  /* there is none: it names sys */
	struct irqs irqs; /* routes nothing */
	struct virtio_env env;
	struct virtio_transport transport;
	uint64_t next; /* first address not yet allocated */
};

/* Memory is at 0, and as much at HOST_HIGH, as a guest's is below and above a hole. */
#define HOST_HIGH (4ULL << 30)

/* These end the process when a resource is missing. */
void host_init(struct host *host);
void host_destroy(struct host *host);
/*
 * Allocates zeroed memory for the device and returns its device address; host_ptr() returns the
 * pointer. From host->next on, which is 0 at first.
 */
uint64_t host_alloc(struct host *host, uint64_t len, uint64_t align);
void *host_ptr(struct host *host, uint64_t gpa, uint64_t len);

/* Ends the process with one line unless ok. */
void require(bool ok, const char *what);

/* One split virtqueue, driver's side (virtio 1.2 §2.7). Chains start at each CHAIN_MAX-th entry. */
struct ring {
	struct virtq *q; /* borrowed: the device's view of it */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t taken; /* used entries seen */
};

struct buffer {
	uint64_t gpa;
	uint32_t len;
	bool writable; /* by the device */
};

enum { RING_CHAINS = RING_SIZE / CHAIN_MAX };

/*
 * Lays out an empty ring and sets its addresses in the queue, as the transport's registers would.
 */
void ring_init(struct ring *ring, struct host *host, struct virtq *q);

/* Makes chain number `chain` of these buffers available, without a kick. */
void ring_send(struct ring *ring, unsigned chain, const struct buffer *buffers, unsigned count);
void ring_kick(struct ring *ring);

/*
 * With VIRTIO_RING_F_EVENT_IDX (§2.7.7.1): the device is to signal the call fd after `count` more
 * chains. Else it does after each.
 */
void ring_call_after(struct ring *ring, unsigned count);

/* Waits for the next used chain; returns its number and how many bytes the device wrote. */
unsigned ring_wait(struct ring *ring, uint32_t *written);

/*
 * Brings the device to DRIVER_OK with these features (§3.1.1), which starts its vhost, or resets
 * it. Rings are laid out before.
 */
void driver_start(struct virtio_dev *dev, struct host *host, uint64_t features);
void driver_stop(struct virtio_dev *dev);

/* The experiments: 0, or 1 after a line that says what went wrong. */
int net_run(struct host *host, const char *tap_name);
int net_log(struct host *host, const char *tap_name);
int net_switch(struct host *host, const char *tap_name, unsigned times);
int scsi_run(struct host *host, const char *wwpn);
int scsi_log(struct host *host, const char *wwpn);
int vsock_log(struct host *host, unsigned cid);

#endif
