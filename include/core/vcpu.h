/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU: its fd, its thread, its run loop.
 *
 * The loop dispatches port I/O and MMIO to the buses itself and asks the arch for the rest. To get
 * a vCPU out of KVM_RUN, another thread sets a request, then immediate_exit, then sends a signal:
 * the vCPU always sees the request before it next enters the guest. (KVM api.rst 5, immediate_exit)
 */
#ifndef KINGLET_CORE_VCPU_H
#define KINGLET_CORE_VCPU_H

#include "core/bus.h"
#include "core/kvm.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* Why a vCPU stopped for good. The order is that of the verdict's severity. */
enum vcpu_end {
	VCPU_RUNNING = 0,
	VCPU_HALTED,	     /* KVM_EXIT_HLT: no in-kernel irqchip, so nothing can wake it */
	VCPU_POWEROFF,	     /* KVM_EXIT_SYSTEM_EVENT shutdown */
	VCPU_RESET,	     /* KVM_EXIT_SYSTEM_EVENT reset */
	VCPU_CRASH,	     /* KVM_EXIT_SYSTEM_EVENT crash */
	VCPU_SHUTDOWN,	     /* KVM_EXIT_SHUTDOWN: triple fault on x86 */
	VCPU_INTERNAL_ERROR, /* KVM_EXIT_INTERNAL_ERROR */
	VCPU_FAIL_ENTRY,     /* KVM_EXIT_FAIL_ENTRY */
	VCPU_UNKNOWN_EXIT,   /* an exit reason unknown to Kinglet */
	VCPU_RUN_FAILED,     /* KVM_RUN itself failed */
};

struct vcpu;

struct vcpu_ops {
	/*
	 * An exit that the run loop does not know, for the arch (arch_vcpu_exit). VCPU_RUNNING
	 * enters the guest again; anything else ends the vCPU, with one line in detail.
	 */
	enum vcpu_end (*exit)(struct vcpu *vcpu, char *detail, size_t len);
	/*
	 * The vCPU hit a breakpoint or completed a single step (KVM_EXIT_DEBUG). Called on its
	 * thread, which then parks until vcpu_pause() and vcpu_resume(), or vcpu_stop(). NULL: such
	 * an exit goes to exit().
	 */
	void (*debugged)(void *owner, struct vcpu *vcpu);
	/*
	 * The vCPU will not run again by itself. `detail` is one line, valid during the call.
	 * Called on the vCPU's thread, which then waits for vcpu_stop().
	 */
	void (*ended)(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail);
};

struct vcpu {
	unsigned id;
	int fd; /* owned */
	struct kvm *kvm;
	struct kvm_run *run; /* mmap of fd, kvm->vcpu_mmap_size bytes, owned */
	struct bus *pio;
	struct bus *mmio;
	const struct vcpu_ops *ops;
	void *owner;
	pthread_t thread;
	bool started;
	unsigned pauses; /* vcpu_pause() calls without a vcpu_resume(); the pauser's thread */
	_Atomic unsigned request; /* bits of VCPU_REQ_*, set by others, read by the vCPU thread */
	sem_t parked;		  /* posted by the vCPU when it has parked */
	sem_t resume;		  /* posted by the pauser */
	_Atomic uint64_t exits;	  /* returns from KVM_RUN to userspace, EINTR not counted */
	_Atomic uint64_t exits_by_reason[64];
};

enum { VCPU_REQ_STOP = 1, VCPU_REQ_PAUSE = 2 };

/* Creates the vCPU in KVM; the arch sets its state before vcpu_start(). Negative errno. */
__must_check int vcpu_init(struct vcpu *vcpu, struct kvm *kvm, unsigned id, struct bus *pio,
			   struct bus *mmio, const struct vcpu_ops *ops, void *owner);
/* The thread must have been joined (vcpu_stop) or never started. Idempotent. */
void vcpu_destroy(struct vcpu *vcpu);

/*
 * Starts the thread and enters the guest; a paused vCPU parks before the first instruction.
 */
__must_check int vcpu_start(struct vcpu *vcpu);

/*
 * Leaves the guest with its pending I/O completed and joins the thread, even of a paused vCPU; its
 * registers may then be set and vcpu_start() may follow. Not from a vCPU thread. Idempotent.
 */
void vcpu_stop(struct vcpu *vcpu);

/*
 * Parks the vCPU outside KVM_RUN with its pending I/O completed, and returns when it is parked; its
 * registers may then be read and written. Pair with vcpu_resume(); pairs nest, and only the last
 * vcpu_resume() lets it run. For a vCPU that is not started, both only count, for vcpu_start();
 * vcpu_stop() clears the count. Always the same thread, and not a vCPU's.
 */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/*
 * Passes writes that KVM collected (kvm_coalesce_port) to the buses. vCPU thread; the run loop
 * calls it after every KVM_RUN.
 */
void vcpu_drain_coalesced(struct vcpu *vcpu);

/* The name of a KVM_EXIT_* reason, without that prefix; NULL if unknown. */
const char *vcpu_exit_name(unsigned reason);

/* An ioctl on the vCPU fd: >= 0 or a negative errno. */
#define vcpu_ioctl(vcpu, request, arg) vcpu_ioctl_from(vcpu, SYS_HERE, request, arg)
__must_check int vcpu_ioctl_from(struct vcpu *vcpu, const struct sys_site *site,
				 unsigned long request, void *arg);

/* The same for one that must not fail: logs its name and why when it does. */
#define vcpu_call(vcpu, request, arg) vcpu_call_from(vcpu, SYS_HERE, request, #request, arg)
__must_check int vcpu_call_from(struct vcpu *vcpu, const struct sys_site *site,
				unsigned long request, const char *name, void *arg);

#endif
