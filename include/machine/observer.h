/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who looks on while a machine runs: tracing, statistics, a debugger, a test. The command hands
 * observers down in the config; the machine calls them, in the order of the config, and knows
 * nothing else about them.
 */
#ifndef KINGLET_MACHINE_OBSERVER_H
#define KINGLET_MACHINE_OBSERVER_H

#include "arch/arch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct irqs;
struct loop;
struct machine_config;
struct pci_bus;
struct sys_site;
struct verdict;
struct virtio_dev;
struct vm;

enum { MACHINE_TICK_MS = 100, PANIC_LINE_MAX = 160 };

/* The guest's consoles: ttyS0 and hvc0 in Linux. */
enum guest_stream { GUEST_SERIAL, GUEST_HVC, GUEST_STREAMS };

/* What the machine itself knows of how far a run has come. */
enum machine_phase {
	MACHINE_LOADS, /* it is built; the kernel is going to be loaded, also at a reboot */
	MACHINE_ENDS,  /* the verdict is known; next it is taken down */
};

enum panic_proof {
	PANIC_UNKNOWN,
	PANIC_TEXT, /* its text was read: proof if the guest resets or faults next */
	PANIC_SURE,
};

struct machine_panic {
	enum panic_proof proof;
	char line[PANIC_LINE_MAX]; /* the panic's own; may be empty */
};

/* What an observer may ask of the machine, which is parts->vm. */
struct machine_ops {
	/* Ends the run, unless it has ended already. Any thread. */
	void (*end)(struct vm *vm, const struct verdict *end);
	/* Around vcpu_pause(): no vCPU waits for this thread in between. Machine's thread. */
	void (*pausing)(struct vm *vm);
	void (*paused)(struct vm *vm);
	/* From gone(): a part of what may take long is done. */
	void (*progressed)(struct vm *vm);
};

/*
 * What an observer may look at; all is borrowed. What is pointed to is there from built() until
 * stopped() returns, but for config, sys, loop and loaded: from begin() until gone() returns, as is
 * the struct itself. Addresses on the buses may be looked up at any time in between.
 */
struct machine_parts {
	const struct machine_config *config;
	struct sys *sys;
	struct loop *loop;
	struct bus *pio, *mmio;
	struct gmem *mem;
	struct irqs *irqs;
	struct pci_bus *pci;
	struct virtio_dev *const *devices; /* on the PCI bus */
	struct vcpu *vcpus;
	unsigned device_count, vcpu_count;
	const struct boot_summary *loaded;
	const struct machine_ops *ops;
	struct vm *vm; /* for these; of no use to others */
};

/* Members may be NULL. The machine's thread calls, where not said otherwise. */
struct machine_observer_ops {
	/*
	 * Before anything is built: of parts, devices and vCPUs are not set. A
	 * tracer belongs into sys now. -errno after one logged line ends the run (OUTCOME_USAGE).
	 */
	int (*begin)(void *owner, const struct machine_parts *parts);
	/*
	 * All is built, and the vCPUs are going to be started: they may be paused. -errno after one
	 * logged line ends the run (OUTCOME_HOST).
	 */
	int (*built)(void *owner, const struct machine_parts *parts);
	/* After built(): the vCPUs stand still for good, and the run ends like this. */
	void (*stopped)(void *owner, const struct verdict *verdict);
	/*
	 * After begin(): all is taken down. What is to be written is written now. True: that makes
	 * a failure of a success, as *verdict says from now on.
	 */
	bool (*gone)(void *owner, struct verdict *verdict);
	/*
	 * The machine's thread is stuck, and the process about to end: removes what would outlive
	 * it. Main thread; waits for nothing.
	 */
	void (*abandon)(void *owner);

	/* At `site`. */
	void (*phase)(void *owner, const struct sys_site *site, enum machine_phase phase);
	/* SIGUSR1: says how things are. Where no observer does, that signal ends the run. */
	void (*report)(void *owner);
	/* The machine was reset: before its vCPUs, which are stopped, start anew, and after it. */
	void (*restarting)(void *owner);
	void (*restarted)(void *owner);
	/* KVM_EXIT_DEBUG of this vCPU, which parks next. Its thread. */
	void (*debugged)(void *owner, struct vcpu *vcpu);

	/* --- Of the guest. One call at a time; must neither block nor call the machine. --- */

	/*
	 * The guest printed on a console, whether or not that is seen on standard output. `data`
	 * may be guest RAM, which the guest can change meanwhile: read each byte once. True: enough
	 * was seen, and the run ends as *end says, unless it has ended already; its outcome is
	 * OUTCOME_OBSERVER where none is set, status and detail are to be set. Calls go on until
	 * the vCPUs stand still. vCPU threads and the machine's.
	 */
	bool (*console)(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			struct verdict *end);
	/* Every MACHINE_TICK_MS while the machine runs. Returns as console(). */
	bool (*tick)(void *owner, struct verdict *end);
	/* What it knows of a panic in this boot. vCPU threads and the machine's. */
	void (*panic)(void *owner, struct machine_panic *panic);
	/*
	 * Where a vCPU is when the run ends without the guest's doing: each one at a timeout, the
	 * one that it came from at a triple fault or an internal error; before the end. vCPU
	 * threads and the machine's.
	 */
	void (*vcpu)(void *owner, unsigned id, const struct arch_vcpu_state *state);
};

struct machine_observer {
	const struct machine_observer_ops *ops;
	void *owner; /* borrowed */
};

#endif
