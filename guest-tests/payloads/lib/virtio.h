/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A minimal virtio 1.2 driver: one device on PCI, one queue, nothing hidden.
 */
#ifndef PAYLOAD_VIRTIO_H
#define PAYLOAD_VIRTIO_H

#include "pci.h"

/* PCI ids: device, vendor. */
enum {
	VIRTIO_NET = 0x10411af4,
	VIRTIO_BLK = 0x10421af4,
	VIRTIO_CONSOLE = 0x10431af4,
	VIRTIO_RNG = 0x10441af4,
	VIRTIO_SCSI = 0x10481af4,
};

/* The common configuration structure, §4.1.4.3. */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};
enum { VIRTIO_QUEUES = 3, VIRTIO_QUEUES_MAX = 64, NO_VECTOR = 0xffff };

/* Bits of DEVICE_STATUS, §2.1. */
enum {
	ACKNOWLEDGE = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
	FEATURES_OK = 8,
	NEEDS_RESET = 0x40,
};

enum {
	FEATURE_INDIRECT = 1 << 28,
	FEATURE_VERSION_1 = 1, /* bit 32: the lowest of the second word */
};

/* §2.7: a split virtqueue. */
enum { RING_SIZE = 8, DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

struct descriptor {
	uint64_t address;
	uint32_t len;
	uint16_t flags, next;
};

struct ring {
	struct descriptor desc[RING_SIZE];
	struct {
		uint16_t flags, index, ring[RING_SIZE];
	} avail;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, len;
		} ring[RING_SIZE];
	} used __attribute__((aligned(4)));
} __attribute__((aligned(16)));

struct virtio {
	unsigned slot;
	uintptr_t common, isr, notify; /* addresses in the BAR */
	uint32_t notify_multiplier;
	unsigned msix; /* its capability */
	uintptr_t msix_table, msix_pba;
	volatile struct ring *ring;
	unsigned doorbells[VIRTIO_QUEUES_MAX]; /* from notify on, which moves with the BAR */
};

/* Finds the device and its structures by its capabilities (§4.1.4). */
void virtio_find(struct virtio *v, uint32_t id);

/* Resets the device and waits for it (§2.4.1). */
void virtio_reset(struct virtio *v);

/*
 * §3.1.1 up to FEATURES_OK: resets, acknowledges, accepts VERSION_1 and `features` of the first
 * feature word. Returns the status read afterwards.
 */
uint8_t virtio_negotiate(struct virtio *v, uint32_t features);

/* Clears the ring and gives it to queue 0. */
void virtio_set_ring(struct virtio *v);

/*
 * Clears a ring and gives it to one of the first VIRTIO_QUEUES_MAX queues, whose interrupt gets a
 * vector of MSI-X, or NO_VECTOR.
 */
void virtio_set_queue(struct virtio *v, uint16_t index, volatile struct ring *ring,
		      uint16_t vector);

/* Sets DRIVER_OK, after virtio_negotiate(); the device must accept it. */
void virtio_set_ready(struct virtio *v);

/* All steps up to DRIVER_OK, with the one ring of v. */
void virtio_start(struct virtio *v, uint32_t features);

/* Makes descriptor `head` available. */
void ring_add(volatile struct ring *r, uint16_t head);

/* Rings a queue's doorbell. */
void virtio_kick(struct virtio *v, uint16_t index);

/* Both, for queue 0. */
void virtio_offer(struct virtio *v, uint16_t head);

/* Offers `len` bytes at `buffer` to be filled, and waits without an interrupt until they are. */
void virtio_fill(struct virtio *v, void *buffer, uint32_t len);

#endif
