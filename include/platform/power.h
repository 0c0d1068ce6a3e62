/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power block of hardware-reduced ACPI: sleep control and status (ACPI 6.4 §4.8.3.7), the
 * reset register (§4.8.3.6), and the event word of the generic event device, which signals for the
 * power button and the VM generation id. Registers: arch/power_block.h.
 */
#ifndef KINGLET_PLATFORM_POWER_H
#define KINGLET_PLATFORM_POWER_H

#include "core/bus.h"
#include "core/irq.h"
#include "core/state.h"

struct power_options {
	uint64_t base;
	struct irqs *irqs;
	uint32_t gsi; /* level: high while an event is pending */
	/* vCPU threads, no lock held. The guest continues until the machine stops it. */
	void (*power_off)(void *owner);
	void (*reset)(void *owner);
	void *owner; /* borrowed */
};

struct power {
	struct bus_region region; /* the caller puts it on the bus */
	struct power_options options;
	pthread_mutex_t lock;
	uint32_t events;
};

void power_init(struct power *power, const struct power_options *options);
/* vCPUs must be gone. */
void power_destroy(struct power *power);
/* Drops a pending event. */
void power_reset(struct power *power);

/*
 * Tells the guest of an event, POWER_EVENT_BUTTON or another one. The guest may ignore it. Any
 * thread. Negative errno of KVM_IRQ_LINE.
 */
__must_check int power_raise(struct power *power, uint32_t event);

/*
 * Saves or loads pending events; vCPUs must not run. The interrupt controller is saved in the same
 * pause and loaded before: it has the pin's level. -EBADMSG, logged.
 */
extern const struct state_table power_state_table;
__must_check int power_state(struct power *power, struct state *state);

#endif
