/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side, for tests of virtqueues and devices: guest RAM and an event loop with a fake
 * kernel below (mock_env), a split virtqueue in that RAM (mock_ring), and a driver that brings a
 * device to DRIVER_OK without PCI (mock_driver_start). One thread does everything: nothing happens
 * between calls.
 *
 *	mock_env_init(&env);
 *	virtio_rng_new(&dev, &env.virtio, 0);
 *	mock_ring_init(&ring, &env, 16);
 *	mock_ring_bind(&ring, &dev->queues[0]);
 *	mock_driver_start(dev, &transport, 1ULL << VIRTIO_RING_F_EVENT_IDX);
 *	mock_ring_add(&ring, bufs, 1);
 *	mock_ring_kick(&ring);
 *	mock_env_dispatch(&env);
 *	mock_ring_reap(&ring, &head, &written);
 */
#ifndef KINGLET_TESTS_MOCK_RING_H
#define KINGLET_TESTS_MOCK_RING_H

#include "fake_sys.h"
#include "virtio/virtio.h"


/*
 * RAM: two slots that touch at MOCK_SEAM (a buffer over it takes two iov entries), a hole, and a
 * third slot.
 */
enum {
	MOCK_SLOT_LEN = 4 << 20,
	MOCK_SEAM = MOCK_SLOT_LEN,
	MOCK_HOLE = 2 * MOCK_SLOT_LEN,
	MOCK_HIGH = 64 << 20,
	MOCK_RAM_END = MOCK_HIGH + MOCK_SLOT_LEN,
};

struct mock_env {
	struct fake_sys fake;
	struct kvm kvm;
	struct gmem mem;
	struct loop loop;
	struct irqs irqs;
	struct virtio_env virtio; /* pass &env->virtio to models */
	struct virtio_dev *dev;	  /* the device under test, if the environment destroys it */
	unsigned fds;		  /* number open after mock_env_init() */
	uint64_t next;		  /* first GPA not yet allocated */
};

/* Fails the test on errors, as all functions here. */
void mock_env_init(struct mock_env *env);
/* The same with RAM as the options say, such as shared. */
void mock_env_init_with(struct mock_env *env, const struct gmem_options *options);
/* Resets and destroys the device, and closes everything. */
void mock_env_destroy(struct mock_env *env);
/* For cmocka, with a state that begins with a struct mock_env. The device has left no fd open. */
int mock_env_teardown(void **state);
#define DEVICE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, mock_env_teardown)

/* Zeroed guest memory in the first slot; align is a power of two. Never freed. */
uint64_t mock_alloc(struct mock_env *env, uint64_t len, uint64_t align);

/* Serves events that are ready, and those that they cause, until nothing is. */
void mock_env_dispatch(struct mock_env *env);

/* Waits at most timeout_ms for an event and serves what is ready; false when nothing came. */
bool mock_env_wait(struct mock_env *env, int timeout_ms);

enum { MOCK_INDIRECT_MAX = 32 };

struct mock_buf {
	uint64_t gpa;
	uint32_t len;
	bool writable; /* by the device */
};

struct mock_ring {
	struct gmem *mem;
	struct virtq *q; /* what it is bound to; NULL before mock_ring_bind() */
	uint16_t size;
	uint64_t desc, avail, used; /* GPAs */
	uint16_t avail_index, last_used; /* free running */
	uint16_t kicked;		 /* avail_index at the last kick decision */
	bool busy[VIRTQ_MAX_SIZE];	 /* descriptors in use */
	uint64_t indirect;		 /* GPA of a table of MOCK_INDIRECT_MAX entries per head */
};

/* Puts an empty ring into fresh memory. */
void mock_ring_init(struct mock_ring *ring, struct mock_env *env, uint16_t size);

/* Sets the ring's addresses in the queue and enables it, as a transport would. Before DRIVER_OK. */
void mock_ring_bind(struct mock_ring *ring, struct virtq *q);

/* Makes a chain of n buffers available; returns its head. */
uint16_t mock_ring_add(struct mock_ring *ring, const struct mock_buf *bufs, unsigned n);
/* The same through an indirect table of at most MOCK_INDIRECT_MAX entries. */
uint16_t mock_ring_add_indirect(struct mock_ring *ring, const struct mock_buf *bufs, unsigned n);

/* Takes the next used element and frees its descriptors; false when there is none. */
bool mock_ring_reap(struct mock_ring *ring, uint16_t *head, uint32_t *written);

/*
 * Whether the device needs a kick for chains added since the last call, by the event index if the
 * queue uses it, else by the flags.
 */
bool mock_ring_kick_wanted(struct mock_ring *ring);
/* Signals kick_fd if a kick is wanted. Returns whether it did. */
bool mock_ring_kick(struct mock_ring *ring);

/* What the driver requests: an interrupt after used index `at`, or none (flags). */
void mock_ring_set_used_event(struct mock_ring *ring, uint16_t at);
void mock_ring_set_no_interrupt(struct mock_ring *ring, bool none);

/* True when the line was raised since the last call; the line must be HELD. */
bool mock_irq_taken(struct irq_line *line);

/* For drivers that misbehave: raw fields. */
void mock_ring_set_desc(struct mock_ring *ring, uint16_t index, uint64_t gpa, uint32_t len,
			uint16_t flags, uint16_t next);
/* Puts `head` into the next available entry and publishes it. */
void mock_ring_offer(struct mock_ring *ring, uint16_t head);
void mock_ring_set_avail_index(struct mock_ring *ring, uint16_t index);
uint16_t mock_ring_used_index(const struct mock_ring *ring);
/* Moves both free-running indices of ring and queue state to `index`. Before DRIVER_OK. */
void mock_ring_start_at(struct mock_ring *ring, uint16_t index);

/* A transport that only counts. */
struct mock_transport {
	struct virtio_transport transport;
	unsigned config_changes, attached, detached;
};

void mock_transport_init(struct mock_transport *mock, struct virtio_dev *dev);

/*
 * Brings the device to DRIVER_OK with `features` and VERSION_1 (virtio 1.2 §3.1.1) on a counting
 * transport, and returns the resulting status. Queues are bound before.
 */
uint8_t mock_driver_start(struct virtio_dev *dev, struct mock_transport *mock, uint64_t features);
/* The same without VERSION_1, unless it is among them. */
uint8_t mock_driver_start_exactly(struct virtio_dev *dev, struct mock_transport *mock,
				  uint64_t features);
/* Writes device status under the lock; 0 resets. */
void mock_driver_status(struct virtio_dev *dev, uint8_t status);

#endif
