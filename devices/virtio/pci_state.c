/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of the PCI transport. */
#include "pci_internal.h"

static const struct state_field fields[] = {
	STATE_NUMBER(struct virtio_pci, device_feature_select),
	STATE_NUMBER(struct virtio_pci, driver_feature_select),
	STATE_NUMBER(struct virtio_pci, queue_select),
	STATE_NUMBER(struct virtio_pci, config_vector),
	STATE_LIMITED(struct virtio_pci, isr, ISR_QUEUE | ISR_CONFIG),
	STATE_END,
};

static const struct state_table table = {
	.name = "virtio-pci",
	.version = 1,
	.size = sizeof(struct virtio_pci),
	.fields = fields,
};

const struct state_table *const virtio_pci_state_tables[] = { &table, NULL };

static int load_line(struct virtio_pci *vp, struct state *state, struct irq_line *line,
		     uint16_t vector)
{
	if (vp_bind_line(vp, line, vector) != vector)
		return state_refuse(state, "MSI-X vector %u; this machine has %u", vector,
				    vp->msix.vectors);
	return 0;
}

static int load_lines(struct virtio_pci *vp, struct state *state)
{
	struct virtio_dev *dev = vp->dev;
	int ret = load_line(vp, state, &dev->config_irq, vp->config_vector);

	for (unsigned i = 0; i < dev->queue_count && !ret; i++)
		ret = load_line(vp, state, &dev->queues[i].irq, dev->queues[i].state.vector);
	return ret;
}

int vp_state(struct pci_dev *pci, struct state *state)
{
	struct virtio_pci *vp = container_of(pci, struct virtio_pci, pci);
	int ret = state_section(state, &table, vp->dev->name, vp);

	if (!ret)
		ret = virtio_state(vp->dev, state);
	if (ret || !state_loads(state))
		return ret;
	/* Not virtio_allow_dma(): nothing starts before the thaw. */
	vp->dev->dma_off = !vp_is_bus_master(vp);
	return load_lines(vp, state);
}
