/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 7: an interrupt that is a message, injected by the kernel from an eventfd. */
#include "interrupt.h"
#include "virtio.h"

enum {
	VECTOR = 0x50,
	/* An entry of the table: address, 8 bytes; data, 4; control, 4, of which bit 0 masks. */
	ENTRY_DATA = 8,
	ENTRY_CONTROL = 12,
	LAPIC_MESSAGES = 0xfee00000, /* writes there are interrupts, not memory (SDM 3A 11.11) */
};

static volatile unsigned arrived;
static uint8_t buffer[64];

INTERRUPT done(struct interrupt_frame *frame)
{
	(void)frame;
	arrived++;
	lapic_write(LAPIC_EOI, 0);
}

int main(const void *handoff)
{
	struct virtio rng;

	(void)handoff;
	lapic_enable();
	interrupt_set(VECTOR, done);
	virtio_find(&rng, VIRTIO_RNG);

	/* The message that interrupts this CPU with this vector; then unmask the entry. */
	write32(rng.msix_table, LAPIC_MESSAGES);
	write32(rng.msix_table + 4, 0);
	write32(rng.msix_table + ENTRY_DATA, VECTOR);
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
		interrupt_wait(&arrived, i); /* asleep in HLT, inside the kernel */
	}
	return arrived == 3 ? 0 : 1;
}
