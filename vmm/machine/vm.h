/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct vm owns everything of a running machine. Private to vmm/machine; other layers see
 * machine_run(), and as observers struct machine_parts.
 *
 * Threads: the machine's builds, runs the devices' event loop and takes down; one thread a vCPU;
 * and the main thread (control.h), which keeps the clock and does no device work. What they share
 * is the ending (verdict.h), and requests that wake the loop.
 */
#ifndef KINGLET_MACHINE_VM_H
#define KINGLET_MACHINE_VM_H

#include "console.h"
#include "control.h"

#include "pci/pci.h"
#include "platform/serial.h"
#include "virtio/virtio.h"

struct board;
struct program;

struct vm {
	const struct machine_config *config; /* borrowed */
	struct sys *sys;		     /* borrowed */

	/* How it runs: what threads share, and who looks on. */
	struct loop loop;
	struct ending ending;
	struct requests requests;
	struct control control; /* the main thread's */
	struct observers observers;
	struct machine_parts parts; /* what these may look at */

	/* What it is. */
	struct gmem mem;
	struct kvm kvm;
	struct gmem_kvm memslots;
	struct bus pio, mmio;
	struct arch_vm arch;
	struct irqs irqs;
	struct vcpu *vcpus;	     /* owned */
	unsigned vcpu_count;	     /* initialised so far */
	struct boot_summary loaded; /* what run_load() has put into RAM */

	/* Its devices. */
	struct board *board;   /* the arch's platform devices, owned */
	struct serial *serial; /* the board's */
	struct pci_bus pci;
	struct virtio_dev *devices[PCI_SLOTS]; /* those on the bus, owned by it */
	unsigned device_count;
	struct virtio_dev *hvc; /* virtio-console, owned by pci; or NULL */
	struct console console;
	struct program *program; /* owned; NULL without one */
};

/* --- machine.c --- */

/*
 * The machine's thread; owner is the vm: builds it, serves its devices until there is a verdict,
 * takes it down.
 */
void vm_live(void *owner);

/* --- devices.c --- */

/* The virtio devices that the config names. On failure the bus has those that were made. */
__must_check int vm_add_devices(struct vm *vm);
/* The machine's thread is stuck: removes what of devices would outlive the process. Any thread. */
void vm_abandon_devices(struct vm *vm);

#endif
