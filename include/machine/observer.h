/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observers of a running machine: tracing, statistics, a debugger, a test. The command passes
 * observers in the config; the machine calls them, in the order of the config, and knows nothing
 * else about them.
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

/* The phases of a run that the machine itself knows. */
enum machine_phase {
	MACHINE_LOADS, /* it is built; next the kernel, also at a reboot, or the state is loaded */
	MACHINE_RUNS,  /* all is there, also what comes from elsewhere; next its vCPUs start */
	MACHINE_ENDS,  /* the verdict is known; next it is destroyed */
};

enum panic_proof {
	PANIC_UNKNOWN,
	PANIC_TEXT, /* its text was printed: proof if the guest then resets or faults */
	PANIC_SURE,
};

struct machine_panic {
	enum panic_proof proof;
	char line[PANIC_LINE_MAX]; /* of the panic; may be empty */
};

/* What the main thread wants to know from, or to have done on, the machine's thread. */
struct machine_ask {
	void (*run)(struct machine_ask *ask);	   /* machine's thread */
	void (*answered)(struct machine_ask *ask); /* then: main thread */
	struct machine_ask *next;		   /* the machine's */
};

/* What happens to a running machine, for observers that pass it on. */
enum machine_event {
	MACHINE_PANICKED, /* by a device or a console, which may be both; a crash kernel may run */
	MACHINE_BROKEN,	  /* a virtio device needs a reset */
	MACHINE_STAYS,	  /* a migration has failed, and the machine goes on */
	MACHINE_FROZEN,	  /* ... and it stands still: it may run at the target (resume()) */
	MACHINE_TAKES_KEYS, /* after a type() that took less than all */
};

#define MACHINE_DOWNTIME_MAX_NS UINT64_C(5000000000)

struct machine_move {
	int fd;		      /* a stream socket, connected to the target; taken over */
	const char *target;   /* what messages call it; borrowed */
	uint64_t downtime_ns; /* the machine is to stand still for no longer than this; 0: 300 ms */
};

/* A round of a migration begins, or the machine has moved. */
struct machine_progress {
	unsigned round;	      /* from 1 */
	uint64_t left;	      /* bytes of RAM to be sent in it */
	uint64_t sent;	      /* bytes of the stream so far */
	uint64_t rate;	      /* bytes sent in a second of the last round; 0: not known yet */
	uint64_t written;     /* bytes of the pages that were written in a second of it */
	uint64_t expected_ns; /* how long the machine would stand still; UINT64_MAX: not known */
	uint64_t total_ns;    /* since it began */
	bool stands;	      /* from this round on the machine stands still */
	uint64_t stood_ns;    /* not 0: it has moved, and stood still for this long */
};

/* Operations on the machine for observers; vm is parts->vm. */
struct machine_ops {
	/* Ends the run, unless it has ended already. Any thread. */
	void (*end)(struct vm *vm, const struct verdict *end);
	/*
	 * To be called around vcpu_pause(): in between, no vCPU waits for this thread. Machine's
	 * thread.
	 */
	void (*pausing)(struct vm *vm);
	void (*paused)(struct vm *vm);
	/* From gone(): a step of long work is done. */
	void (*progressed)(struct vm *vm);
	/*
	 * Calls ask->run() on the machine's thread, after built() and unless the run has ended, and
	 * then ask->answered(). There is no answer when that thread is stuck, or the run ends
	 * before: *ask must live until it is answered or machine_run() has returned. Main thread.
	 */
	void (*ask)(struct vm *vm, struct machine_ask *ask);
	/*
	 * From run() of an ask. Parks all vCPUs, and lets them run again; a reset in between
	 * changes nothing, and the end needs no resume(). -EALREADY; -EBUSY: a debugger decides
	 * about the vCPUs; -EINPROGRESS: the machine stands still because it is moving; -EAGAIN:
	 * it has moved or tried to, and another program has its storage.
	 */
	int (*pause)(struct vm *vm);
	int (*resume)(struct vm *vm);
	/*
	 * From run() of an ask: saves the machine as a snapshot in this folder, and goes on. With
	 * `base`, a snapshot of the same machine, or NULL, only RAM that differs is written, where
	 * the file system can share the rest. Logs. -EBUSY, -ECANCELED: the run has ended; errors of
	 * snapshot_open() for the base; errno of the host.
	 */
	int (*save)(struct vm *vm, const char *dir, const char *base);
	/* Saves it soon as the config says (--snapshot), once; does not wait. Any thread. */
	void (*save_soon)(struct vm *vm);
	/*
	 * From run() of an ask: sends the machine to the Kinglet at the other end of move->fd. The
	 * machine goes on meanwhile. Then MACHINE_STAYS happens, or the run ends. Logs. -ENOTSOCK;
	 * -EBUSY: paused, or moving already; -EOPNOTSUPP: machine_can_move(); errno of the host.
	 */
	int (*migrate)(struct vm *vm, const struct machine_move *move);
	/* From run() of an ask. -EALREADY: there is none; -EBUSY: it is too late. */
	int (*cancel_migration)(struct vm *vm);
	/*
	 * From run() of an ask: presses the guest's power button. -EOPNOTSUPP: it has none;
	 * negative errno of KVM_IRQ_LINE.
	 */
	int (*press_power)(struct vm *vm);
	/*
	 * From run() of an ask: keys for the guest, on the console that has the terminal. Returns
	 * how many it took; if less than all, MACHINE_TAKES_KEYS happens later, or did already.
	 */
	size_t (*type)(struct vm *vm, const uint8_t *keys, size_t len);
};

