/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct vm owns everything of a running machine. Private to vmm/machine; other layers see
 * machine_run(), and as observers struct machine_parts.
 *
 * Threads: the machine's thread builds the machine, runs the devices' event loop and destroys the
 * machine; one thread per vCPU; and the main thread (control.h), which handles timeouts and signals
 * and does no device work. They share the ending (verdict.h), and requests that wake the loop.
 */
#ifndef KINGLET_MACHINE_VM_H
#define KINGLET_MACHINE_VM_H

#include "asks.h"
#include "console.h"
#include "control.h"
#include "snapshot_port.h"

#include "devices/console.h"
#include "pci/pci.h"
#include "platform/serial.h"
#include "virtio/virtio.h"

struct board;
struct migration;
struct program;

struct vm {
	const struct machine_config *config; /* borrowed */
	struct sys *sys;		     /* borrowed */

	/* State of the run, shared by threads, and observers. */
	struct loop loop;
	struct ending ending;
	struct requests requests;
	struct asks asks;
	struct control control; /* for the main thread */
	struct observers observers;
	struct machine_parts parts; /* for the observers */

	/* The machine. */
	struct gmem mem;
	struct kvm kvm;
	struct gmem_kvm memslots;
	struct bus pio, mmio;
	struct arch_vm arch;
	struct irqs irqs;
	struct vcpu *vcpus;	     /* owned */
	unsigned vcpu_count;	     /* initialised so far */
	bool paused;		     /* run_pause(); machine's thread */
	bool save_tried, saved;	     /* config->snapshot */
	struct migration *migration; /* owned; NULL before the first */
	bool moving; /* stands still for it: nothing may let it go on */
	struct boot_summary loaded; /* set by run_load() */

	/* Its devices. */
	struct board *board;   /* the arch's platform devices, owned */
	struct serial *serial; /* the board's */
	struct pci_bus pci;
	struct virtio_dev *devices[PCI_SLOTS]; /* those on the bus, owned by it */
	unsigned device_count;
	const char *streams[VIRTIO_CONSOLE_MAX_STREAMS]; /* names of the console's ports */
	struct snapshot_port snapshot_port;
	struct virtio_dev *hvc; /* virtio-console, owned by pci; or NULL */
	struct console console;
	struct program *program; /* owned; NULL without one */
	unsigned program_port;	 /* its first stream of the console */
};

/* --- machine.c --- */

/*
 * The machine's thread; owner is the vm: builds it, serves its devices until there is a verdict,
 * and destroys it.
 */
void vm_live(void *owner);

/* --- devices.c --- */

/* Creates the virtio devices of the config. On failure the bus has those created so far. */
__must_check int vm_add_devices(struct vm *vm);
/* The machine's thread is stuck: removes what devices would leave behind. Any thread. */
void vm_abandon_devices(struct vm *vm);

#endif
