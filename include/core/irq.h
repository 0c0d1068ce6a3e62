/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: legacy pins (a GSI with a level), and lines (an eventfd whose sink changes).
 *
 * A source — one virtqueue, a configuration change — has one irq_line for life. Kinglet or the
 * kernel's vhost raises it by a write to its eventfd. The line's sink is where the event goes, and
 * only the sink changes:
 *
 *   HELD   no reader: masked. A raised event stays in the eventfd: that is the PBA bit.
 *   KVM    an irqfd injects an MSI, no thread of Kinglet wakes.
 *   RELAY  the loop reads it and calls back: INTx, where a status bit must be set first.
 *   RESTING  nothing may raise it: of a device that was reset. KVM keeps the irqfd, because to take
 *          it back has KVM wait for all readers of its table (SRCU), up to 20 ms for each line.
 *
 * HELD → KVM injects a pending event at attach, so no interrupt is lost over mask and unmask. Sinks
 * are changed under the owning device's lock; raising needs no lock.
 */
#ifndef KINGLET_CORE_IRQ_H
#define KINGLET_CORE_IRQ_H

#include "core/kvm.h"
#include "core/loop.h"

#include <pthread.h>

/* An MSI message as the device's table holds it (PCI 3.0 §6.8.2), with the source for an ITS. */
struct msi_message {
	uint64_t address;
	uint32_t data;
	uint32_t devid; /* PCI requester id: bus << 8 | devfn; used where KVM_CAP_MSI_DEVID is set */
};

enum { IRQ_LEGACY_GSIS = 24 }; /* pins 0..23 belong to the interrupt controller */
enum { IRQ_NO_GSI = UINT32_MAX };

/* The VM's GSI routing table. One per VM, shared by all devices, internally locked. */
struct irqs {
	struct kvm *kvm;   /* borrowed */
	struct loop *loop; /* borrowed: runs relays */
	pthread_mutex_t lock;
	struct kvm_irq_routing *table; /* as given to KVM_SET_GSI_ROUTING, owned */
	unsigned fixed;		       /* leading entries: the arch's pin routes */
	unsigned capacity;	       /* entries that KVM takes (KVM_CAP_IRQ_ROUTING), bounded */
	bool needs_devid;	       /* KVM_CAP_MSI_DEVID */
};

enum irq_sink { IRQ_HELD, IRQ_KVM, IRQ_RELAY, IRQ_RESTING };

struct irq_line {
	struct irqs *irqs; /* borrowed */
	int fd;		   /* eventfd, owned; lend it to vhost as the call fd */
	enum irq_sink sink;
	uint32_t gsi; /* MSI route in use; IRQ_NO_GSI when none */
	struct msi_message message;
	struct loop_event relay;
	void (*relay_fn)(struct irq_line *line); /* loop thread; the event is already taken */
};

/* `routes` (pins of the interrupt controllers) are copied and stay first in the table. */
__must_check int irqs_init(struct irqs *irqs, struct kvm *kvm, struct loop *loop,
			   const struct kvm_irq_routing_entry *routes, unsigned count);
void irqs_destroy(struct irqs *irqs);

/* GSIs that lines have routes for; a line keeps its own, masked or not, until it is destroyed. */
unsigned irqs_msi_count(struct irqs *irqs);

/* Sets the level of a legacy pin (KVM_IRQ_LINE). The caller handles sharing of pins. */
__must_check int irqs_set_level(struct irqs *irqs, uint32_t gsi, bool level);

/* relay_fn may be NULL when the RELAY sink is never used. Starts HELD. */
__must_check int irq_line_init(struct irq_line *line, struct irqs *irqs,
			       void (*relay_fn)(struct irq_line *line));
/* Detaches from its sink, frees its GSI, closes the eventfd. Idempotent after init. */
void irq_line_destroy(struct irq_line *line);

/* Raises the interrupt. Any thread, no lock, never blocks. */
void irq_line_raise(struct irq_line *line);

/* Sinks. Each is idempotent; on error the line is HELD, so that nothing is lost. */
void irq_line_hold(struct irq_line *line);
/* -ENOSPC when KVM has no GSI left; errors of KVM_SET_GSI_ROUTING and KVM_IRQFD. */
__must_check int irq_line_to_kvm(struct irq_line *line, const struct msi_message *message);
__must_check int irq_line_to_relay(struct irq_line *line);

/*
 * KVM replaces its whole routing table for each change, and waits for the readers of the old one
 * (SRCU). For many lines at once: the routes of those that have none are noted (true), KVM is told
 * of all by irqs_commit(), and then irq_line_to_kvm() of each, with the same message, adds only its
 * irqfd. If KVM refuses, be it for one of them, they are to be forgotten, and irq_line_to_kvm() does
 * it line by line. Errors: of KVM_SET_GSI_ROUTING.
 */
bool irq_line_note_route(struct irq_line *line, const struct msi_message *message);
__must_check int irqs_commit(struct irqs *irqs);
/* Nothing for a line that has an irqfd. */
void irq_line_forget_route(struct irq_line *line);

/*
 * The line has no vector, and its source is stopped: KVM → RESTING. Before the kernel may raise it
 * again, irq_line_wake() or another sink; what Kinglet raises until then is lost.
 */
void irq_line_rest(struct irq_line *line);
/* RESTING → HELD. */
void irq_line_wake(struct irq_line *line);

/* HELD with a pending event: the line's bit in the PBA. */
bool irq_line_pending(const struct irq_line *line);
/*
 * An event has been raised and no sink has taken it: pending, or for a relay that has not run yet.
 */
bool irq_line_raised(const struct irq_line *line);
/* Discards a pending event (device reset). */
void irq_line_clear(struct irq_line *line);

#endif
