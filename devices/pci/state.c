/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of the bus and of the functions on it. */
#include "internal.h"

#include "pci/msix.h"

#include <string.h>

/* --- A function ------------------------------------------------------------------------------- */

struct function {
	uint8_t devfn;
	uint8_t config[PCI_CFG_SIZE];
	bool intx;
};

static const struct state_field function_fields[] = {
	STATE_NUMBER(struct function, devfn),
	STATE_BYTES(struct function, config),
	STATE_FLAG(struct function, intx),
	STATE_END,
};

static const struct state_table function_table = {
	.name = "pci-function",
	.version = 1,
	.size = sizeof(struct function),
	.fields = function_fields,
};

/* Bits of configuration space that differ between two states of one device. */
static uint8_t variable_bits(const struct pci_dev *dev, unsigned off)
{
	uint8_t interrupt = off == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;

	return dev->writable[off] | dev->w1c[off] | interrupt;
}

static int load_function(struct pci_dev *dev, struct state *state, const struct function *saved)
{
	if (saved->devfn != dev->devfn)
		return state_refuse(state, "in slot %u; this machine has it in slot %u",
				    PCI_SLOT(saved->devfn), PCI_SLOT(dev->devfn));
	for (unsigned i = 0; i < PCI_CFG_SIZE; i++)
		if ((saved->config[i] ^ dev->cfg[i]) & ~variable_bits(dev, i))
			return state_refuse(state, "register 0x%02x is 0x%02x; that of this "
					    "machine is 0x%02x", i, saved->config[i], dev->cfg[i]);
	memcpy(dev->cfg, saved->config, sizeof(dev->cfg));
	dev->intx_level = saved->intx;
	return 0;
}

static int function_state(struct pci_dev *dev, struct state *state)
{
	struct function function = { .devfn = dev->devfn, .intx = dev->intx_level };
	int ret;

	memcpy(function.config, dev->cfg, sizeof(function.config));
	ret = state_section(state, &function_table, dev->name, &function);
	return ret || !state_loads(state) ? ret : load_function(dev, state, &function);
}

static int dev_state(struct pci_dev *dev, struct state *state)
{
	int ret = function_state(dev, state);

	if (!ret && dev->msix)
		ret = msix_state(dev->msix, state);
	if (!ret && dev->ops->state)
		ret = dev->ops->state(dev, state);
	if (ret || !state_loads(state))
		return ret;
	pci_update_bars(dev);
	if (dev->msix)
		msix_control_written(dev->msix);
	pci_update_intx(dev);
	return 0;
}

/* --- The bus ---------------------------------------------------------------------------------- */

static const char *check_bus(const void *object)
{
	const struct pci_bus *bus = object;

	return bus->config_address & ~CF8_IMPLEMENTED ? "config_address has unknown bits" : NULL;
}

static const struct state_field bus_fields[] = {
	STATE_NUMBER(struct pci_bus, config_address),
	STATE_END,
};

static const struct state_table bus_table = {
	.name = "pci-bus",
	.version = 1,
	.size = sizeof(struct pci_bus),
	.fields = bus_fields,
	.check = check_bus,
};

const struct state_table *const pci_state_tables[] = {
	&bus_table,
	&function_table,
	&msix_state_table,
	NULL,
};

int pci_bus_state(struct pci_bus *bus, struct state *state)
{
	int ret = state_section(state, &bus_table, "", bus);

	/* All before the first is mapped again: a BAR may be at another's first address. */
	for (unsigned i = 0; i < PCI_SLOTS && state_loads(state); i++)
		if (bus->devs[i])
			pci_disconnect(bus->devs[i]);
	for (unsigned i = 0; i < PCI_SLOTS && !ret; i++) {
		if (!bus->devs[i])
			continue;
		pthread_mutex_lock(bus->devs[i]->lock);
		ret = dev_state(bus->devs[i], state);
		pthread_mutex_unlock(bus->devs[i]->lock);
	}
	return ret;
}
