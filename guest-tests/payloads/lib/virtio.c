/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

/* cfg_type of a virtio capability. */
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3 };

static struct ring only_ring;

void virtio_find(struct virtio *v, uint32_t id)
{
	unsigned slot = pci_find(id), cap = 0;
	uintptr_t bar = pci_bar(slot);

	*v = (struct virtio){ .slot = slot, .ring = &only_ring };
	while ((cap = pci_next_cap(slot, cap, PCI_CAP_VENDOR))) {
		uintptr_t at = bar + read32(pci_ecam(slot, cap + 8));

		switch (read8(pci_ecam(slot, cap + 3))) {
		case CAP_COMMON:
			v->common = at;
			break;
		case CAP_NOTIFY:
			v->notify = at;
			v->notify_multiplier = read32(pci_ecam(slot, cap + 16));
			break;
		case CAP_ISR:
			v->isr = at;
			break;
		}
	}
	v->msix = pci_next_cap(slot, 0, PCI_CAP_MSIX);
	check(v->common && v->isr && v->notify && v->msix);
	v->msix_table = bar + (read32(pci_ecam(slot, v->msix + 4)) & ~7u);
	v->msix_pba = bar + (read32(pci_ecam(slot, v->msix + 8)) & ~7u);
	write16(pci_ecam(slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void virtio_reset(struct virtio *v)
{
	write8(v->common + DEVICE_STATUS, 0);
	while (read8(v->common + DEVICE_STATUS))
		;
}

uint8_t virtio_negotiate(struct virtio *v, uint32_t features)
{
	virtio_reset(v);
	write8(v->common + DEVICE_STATUS, ACKNOWLEDGE);
	write8(v->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER);
	write32(v->common + DRIVER_FEATURE_SELECT, 0);
	write32(v->common + DRIVER_FEATURE, features);
	write32(v->common + DRIVER_FEATURE_SELECT, 1);
	write32(v->common + DRIVER_FEATURE, FEATURE_VERSION_1);
	write8(v->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return read8(v->common + DEVICE_STATUS);
}

/* §4.1.3.1: a 64-bit register is written as its halves. */
static void write_address(struct virtio *v, unsigned reg, const volatile void *address)
{
	write32(v->common + reg, (uint32_t)(uintptr_t)address);
	write32(v->common + reg + 4, (uint32_t)((uint64_t)(uintptr_t)address >> 32));
}

void virtio_set_queue(struct virtio *v, uint16_t index, volatile struct ring *ring,
		      uint16_t vector)
{
	memset((void *)ring, 0, sizeof(*ring));
	write16(v->common + QUEUE_SELECT, index);
	write16(v->common + QUEUE_SIZE, RING_SIZE);
	write16(v->common + QUEUE_MSIX_VECTOR, vector);
	write_address(v, QUEUE_DESC, ring->desc);
	write_address(v, QUEUE_DRIVER, &ring->avail);
	write_address(v, QUEUE_DEVICE, &ring->used);
	write16(v->common + QUEUE_ENABLE, 1);
	v->doorbells[index] = read16(v->common + QUEUE_NOTIFY_OFF) * v->notify_multiplier;
}

void virtio_set_ring(struct virtio *v)
{
	virtio_set_queue(v, 0, v->ring, NO_VECTOR);
}

void virtio_set_ready(struct virtio *v)
{
	uint8_t ready = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

	write8(v->common + DEVICE_STATUS, ready);
	check(read8(v->common + DEVICE_STATUS) == ready);
}

void virtio_start(struct virtio *v, uint32_t features)
{
	check(virtio_negotiate(v, features) & FEATURES_OK);
	virtio_set_ring(v);
	virtio_set_ready(v);
}

void ring_add(volatile struct ring *r, uint16_t head)
{
	r->avail.ring[r->avail.index % RING_SIZE] = head;
	order_writes(); /* §2.7.13.3: the entry must be visible before the index */
	r->avail.index++;
}

void virtio_kick(struct virtio *v, uint16_t index)
{
	order_writes();
	write16(v->notify + v->doorbells[index], index);
}

void virtio_offer(struct virtio *v, uint16_t head)
{
	ring_add(v->ring, head);
	virtio_kick(v, 0);
}

void virtio_fill(struct virtio *v, void *buffer, uint32_t len)
{
	volatile struct ring *r = v->ring;
	uint16_t used = r->used.index;

	r->desc[0] = (struct descriptor){ (uintptr_t)buffer, len, DESC_WRITE, 0 };
	virtio_offer(v, 0);
	while (r->used.index == used)
		relax();
	order_reads();
	check(r->used.ring[used % RING_SIZE].id == 0);
	check(r->used.ring[used % RING_SIZE].len == len);
}
