/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: configuration space, BARs, INTx, and the host bridge that reaches them.
 *
 * A device is a type-0 function on bus 0. Its configuration space is bytes plus a write mask: a bit
 * that the mask does not allow cannot be changed by the guest, whatever the register. The mask of
 * write-one-to-clear bits is separate. (PCI Local Bus 3.0 §6)
 *
 * Devices are conventional PCI functions, like those inside a chipset, with function-level reset by
 * the Advanced Features capability: on PCI Express a guest looks for some twenty extended
 * capabilities in every device, an exit each, and finds none.
 *
 * Locking: `lock` is the device's one mutex, shared with its device model. The bridge takes it
 * around configuration accesses; BAR callbacks (bus_ops) take it themselves. Functions below that
 * say "locked" expect it held.
 */
#ifndef KINGLET_PCI_PCI_H
#define KINGLET_PCI_PCI_H

#include "core/bus.h"
#include "core/irq.h"
#include "core/state.h"

#include <linux/pci.h>
#include <pthread.h>

enum { PCI_CFG_SIZE = 256, PCI_BARS = 6, PCI_SLOTS = 32 };

struct pci_bus;
struct pci_dev;
struct msix;

struct pci_bar {
	uint64_t size; /* power of two, >= 4 KiB so that BARs never share a page; 0: no such BAR */
	bool is_64bit;
	struct bus_region region; /* base: current or last decoded address */
	bool mapped;
	uint64_t initial_address; /* set by pci_add(); restored by a machine reset */
};

/* Identity of a function, as the driver sees it. */
struct pci_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
};

struct pci_dev_ops {
	/*
	 * A BAR was mapped at bar->region.base, or unmapped (base still has the old address). A
	 * move is an unmap and a map. Locked. Ioeventfds inside the BAR are moved here. May be
	 * NULL.
	 */
	void (*bar_changed)(struct pci_dev *dev, unsigned index);
	/* After a guest write to [off, off + len) was applied. Locked. NULL ok. */
	void (*config_written)(struct pci_dev *dev, unsigned off, unsigned len);
	/* Before a guest read of [off, off + len): bytes that depend on state. Locked. NULL ok. */
	void (*config_reading)(struct pci_dev *dev, unsigned off, unsigned len);
	/*
	 * Function-level reset or machine reset of the device model. Locked. The caller resets
	 * MSI-X, INTx and the configuration space after it. NULL: a function without FLR.
	 */
	void (*reset)(struct pci_dev *dev);
	/*
	 * Saves or loads the device model, after configuration space and the MSI-X table; binds
	 * loaded lines to their vectors, while MSI-X is still disabled. Locked. NULL: it has no
	 * state of its own.
	 */
	int (*state)(struct pci_dev *dev, struct state *state);
	/* Frees the device; the last call. */
	void (*destroy)(struct pci_dev *dev);
};

struct pci_dev {
	const struct pci_dev_ops *ops;
	struct pci_bus *bus;
	const char *name; /* for messages: "virtio-net 0" */
	pthread_mutex_t *lock; /* borrowed: the model's */
	uint8_t devfn;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t writable[PCI_CFG_SIZE]; /* bits that the guest may set and clear */
	uint8_t w1c[PCI_CFG_SIZE];	/* bits that the guest clears by writing one */
	struct pci_bar bars[PCI_BARS];
	uint8_t last_cap;     /* last capability, to link the next one from */
	uint16_t next_cap_at; /* offset for the next capability, or PCI_CFG_SIZE */
	uint8_t af_cap;	      /* offset of the Advanced Features capability; 0: no FLR */
	struct msix *msix;    /* NULL when the device has none */
	bool bars_freed;      /* a BAR was unmapped: others may need its addresses */
	bool warned;      /* about a BAR that could not be mapped; logged once */
	bool intx_level;      /* the device's request; the pin also obeys INTx disable */
};

struct pci_window {
	uint64_t base, len, next;
};

