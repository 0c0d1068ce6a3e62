/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which eventfd leads where: what KVM has been told by KVM_IOEVENTFD, KVM_IRQFD and
 * KVM_SET_GSI_ROUTING, collected from the events of a tracer. What was taken away again is kept as
 * the last that was known. Not locked: the caller's matter.
 */
#ifndef KINGLET_TRACE_WIRING_H
#define KINGLET_TRACE_WIRING_H

#include "core/irq.h"
#include "core/sys.h"

struct wire {
	int fd;
	uint64_t kick_gpa; /* a guest write to it signals the fd; 0: none does */
	uint32_t gsi;	   /* a signal of the fd injects it; IRQ_NO_GSI: none */
	uint64_t msi_address;
	uint32_t msi_data;
};

struct wiring {
	struct wire *wires; /* owned */
	unsigned count;
	struct kvm_irq_routing *routes; /* the last table, owned; NULL: none yet */
};

void wiring_destroy(struct wiring *wiring);

/*
 * Learns from a call that succeeded, and from a queue that runs: it knows that one's kick fd then.
 */
void wiring_learn(struct wiring *wiring, const struct sys_event *event);

/* What is known of an eventfd, or NULL. Valid until the next wiring_learn(). */
const struct wire *wiring_find(const struct wiring *wiring, int fd);

#endif
