/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X: table, pending bits, masks, and the only place that decides where an interrupt line's
 * events go.
 *
 * A line is bound to a vector (or to none). Its sink follows from the device's state:
 *   MSI-X disabled                          → RELAY (INTx)
 *   enabled, no vector                      → HELD, and events are thrown away at the next bind;
 *                                             RESTING after msix_unbind()
 *   enabled, function or vector masked,
 *   or the function is no bus master        → HELD (PBA)
 *   enabled, unmasked                       → KVM, with the vector's message as it is at unmask
 * The guest writes a message dword by dword; it takes effect as a whole when the guest writes the
 * entry's vector control, or when the function is enabled or unmasked. A driver must mask a vector
 * before it changes its message (PCI 3.0 §6.8.2); one that does not still works if it writes vector
 * control last.
 *
 * All functions run under the device's lock unless said otherwise.
 */
#ifndef KINGLET_PCI_MSIX_H
#define KINGLET_PCI_MSIX_H

#include "pci/pci.h"

enum { MSIX_NO_VECTOR = 0xffff, MSIX_ENTRY_SIZE = 16 };

struct msix_binding {
	struct irq_line *line; /* borrowed */
	uint16_t vector;
};

struct msix {
	struct pci_dev *dev;
	unsigned vectors;
	uint8_t cap; /* offset of the capability */
	uint8_t *table; /* vectors * 16 bytes as the guest wrote them, owned */
	struct msix_binding *bindings; /* owned */
	unsigned binding_count, binding_max;
	bool enabled, masked; /* function control and bus mastering, as last applied */
	bool warned;      /* about a line that KVM refused; logged once */
};

/*
 * Adds the capability: table at `table_off` and PBA at `pba_off` inside BAR `bar`. `max_lines` is
 * the largest number of bound lines. Before pci_add(). -EINVAL, -ENOMEM.
 */
__must_check int msix_init(struct msix *msix, struct pci_dev *dev, unsigned vectors, unsigned bar,
			   uint32_t table_off, uint32_t pba_off, unsigned max_lines);
void msix_destroy(struct msix *msix);

/* All vectors masked, function disabled, all bindings to MSIX_NO_VECTOR, pending events dropped. */
void msix_reset(struct msix *msix);

/*
 * Binds, or rebinds, a line. On error it is bound to no vector: -EINVAL for a vector out of range,
 * -ENOSPC beyond max_lines or when KVM has no route left, and others of irq_line_to_kvm().
 */
__must_check int msix_bind(struct msix *msix, struct irq_line *line, uint16_t vector);
/* To no vector, of a line whose source is stopped: see irq_line_rest(). */
void msix_unbind(struct msix *msix, struct irq_line *line);

/*
 * Accesses to the table and to the PBA, offsets relative to each. Reads beyond the end are zero.
 * Only aligned dwords and qwords write (PCI 3.0 §6.8.2: others are undefined).
 */
uint64_t msix_table_read(struct msix *msix, uint64_t off, unsigned size);
void msix_table_write(struct msix *msix, uint64_t off, uint64_t value, unsigned size);
uint64_t msix_pba_read(struct msix *msix, uint64_t off, unsigned size);

/* Saves or loads the table; msix_control_written() applies it. */
__must_check int msix_state(struct msix *msix, struct state *state);
extern const struct state_table msix_state_table;

/* The guest wrote message control or the command register: applies them. Called by config.c. */
void msix_control_written(struct msix *msix);

#endif