/*
 * What an observer may read; everything is borrowed. Pointers are valid from built() until
 * stopped() returns; config, sys, loops, loaded and the struct itself from begin() until gone()
 * returns, and on the main thread until its loop has ended. Addresses on the buses may be looked up at any time in between.
 */
struct machine_parts {
	const struct machine_config *config;
	struct sys *sys;
	struct loop *loop;
	struct loop *control_loop; /* the main thread's: does nothing that could wait */
	struct bus *pio, *mmio;
	struct gmem *mem;
	struct irqs *irqs;
	struct pci_bus *pci;
	struct virtio_dev *const *devices; /* on the PCI bus */
	struct vcpu *vcpus;
	unsigned device_count, vcpu_count;
	const struct boot_summary *loaded;
	const struct machine_ops *ops;
	struct vm *vm; /* for these operations; opaque */
};

/* Members may be NULL. Called on the machine's thread unless stated otherwise. */
struct machine_observer_ops {
	/*
	 * Before anything is built: devices and vCPUs in parts are not set. A tracer must be set in
	 * sys now. -errno after one logged line ends the run (OUTCOME_USAGE).
	 */
	int (*begin)(void *owner, const struct machine_parts *parts);
	/*
	 * Everything is built, and the vCPUs are not started yet: they may be paused. -errno after
	 * one logged line ends the run (OUTCOME_HOST).
	 */
	int (*built)(void *owner, const struct machine_parts *parts);
	/* After built(): the vCPUs have stopped for good, and the run ends with this verdict. */
	void (*stopped)(void *owner, const struct verdict *verdict);
	/*
	 * After begin(): everything is destroyed. Output is written now. True: this turns a success
	 * into a failure, which is now in *verdict.
	 */
	bool (*gone)(void *owner, struct verdict *verdict);
	/*
	 * The machine's thread is stuck, and the process is about to end: removes what would
	 * outlive it. Main thread; does not wait.
	 */
	void (*abandon)(void *owner);

	/* At `site`. */
	void (*phase)(void *owner, const struct sys_site *site, enum machine_phase phase);
	/* SIGUSR1: prints a report. Without an observer that has this, the signal ends the run. */
	void (*report)(void *owner);
	/* The machine was reset: before its stopped vCPUs are started again, and afterwards. */
	void (*restarting)(void *owner);
	void (*restarted)(void *owner);
	/* KVM_EXIT_DEBUG of this vCPU, which parks next. Its thread. */
	void (*debugged)(void *owner, struct vcpu *vcpu);
	/* Whether a debugger decides which vCPUs run. */
	bool (*holds)(void *owner);
	/*
	 * `what` is one line. Any thread, with locks of devices held: must neither block nor call
	 * the machine.
	 */
	void (*happened)(void *owner, enum machine_event event, const char *what);
	/* A migration gets on. */
	void (*moves)(void *owner, const struct machine_progress *progress);

	/* --- About the guest. One call at a time; must neither block nor call the machine. --- */

	/*
	 * The guest printed on a console, whether or not it is shown on standard output. `data` may
	 * be guest RAM, which the guest can change meanwhile: read each byte once. True: the run
	 * ends with *end, unless it has ended already; the observer sets status and detail, and the
	 * outcome, if not set, is OUTCOME_OBSERVER. Calls continue until the vCPUs have stopped.
	 * vCPU threads and the machine's.
	 */
	bool (*console)(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			struct verdict *end);
	/* Every MACHINE_TICK_MS while the machine runs. Returns as console(). */
	bool (*tick)(void *owner, struct verdict *end);
	/* Returns what it knows about a panic in this boot. vCPU threads and the machine's. */
	void (*panic)(void *owner, struct machine_panic *panic);
	/*
	 * The state of a vCPU when the run is ended by other than the guest: of each one at a
	 * timeout, of the failing one at a triple fault or an internal error; before the end. vCPU
	 * threads and the machine's.
	 */
	void (*vcpu)(void *owner, unsigned id, const struct arch_vcpu_state *state);
};

struct machine_observer {
	const struct machine_observer_ops *ops;
	void *owner; /* borrowed */
};

#endif
