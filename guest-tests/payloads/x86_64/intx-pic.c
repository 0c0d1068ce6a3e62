/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI device's INTx on the PIC, as before I/O APICs.
 *
 *	kinglet run intx-pic.elf
 */
#include "interrupt.h"
#include "virtio.h"

enum { ISR_QUEUE = 1 };

static struct virtio rng;
static volatile unsigned count;
static volatile uint8_t isr_seen;
static unsigned pin;

INTERRUPT arrived(struct interrupt_frame *frame)
{
	(void)frame;
	count++;
	isr_seen = read8(rng.isr);
	pic_eoi(pin);
}

int main(const void *handoff)
{
	static uint8_t buffer[64];

	(void)handoff;
	virtio_find(&rng, VIRTIO_RNG);
	pin = read8(pci_ecam(rng.slot, PCI_INTERRUPT_LINE));
	pic_init();
	interrupt_set(PIC_VECTORS + pin, arrived);
	pic_unmask(pin);
	virtio_start(&rng, 0);
	for (unsigned i = 0; i < 3; i++) {
		virtio_fill(&rng, buffer, sizeof(buffer));
		interrupt_wait(&count, i);
		check(isr_seen == ISR_QUEUE);
	}
	print("INTx, PIC\n");
	return 0;
}
