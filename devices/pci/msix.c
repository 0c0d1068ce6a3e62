/* SPDX-License-Identifier: Apache-2.0 */
#include "pci/msix.h"

#include "base/checked.h"
#include "base/le.h"
#include "base/log.h"

#include <stddef.h>
#include <string.h>

enum { MSIX_MAX_VECTORS = PCI_MSIX_FLAGS_QSIZE + 1 };

/* As the guest sees it: little-endian, like this host. */
struct entry {
	uint64_t address;
	uint32_t data, control;
};
_Static_assert(offsetof(struct entry, data) == PCI_MSIX_ENTRY_DATA &&
		       offsetof(struct entry, control) == PCI_MSIX_ENTRY_VECTOR_CTRL &&
		       sizeof(struct entry) == MSIX_ENTRY_SIZE,
	       "PCI 3.0 §6.8.2");

static const struct state_field entry_fields[] = {
	STATE_NUMBER(struct entry, address),
	STATE_NUMBER(struct entry, data),
	STATE_LIMITED(struct entry, control, PCI_MSIX_ENTRY_CTRL_MASKBIT),
	STATE_END,
};

const struct state_table msix_state_table = {
	.name = "msix",
	.version = 1,
	.size = sizeof(struct entry),
	.fields = entry_fields,
};

static uint8_t *entry_of(const struct msix *msix, unsigned vector)
{
	return msix->table + vector * MSIX_ENTRY_SIZE;
}

static unsigned table_size(const struct msix *msix)
{
	return msix->vectors * MSIX_ENTRY_SIZE;
}

/* One bit per vector, in qwords. (PCI 3.0 §6.8.2) */
static unsigned pba_size(unsigned vectors)
{
	return (unsigned)align_up(vectors, 64) / 8;
}

