/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the observers of a machine. Threads as in machine/observer.h. Private to vmm/machine. */
#ifndef KINGLET_MACHINE_OBSERVE_H
#define KINGLET_MACHINE_OBSERVE_H

#include "verdict.h"

#include "core/loop.h"

struct observers {
	const struct machine_observer *list; /* borrowed */
	unsigned count, begun, built;
	struct ending *ending; /* borrowed */
	struct loop_timer tick;
	pthread_mutex_t lock; /* held during calls about the guest */
	bool panic_is_told;   /* MACHINE_PANICKED, of what a console showed; lock */
};

/* Observers with a tick are called once the loop runs. Negative errno. */
__must_check int observers_init(struct observers *observers, const struct machine_config *config,
				struct ending *ending, struct loop *loop);
void observers_destroy(struct observers *observers, struct loop *loop);
/*
 * From now on there are no calls about the guest. False: one of them is in such a call and does not
 * return. For a process that is about to end.
 */
__must_check bool observers_silence(struct observers *observers);

/* One function for each call of struct machine_observer_ops. */
__must_check int observers_begin(struct observers *observers, const struct machine_parts *parts);
__must_check int observers_built(struct observers *observers, const struct machine_parts *parts);
void observers_stopped(struct observers *observers);
void observers_gone(struct observers *observers);
void observers_abandon(struct observers *observers);
#define observers_phase(observers, phase) observers_phase_from(observers, SYS_HERE, phase)
void observers_phase_from(struct observers *observers, const struct sys_site *site,
			  enum machine_phase phase);
/* Whether one of them can report. */
bool observers_can_report(const struct observers *observers);
void observers_report(struct observers *observers);
void observers_restarting(struct observers *observers);
void observers_restarted(struct observers *observers);
/* Whether one of them is a debugger that decides about the vCPUs. */
bool observers_hold(const struct observers *observers);
void observers_happened(struct observers *observers, enum machine_event event, const char *what);
void observers_moves(struct observers *observers, const struct machine_progress *progress);
/* False: there is no debugger. */
bool observers_debugged(struct observers *observers, struct vcpu *vcpu);
void observers_console(struct observers *observers, enum guest_stream stream, const uint8_t *data,
		       size_t len);
/* The strongest proof of a panic, of devices and observers. */
struct machine_panic observers_panic(struct observers *observers);
/* For a vCPU that is parked or has ended. */
void observers_vcpu(struct observers *observers, struct vcpu *vcpu);

#endif
