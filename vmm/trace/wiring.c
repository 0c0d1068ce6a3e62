/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/wiring.h"

#include <string.h>

void wiring_destroy(struct wiring *wiring)
{
	free(wiring->wires);
	free(wiring->routes);
	*wiring = (struct wiring){ 0 };
}

const struct wire *wiring_find(const struct wiring *wiring, int fd)
{
	for (unsigned i = 0; i < wiring->count; i++)
		if (wiring->wires[i].fd == fd)
			return &wiring->wires[i];
	return NULL;
}

/* NULL if out of memory: that eventfd is then missing. */
static struct wire *wire_of(struct wiring *wiring, int fd)
{
	struct wire *wire = (struct wire *)wiring_find(wiring, fd);
	struct wire *grown;

	if (wire)
		return wire;
	grown = reallocarray(wiring->wires, wiring->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	wiring->wires = grown;
	wire = &grown[wiring->count++];
	*wire = (struct wire){ .fd = fd, .gsi = IRQ_NO_GSI };
	return wire;
}

static void take_message(struct wire *wire, const struct kvm_irq_routing *routes)
{
	for (unsigned i = 0; routes && i < routes->nr; i++) {
		const struct kvm_irq_routing_entry *route = &routes->entries[i];

		if (route->gsi != wire->gsi || route->type != KVM_IRQ_ROUTING_MSI)
			continue;
		wire->msi_address = (uint64_t)route->u.msi.address_hi << 32 | route->u.msi.address_lo;
		wire->msi_data = route->u.msi.data;
	}
}

static void learn_ioeventfd(struct wiring *wiring, const struct kvm_ioeventfd *io)
{
	struct wire *wire = wire_of(wiring, io->fd);

	if (wire)
		wire->kick_gpa = io->addr;
}

static void learn_irqfd(struct wiring *wiring, const struct kvm_irqfd *irqfd)
{
	struct wire *wire = wire_of(wiring, (int)irqfd->fd);

	if (!wire)
		return;
	wire->gsi = irqfd->gsi;
	take_message(wire, wiring->routes);
}

static void learn_routes(struct wiring *wiring, const struct kvm_irq_routing *table)
{
	size_t size = sizeof(*table) + table->nr * sizeof(table->entries[0]);
	struct kvm_irq_routing *copy = realloc(wiring->routes, size);

	if (!copy)
		return;
	memcpy(copy, table, size);
	wiring->routes = copy;
	for (unsigned i = 0; i < wiring->count; i++)
		take_message(&wiring->wires[i], copy);
}

void wiring_learn(struct wiring *wiring, const struct sys_event *event)
{
	if (event->kind == SYS_NOTE && event->topic == SYS_TOPIC_QUEUE && event->fd >= 0) {
		wire_of(wiring, event->fd);
		return;
	}
	if (event->kind != SYS_IOCTL || event->result < 0)
		return;
	switch (event->request) {
	case KVM_IOEVENTFD:
		learn_ioeventfd(wiring, event->arg);
		break;
	case KVM_IRQFD:
		learn_irqfd(wiring, event->arg);
		break;
	case KVM_SET_GSI_ROUTING:
		learn_routes(wiring, event->arg);
		break;
	default:
		break;
	}
}