static bool vector_masked(const struct msix *msix, unsigned vector)
{
	return get_le32(entry_of(msix, vector) + PCI_MSIX_ENTRY_VECTOR_CTRL) &
	       PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void clear_table(struct msix *msix)
{
	memset(msix->table, 0, table_size(msix));
	for (unsigned i = 0; i < msix->vectors; i++)
		put_le32(entry_of(msix, i) + PCI_MSIX_ENTRY_VECTOR_CTRL,
			 PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

int msix_init(struct msix *msix, struct pci_dev *dev, unsigned vectors, unsigned bar,
	      uint32_t table_off, uint32_t pba_off, unsigned max_lines)
{
	_cleanup_free_ struct msix_binding *bindings = calloc(max_lines, sizeof(*bindings));
	_cleanup_free_ uint8_t *table = NULL;
	uint8_t *cap;
	int off;

	if (vectors < 1 || vectors > MSIX_MAX_VECTORS || bar >= PCI_BARS || table_off % 8 ||
	    pba_off % 8 || !range_fits(table_off, vectors * MSIX_ENTRY_SIZE, dev->bars[bar].size) ||
	    !range_fits(pba_off, pba_size(vectors), dev->bars[bar].size))
		return -EINVAL;
	table = malloc(vectors * MSIX_ENTRY_SIZE);
	if (!bindings || !table)
		return -ENOMEM;
	off = pci_add_cap(dev, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (off < 0)
		return off;

	cap = dev->cfg + off;
	put_le16(cap + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
	put_le32(cap + PCI_MSIX_TABLE, table_off | bar);
	put_le32(cap + PCI_MSIX_PBA, pba_off | bar);
	put_le16(dev->writable + off + PCI_MSIX_FLAGS,
		 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);

	*msix = (struct msix){
		.dev = dev,
		.vectors = vectors,
		.cap = (uint8_t)off,
		.table = steal_ptr(table),
		.bindings = steal_ptr(bindings),
		.binding_max = max_lines,
	};
	clear_table(msix);
	dev->msix = msix;
	return 0;
}

void msix_destroy(struct msix *msix)
{
	free(msix->table);
	free(msix->bindings);
	*msix = (struct msix){ 0 };
}

static struct msi_message message_of(const struct msix *msix, unsigned vector)
{
	const uint8_t *entry = entry_of(msix, vector);

	return (struct msi_message){
		.address = get_le64(entry + PCI_MSIX_ENTRY_LOWER_ADDR),
		.data = get_le32(entry + PCI_MSIX_ENTRY_DATA),
		.devid = msix->dev->devfn, /* on bus 0 */
	};
}

static bool is_open(const struct msix *msix, unsigned vector)
{
	return msix->enabled && !msix->masked && vector != MSIX_NO_VECTOR &&
	       !vector_masked(msix, vector);
}

/* Gives a line the sink for the current state; see the table in the header. */
static int apply(const struct msix *msix, const struct msix_binding *binding)
{
	struct msi_message message;

	if (!msix->enabled)
		return irq_line_to_relay(binding->line);
	if (!is_open(msix, binding->vector)) {
		irq_line_hold(binding->line);
		return 0;
	}
	message = message_of(msix, binding->vector);
	return irq_line_to_kvm(binding->line, &message);
}

/* For guest writes, where an error cannot be reported: the line stays HELD. */
static void apply_or_complain(struct msix *msix, const struct msix_binding *binding)
{
	int ret = apply(msix, binding);

	if (ret < 0 && !msix->warned) {
		log_error("%s: interrupt of MSI-X vector %u: %s", msix->dev->name, binding->vector,
			  strerror(-ret));
		msix->warned = true;
	}
}

/* For all lines by one change of KVM's table, not by one for each. */
static void route_all(struct msix *msix)
{
	bool noted = false;

	for (unsigned i = 0; i < msix->binding_count; i++) {
		const struct msix_binding *binding = &msix->bindings[i];
		struct msi_message message;

		if (!is_open(msix, binding->vector))
			continue;
		message = message_of(msix, binding->vector);
		noted |= irq_line_note_route(binding->line, &message);
	}
	if (!noted || !irqs_commit(msix->bindings[0].line->irqs))
		return;
	for (unsigned i = 0; i < msix->binding_count; i++)
		irq_line_forget_route(msix->bindings[i].line);
}

static void apply_all(struct msix *msix)
{
	route_all(msix);
	for (unsigned i = 0; i < msix->binding_count; i++)
		apply_or_complain(msix, &msix->bindings[i]);
}

static void apply_vector(struct msix *msix, unsigned vector)
{
	for (unsigned i = 0; i < msix->binding_count; i++)
		if (msix->bindings[i].vector == vector)
			apply_or_complain(msix, &msix->bindings[i]);
}

static struct msix_binding *find_binding(struct msix *msix, struct irq_line *line)
{
	for (unsigned i = 0; i < msix->binding_count; i++)
		if (msix->bindings[i].line == line)
			return &msix->bindings[i];
	if (msix->binding_count == msix->binding_max)
		return NULL;
	msix->bindings[msix->binding_count] = (struct msix_binding){ line, MSIX_NO_VECTOR };
	return &msix->bindings[msix->binding_count++];
}

/* An event raised without a vector is lost. */
static void drop_unbound(const struct msix *msix, const struct msix_binding *binding)
{
	if (msix->enabled && binding->vector == MSIX_NO_VECTOR)
		irq_line_clear(binding->line);
}

int msix_bind(struct msix *msix, struct irq_line *line, uint16_t vector)
{
	struct msix_binding *binding = find_binding(msix, line);
	bool valid = vector < msix->vectors;
	int ret;

	if (!binding)
		return -ENOSPC;
	drop_unbound(msix, binding);
	binding->vector = valid ? vector : MSIX_NO_VECTOR;
	ret = apply(msix, binding);
	if (ret < 0) {
		irq_line_hold(line);
		binding->vector = MSIX_NO_VECTOR;
		return ret;
	}
	return valid || vector == MSIX_NO_VECTOR ? 0 : -EINVAL;
}

void msix_unbind(struct msix *msix, struct irq_line *line)
{
	struct msix_binding *binding = find_binding(msix, line);

	if (!binding)
		return;
	drop_unbound(msix, binding);
	binding->vector = MSIX_NO_VECTOR;
	irq_line_rest(line);
}

void msix_reset(struct msix *msix)
{
	uint8_t *flags = msix->dev->cfg + msix->cap + PCI_MSIX_FLAGS;

	put_le16(flags, get_le16(flags) & PCI_MSIX_FLAGS_QSIZE);
	clear_table(msix);
	for (unsigned i = 0; i < msix->binding_count; i++) {
		struct msix_binding *binding = &msix->bindings[i];

		irq_line_clear(binding->line);
		binding->vector = MSIX_NO_VECTOR;
	}
	msix_control_written(msix);
}

void msix_control_written(struct msix *msix)
{
	uint16_t flags = get_le16(msix->dev->cfg + msix->cap + PCI_MSIX_FLAGS);
	uint16_t command = get_le16(msix->dev->cfg + PCI_COMMAND);
	bool was_enabled = msix->enabled;

	if (was_enabled)
		for (unsigned i = 0; i < msix->binding_count; i++)
			drop_unbound(msix, &msix->bindings[i]);
	msix->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	/* A message is a write to memory, which needs bus mastering (PCI 3.0 §6.2.2). */
	msix->masked = flags & PCI_MSIX_FLAGS_MASKALL || !(command & PCI_COMMAND_MASTER);
	apply_all(msix);
}

int msix_state(struct msix *msix, struct state *state)
{
	return state_array(state, &msix_state_table, msix->dev->name, msix->table, msix->vectors);
}

uint64_t msix_table_read(struct msix *msix, uint64_t off, unsigned size)
{
	return range_fits(off, size, table_size(msix)) ? get_le_bytes(msix->table + off, size) : 0;
}

void msix_table_write(struct msix *msix, uint64_t off, uint64_t value, unsigned size)
{
	unsigned vector = (unsigned)(off / MSIX_ENTRY_SIZE);
	uint8_t *control;

	if ((size != 4 && size != 8) || off % size || !range_fits(off, size, table_size(msix)))
		return;
	put_le_bytes(msix->table + off, value, size);

	/* Vector control is the entry's last dword; its reserved bits stay zero. */
	if (off % MSIX_ENTRY_SIZE + size <= PCI_MSIX_ENTRY_VECTOR_CTRL)
		return;
	control = entry_of(msix, vector) + PCI_MSIX_ENTRY_VECTOR_CTRL;
	put_le32(control, get_le32(control) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	apply_vector(msix, vector);
}

uint64_t msix_pba_read(struct msix *msix, uint64_t off, unsigned size)
{
	uint64_t pending = 0;

	if (size > 8 || !range_fits(off, size, pba_size(msix->vectors)))
		return 0;
	for (unsigned i = 0; i < msix->binding_count; i++) {
		unsigned vector = msix->bindings[i].vector;

		if (vector != MSIX_NO_VECTOR && vector / 8 - off < size &&
		    irq_line_pending(msix->bindings[i].line))
			pending |= 1ull << (vector - 8 * off);
	}
	return pending;
}
