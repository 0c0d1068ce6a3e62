/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wiring of eventfds: set by KVM_IOEVENTFD, KVM_IRQFD and KVM_SET_GSI_ROUTING, collected from
 * the events of a tracer. What was removed is kept in its last state. Not locked: the caller
 * serialises.
 */
#ifndef KINGLET_TRACE_WIRING_H
#define KINGLET_TRACE_WIRING_H

#include "core/irq.h"
#include "core/sys.h"

struct wire {
	int fd;
	uint64_t kick_gpa; /* a guest write here signals the fd; 0: none */
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
 * Learns from a successful call, and from a running queue, whose kick fd is then known.
 */
void wiring_learn(struct wiring *wiring, const struct sys_event *event);

/* The wiring of an eventfd, or NULL. Valid until the next wiring_learn(). */
const struct wire *wiring_find(const struct wiring *wiring, int fd);

#endif
