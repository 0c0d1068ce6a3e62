/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the PCI transport share: pci.c (the function, its capabilities and its BAR),
 * pci_common.c (the common configuration structure), pci_notify.c (kicks and interrupts), pci_state.c
 * (its saved state).
 *
 * Everything here runs under the device's lock.
 */
#ifndef KINGLET_DEVICES_VIRTIO_PCI_INTERNAL_H
#define KINGLET_DEVICES_VIRTIO_PCI_INTERNAL_H

#include "base/le.h"
#include "pci/msix.h"
#include "virtio/pci.h"

#include <linux/virtio_pci.h>

/* The pages of the BAR, eight in total. */
enum {
	BAR = 0,
	BAR_SIZE = 0x8000,
	PAGE_SHIFT = 12,
	PAGE_LEN = 1 << PAGE_SHIFT,
	COMMON_OFF = 0x0000,
	COMMON_LEN = 0x3c,
	ISR_OFF = 0x1000,
	CONFIG_OFF = 0x2000,
	NOTIFY_OFF = 0x3000,
	TABLE_OFF = 0x4000,
	PBA_OFF = 0x5000,
	NOTIFY_MULTIPLIER = 4,
	MAX_QUEUES = PAGE_LEN / MSIX_ENTRY_SIZE - 1, /* a vector each, on the table's page */
};

/* Bits of ISR status, §4.1.4.5. */
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

struct virtio_pci {
	struct pci_dev pci;
	struct msix msix;
	struct virtio_transport transport;
	struct virtio_dev *dev; /* owned */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t isr;
	uint8_t window; /* offset of the capability that reaches the BAR without mapping it */
	bool kicks_wanted;
	bool warned; /* about an ioeventfd; logged once */
	uint64_t *kick_gpas; /* address of each queue's ioeventfd, 0: none; owned */
};

/* Any size and alignment; beyond the structure reads all-ones. */
uint64_t vp_common_read(struct virtio_pci *vp, uint64_t off, unsigned size);
void vp_common_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size);

/* The transport's part of a reset: registers as after power-on, lines unbound, INTx low. */
void vp_reset_registers(struct virtio_pci *vp);

/* Before the device is on the bus: sets up the relay of its lines to INTx, without vectors. */
__must_check int vp_init_lines(struct virtio_pci *vp);

/*
 * Binds a line to a vector. Returns what the vector register then reads: "no vector" when it could
 * not be bound (§4.1.5.1.2.1).
 */
uint16_t vp_bind_line(struct virtio_pci *vp, struct irq_line *line, uint16_t vector);
void vp_unbind_lines(struct virtio_pci *vp);

/*
 * pci_dev_ops.state: the registers, then virtio_state(). What was loaded is bound to its vectors.
 * (pci_state.c)
 */
__must_check int vp_state(struct pci_dev *pci, struct state *state);

/*
 * A function without bus mastering makes no memory access (PCI 3.0 §6.2.2): so before kexec a
 * kernel can ensure that no device writes to the memory of the next one.
 */
static inline bool vp_is_bus_master(const struct virtio_pci *vp)
{
	return get_le16(vp->pci.cfg + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* Reads ISR status, which clears it and INTx (§4.1.4.5). */
uint64_t vp_isr_read(struct virtio_pci *vp, uint64_t off, unsigned size);

/* A kick without an ioeventfd. */
void vp_notify_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size);

/* Registers the ioeventfd of every running queue at the current BAR, if kicks are attached. */
void vp_place_ioeventfds(struct virtio_pci *vp);

extern const struct virtio_transport_ops vp_transport_ops;

#endif
