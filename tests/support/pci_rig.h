/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI bus over a fake KVM, with the address map of a small machine, and a device that records its
 * callbacks. Guest accesses go through the buses, as a vCPU's would.
 */
#ifndef KINGLET_TESTS_PCI_RIG_H
#define KINGLET_TESTS_PCI_RIG_H

#include "fake_sys.h"

#include "pci/msix.h"

enum { RIG_LINES = 4, RIG_EVENTS = 32 };

/* Where RIG_MSIX_BAR has the table and the PBA, when the device has MSI-X. */
enum { RIG_MSIX_BAR = 0, RIG_TABLE = 0x2000, RIG_PBA = 0x3000, RIG_BAR_SIZE = 0x4000 };

#define RIG_MMIO32 0xc0000000ULL
#define RIG_MMIO32_LEN 0x20000000ULL
#define RIG_ECAM 0xe0000000ULL
#define RIG_ECAM_LEN 0x100000ULL
#define RIG_MMIO64 0x800000000ULL
#define RIG_MMIO64_LEN 0x400000000ULL
#define RIG_CF8 0xcf8

struct pci_rig {
	struct fake_sys fake;
	struct kvm kvm;
	struct loop loop;
	struct irqs irqs;
	struct bus mmio, pio;
	struct pci_bus bus;
};

struct rig_line {
	struct irq_line irq;
	struct rig_dev *d;
};

struct rig_dev {
	struct pci_dev dev;
	pthread_mutex_t lock;
	struct pci_rig *rig;
	struct msix msix;
	struct rig_line lines[RIG_LINES];
	unsigned relays; /* events that came by the RELAY sink */
	unsigned resets;
	unsigned *destroyed; /* counted up, when set */
	struct {
		unsigned index;
		bool mapped;
		uint64_t base;
	} bar_events[RIG_EVENTS]; /* bar_changed calls, the first RIG_EVENTS of them */
	unsigned bar_event_count;
	unsigned writes, write_off, write_len;   /* config_written */
	unsigned reads, read_off;		 /* config_reading */
	uint64_t bar_write_off, bar_write_value; /* last plain access to a BAR */
	unsigned bar_writes;
};

__must_check int pci_rig_init(struct pci_rig *rig);
void pci_rig_destroy(struct pci_rig *rig);
/* For cmocka, with a state from calloc() that begins with a struct pci_rig. */
int pci_rig_teardown(void **state);
#define PCI_TEST(name) cmocka_unit_test_setup_teardown(name, setup, pci_rig_teardown)

/*
 * A device on the heap, without BARs, not yet on the bus; the bus's destroy frees it. NULL when out
 * of memory.
 */
struct rig_dev *rig_dev_new(struct pci_rig *rig, const char *name);
/* BAR RIG_MSIX_BAR (64 bit) with MSI-X of `vectors`, and all lines bound to no vector. */
__must_check int rig_dev_add_msix(struct rig_dev *d, unsigned vectors);
/* A plain BAR whose accesses are recorded. */
void rig_dev_add_bar(struct rig_dev *d, unsigned index, uint64_t size, bool is_64bit);
/* Frees a device that pci_add() refused. */
void rig_dev_free(struct rig_dev *d);

/* Guest accesses to MMIO, to configuration space by ECAM, and to ports. */
uint64_t rig_read(struct pci_rig *rig, uint64_t addr, unsigned size);
void rig_write(struct pci_rig *rig, uint64_t addr, uint64_t value, unsigned size);
uint64_t rig_cfg_read(struct pci_rig *rig, unsigned slot, unsigned off, unsigned size);
void rig_cfg_write(struct pci_rig *rig, unsigned slot, unsigned off, uint64_t value,
		   unsigned size);
uint32_t rig_in(struct pci_rig *rig, uint16_t port, unsigned size);
void rig_out(struct pci_rig *rig, uint16_t port, uint32_t value, unsigned size);

/* The capability's offset as a driver finds it; 0: none. */
unsigned rig_find_cap(struct pci_rig *rig, unsigned slot, uint8_t id);

#endif
