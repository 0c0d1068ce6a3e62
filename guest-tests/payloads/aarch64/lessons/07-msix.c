/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 7: an interrupt that is a message, injected by the kernel from an eventfd. */
#include "gic.h"
#include "virtio.h"

/* An entry of the table: address, 8 bytes; data, 4; control, 4, of which bit 0 masks. */
enum { EVENT = 1, ENTRY_DATA = 8, ENTRY_CONTROL = 12 };

static volatile unsigned arrived;
static uint8_t buffer[64];

static void done(void)
{
	arrived++;
}

int main(const void *handoff)
{
	struct irq_message message;
	struct virtio rng;

	(void)handoff;
	irq_init();
	virtio_find(&rng, VIRTIO_RNG);

	/* Maps event 1 of this device to an LPI in the ITS; its handler is done(). */
	message = irq_message(rng.slot, EVENT, done);

	/* The message; then unmask the entry. */
	write32(rng.msix_table, (uint32_t)message.address);
	write32(rng.msix_table + 4, (uint32_t)(message.address >> 32));
	write32(rng.msix_table + ENTRY_DATA, message.data);
	write16(pci_ecam(rng.slot, rng.msix + MSIX_CONTROL), MSIX_ENABLE);
	write32(rng.msix_table + ENTRY_CONTROL, 0);

	check(virtio_negotiate(&rng, 0) & FEATURES_OK);
	virtio_set_queue(&rng, 0, rng.ring, 0); /* its interrupt is entry 0 */
	virtio_set_ready(&rng);

	for (unsigned i = 0; i < 3; i++) {
		rng.ring->desc[0] = (struct descriptor){
			(uintptr_t)buffer, sizeof(buffer), DESC_WRITE, 0
		};
		virtio_offer(&rng, 0);
		irq_wait(&arrived, i); /* asleep in WFI, inside the kernel */
	}
	return arrived == 3 ? 0 : 1;
}
