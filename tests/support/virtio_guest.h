/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest with a virtio driver: it finds a device on a PCI bus by its capabilities and accesses it
 * only through the buses, as a vCPU would. Any backend can run the device's queues.
 *
 *	virtio_guest_init(&g);
 *	virtio_pci_add(&g.pci, dev);
 *	guest_probe(&g, 1);
 *	guest_negotiate(&g, features);
 *	guest_setup_queue(&g, 0, &ring, VIRTIO_MSI_NO_VECTOR);
 *	guest_driver_ok(&g);
 *	mock_ring_add(&ring, bufs, 1);
 *	guest_kick(&g, 0);
 *	mock_env_dispatch(&g.env);
 *
 * One thread does everything. Fails the test where a driver would give up.
 */
#ifndef KINGLET_TESTS_VIRTIO_GUEST_H
#define KINGLET_TESTS_VIRTIO_GUEST_H

#include "mock_ring.h"

#include "pci/pci.h"

#include <linux/virtio_pci.h>

#define GUEST_MMIO32 0xc0000000ULL
#define GUEST_MMIO32_LEN 0x20000000ULL
#define GUEST_ECAM 0xe0000000ULL

/* A structure of the device, as its capability describes it. */
struct guest_region {
	uint64_t gpa;
	uint32_t len;
};

struct virtio_guest {
	struct mock_env env;
	struct bus mmio;
	struct pci_bus pci;
	/* After guest_probe(): */
	unsigned slot;
	unsigned af, msix, window; /* offsets of capabilities; 0: none */
	uint64_t bar, bar_size;
	struct guest_region common, notify, isr, config;
	uint32_t notify_multiplier;
	uint64_t table, pba; /* GPAs */
	unsigned vectors;
};

void virtio_guest_init(struct virtio_guest *g);
/* Destroys the bus with all devices first. */
void virtio_guest_destroy(struct virtio_guest *g);

/* Accesses of a vCPU. */
uint64_t guest_read(struct virtio_guest *g, uint64_t gpa, unsigned size);
void guest_write(struct virtio_guest *g, uint64_t gpa, uint64_t value, unsigned size);
/* Configuration space of the probed device. */
uint32_t guest_cfg_read(struct virtio_guest *g, unsigned off, unsigned size);
void guest_cfg_write(struct virtio_guest *g, unsigned off, uint32_t value, unsigned size);

/* Registers of the common configuration structure, by their names in linux/virtio_pci.h. */
#define COMMON_SIZE(reg) sizeof(((struct virtio_pci_common_cfg *)NULL)->reg)
#define COMMON_GPA(g, reg) ((g)->common.gpa + offsetof(struct virtio_pci_common_cfg, reg))
#define common_get(g, reg) guest_read(g, COMMON_GPA(g, reg), COMMON_SIZE(reg))
#define common_set(g, reg, value) guest_write(g, COMMON_GPA(g, reg), value, COMMON_SIZE(reg))

/* Finds the device in `slot`: its BAR, structures, MSI-X. Call again when the BAR has moved. */
void guest_probe(struct virtio_guest *g, unsigned slot);

/*
 * Resets, introduces the driver and acknowledges `features` and VERSION_1 (virtio 1.2 §3.1.1 steps
 * 1 to 6). False when the device refused.
 */
bool guest_negotiate(struct virtio_guest *g, uint64_t features);
/* The same without VERSION_1, unless it is among them. */
bool guest_negotiate_exactly(struct virtio_guest *g, uint64_t features);
uint64_t guest_offered(struct virtio_guest *g);

/* Sets the ring's addresses and enables the queue; binds its vector unless "no vector". */
void guest_setup_queue(struct virtio_guest *g, unsigned index, const struct mock_ring *ring,
		       uint16_t vector);
void guest_driver_ok(struct virtio_guest *g);
void guest_reset(struct virtio_guest *g);

/* The 2-byte write that drivers make. An ioeventfd there takes it, as KVM would. */
void guest_kick(struct virtio_guest *g, unsigned index);
uint64_t guest_notify_gpa(struct virtio_guest *g, unsigned index);

/* The ioeventfd that is registered at gpa; -1 when there is none. */
int guest_ioeventfd(struct virtio_guest *g, uint64_t gpa);

void guest_msix_enable(struct virtio_guest *g, bool enable);
/* Writes an entry's message and its mask bit, in that order. */
void guest_set_vector(struct virtio_guest *g, unsigned vector, uint64_t address, uint32_t data,
		      bool masked);

#endif