struct pci_bus {
	struct bus *mmio, *pio; /* borrowed */
	struct irqs *irqs;	/* borrowed */
	struct pci_dev *devs[PCI_SLOTS]; /* function 0 only; owned, destroyed with the bus */
	struct bus_region ecam;
	struct bus_region cf8; /* CF8..CFF */
	uint32_t config_address;
	struct pci_window mmio32, mmio64;
	uint32_t intx_gsis[4];
	pthread_mutex_t intx_lock;
	uint32_t intx_asserted[4]; /* bit per slot: asserts the shared pin */
	bool intx_warned;
};

struct pci_bus_options {
	struct bus *mmio, *pio; /* pio NULL: no CF8/CFC */
	struct irqs *irqs;
	uint64_t ecam_base, ecam_len;
	uint16_t config_port; /* 0xcf8 */
	uint64_t mmio32_base, mmio32_len;
	uint64_t mmio64_base, mmio64_len;
	uint32_t intx_gsis[4];
};

/* Creates the bus with its host bridge at 00.0. Logs on failure. */
__must_check int pci_bus_init(struct pci_bus *bus, const struct pci_bus_options *options);
/* Destroys every device (ops->destroy), then the bus. vCPUs must be gone. */
void pci_bus_destroy(struct pci_bus *bus);
/* Machine reset: every device as after power-on, BARs at their addresses from pci_add(). */
void pci_bus_reset(struct pci_bus *bus);

/*
 * Saves or loads the bridge, then each device in the order of slots: configuration space, MSI-X
 * table, ops->state. What the guest cannot change must be equal in a loaded state. Bus, devices and
 * lines must be fresh; a device's BARs, interrupt pin and lines then follow what was loaded. BARs
 * that overlap are handled as a guest's: the one in the lowest slot is mapped. Locks each device.
 * Machine's thread, no vCPU runs, virtio devices are frozen.
 */
__must_check int pci_bus_state(struct pci_bus *bus, struct state *state);
/* Ends with NULL; without the devices' own. */
extern const struct state_table *const pci_state_tables[];

/*
 * Prepares the header of a zeroed *dev: ids, masks, INTA, and, if ops->reset is set, the Advanced
 * Features capability with function-level reset. Then add BARs and capabilities, then call
 * pci_add(). No lock needed until pci_add(). A reset of the function clears all writable bits, so a
 * capability's writable bits must also be zero initially.
 */
void pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops, const char *name,
		  const struct pci_ids *ids, pthread_mutex_t *lock);

/*
 * Declares a memory BAR; `ops`/`owner` handle its accesses. A 64-bit BAR takes index and index+1.
 */
void pci_add_bar(struct pci_dev *dev, unsigned index, uint64_t size, bool is_64bit,
		 bool prefetchable, const struct bus_ops *ops, void *owner);

/*
 * Adds a capability of `len` bytes (including its header) to configuration space and links it;
 * returns its offset. The body is zero and read-only until the caller fills cfg and writable.
 */
__must_check int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned len);

/*
 * Puts the device into the first free slot (or `slot`, when >= 0), assigns addresses to its BARs
 * and enables memory decoding, as firmware would. Not locked; before the vCPUs run. The bus owns it
 * on success. -ENOSPC: no free slot or no room for a BAR; -EBUSY: the slot, or an address.
 */
__must_check int pci_add(struct pci_bus *bus, struct pci_dev *dev, int slot);

/* Level of INTA, honouring INTx disable and the status bit. Locked. */
void pci_set_intx(struct pci_dev *dev, bool level);

/*
 * Guest accesses to configuration space, of 1, 2 or 4 bytes inside one dword; anything else reads
 * all-ones and writes nothing. Locked, after pci_add(). For the bridge and tests.
 */
uint32_t pci_config_read(struct pci_dev *dev, unsigned off, unsigned len);
void pci_config_write(struct pci_dev *dev, unsigned off, uint32_t value, unsigned len);

#endif
