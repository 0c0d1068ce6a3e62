/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the PCI transport, both ways: interrupts and kicks. */
#include "pci_internal.h"

#include "base/log.h"

#include <string.h>

static struct virtio_pci *of_transport(struct virtio_transport *transport)
{
	return container_of(transport, struct virtio_pci, transport);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

uint16_t vp_bind_line(struct virtio_pci *vp, struct irq_line *line, uint16_t vector)
{
	return msix_bind(&vp->msix, line, vector) ? VIRTQ_NO_VECTOR : vector;
}

void vp_unbind_lines(struct virtio_pci *vp)
{
	struct virtio_dev *dev = vp->dev;

	msix_unbind(&vp->msix, &dev->config_irq);
	vp->config_vector = VIRTQ_NO_VECTOR;
	for (unsigned i = 0; i < dev->queue_count; i++) {
		msix_unbind(&vp->msix, &dev->queues[i].irq);
		dev->queues[i].state.vector = VIRTQ_NO_VECTOR;
	}
}

/*
 * An event of a line that was in the RELAY sink: INTx with its ISR bit (§4.1.4.5.1). After the
 * event was read from the eventfd, the device may have been reset, and then the event is dropped;
 * or the line may have another sink, which must then get it.
 */
static void relay(struct virtio_dev *dev, struct irq_line *line, uint8_t isr)
{
	struct virtio_pci *vp = of_transport(dev->transport);

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK && line->sink == IRQ_RELAY) {
		vp->isr |= isr;
		pci_set_intx(&vp->pci, true);
	} else if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		irq_line_raise(line);
	}
	pthread_mutex_unlock(&dev->lock);
}

static void relay_queue(struct irq_line *line)
{
	relay(container_of(line, struct virtq, irq)->dev, line, ISR_QUEUE);
}

static void relay_config(struct irq_line *line)
{
	relay(container_of(line, struct virtio_dev, config_irq), line, ISR_CONFIG);
}

int vp_init_lines(struct virtio_pci *vp)
{
	struct virtio_dev *dev = vp->dev;
	int ret;

	vp->config_vector = VIRTQ_NO_VECTOR;
	dev->config_irq.relay_fn = relay_config;
	ret = msix_bind(&vp->msix, &dev->config_irq, VIRTQ_NO_VECTOR);
	for (unsigned i = 0; !ret && i < dev->queue_count; i++) {
		dev->queues[i].irq.relay_fn = relay_queue;
		ret = msix_bind(&vp->msix, &dev->queues[i].irq, VIRTQ_NO_VECTOR);
	}
	return ret;
}

static void vp_config_changed(struct virtio_transport *transport)
{
	struct virtio_pci *vp = of_transport(transport);

	/* §4.1.4.5.1: this bit is also set with MSI-X. Without MSI-X, the relay sets it. */
	if (vp->msix.enabled)
		vp->isr |= ISR_CONFIG;
	irq_line_raise(&vp->dev->config_irq);
}

uint64_t vp_isr_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	uint8_t isr = vp->isr;

	(void)size;
	if (off)
		return 0;
	vp->isr = 0;
	pci_set_intx(&vp->pci, false);
	return isr;
}

/* --- Kicks ------------------------------------------------------------------------------------ */

static struct kvm *kvm_of(struct virtio_pci *vp)
{
	return vp->pci.bus->irqs->kvm;
}

static void drop_ioeventfds(struct virtio_pci *vp)
{
	for (unsigned i = 0; i < vp->dev->queue_count; i++) {
		uint64_t gpa = vp->kick_gpas[i];

		if (gpa && kvm_ioeventfd(kvm_of(vp), gpa, vp->dev->queues[i].kick_fd, false) < 0)
			log_error("%s: queue %u: cannot drop its ioeventfd", vp->dev->name, i);
		vp->kick_gpas[i] = 0;
	}
}

static void add_ioeventfd(struct virtio_pci *vp, struct virtq *q, uint64_t gpa)
{
	int ret = kvm_ioeventfd(kvm_of(vp), gpa, q->kick_fd, true);

	if (ret >= 0) {
		vp->kick_gpas[q->index] = gpa;
		return;
	}
	if (!vp->warned)
		log_warning("%s: KVM_IOEVENTFD: %s (kicks are slower)", vp->dev->name,
			    strerror(-ret));
	vp->warned = true;
}

void vp_place_ioeventfds(struct virtio_pci *vp)
{
	const struct pci_bar *bar = &vp->pci.bars[BAR];

	drop_ioeventfds(vp);
	if (!vp->kicks_wanted || !bar->mapped)
		return;
	for (unsigned i = 0; i < vp->dev->queue_count; i++)
		if (vp->dev->queues[i].running)
			add_ioeventfd(vp, &vp->dev->queues[i],
				      bar->region.base + NOTIFY_OFF + NOTIFY_MULTIPLIER * i);
}

static void vp_attach_kicks(struct virtio_transport *transport)
{
	of_transport(transport)->kicks_wanted = true;
	vp_place_ioeventfds(of_transport(transport));
}

static void vp_detach_kicks(struct virtio_transport *transport)
{
	of_transport(transport)->kicks_wanted = false;
	vp_place_ioeventfds(of_transport(transport));
}

/* A kick without an ioeventfd. The address selects the queue, the value is ignored (§4.1.5.2). */
void vp_notify_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size)
{
	uint64_t index = off / NOTIFY_MULTIPLIER;

	(void)value;
	(void)size;
	if (off % NOTIFY_MULTIPLIER || index >= vp->dev->queue_count)
		return;
	if (vp->dev->queues[index].running)
		eventfd_signal(vp->dev->queues[index].kick_fd);
}

const struct virtio_transport_ops vp_transport_ops = {
	.config_changed = vp_config_changed,
	.attach_kicks = vp_attach_kicks,
	.detach_kicks = vp_detach_kicks,
};
