/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device driven by hand: requests that are polled for, then the three ways in which it can
 * interrupt.
 *
 *	kinglet run virtio-rng.elf
 */
#include "interrupt.h"
#include "virtio.h"

enum {
	MSIX_VECTOR = 0x50,
	IOAPIC_VECTOR = 0x51,
	ISR_QUEUE = 1,
};

static struct virtio rng;
static uint8_t buffer[64];
static volatile unsigned msix_count, intx_count, pic_count;
static volatile uint8_t isr_seen;
static unsigned gsi;

INTERRUPT msix_arrived(struct interrupt_frame *frame)
{
	(void)frame;
	msix_count++;
	lapic_write(LAPIC_EOI, 0);
}

/* INTx is a level: it stays until the device is told, by reading ISR status (§4.1.4.5). */
INTERRUPT intx_arrived(struct interrupt_frame *frame)
{
	(void)frame;
	intx_count++;
	isr_seen = read8(rng.isr);
	lapic_write(LAPIC_EOI, 0);
}

INTERRUPT pic_arrived(struct interrupt_frame *frame)
{
	(void)frame;
	pic_count++;
	isr_seen = read8(rng.isr);
	pic_eoi(gsi);
}

static void fill(void)
{
	virtio_fill(&rng, buffer, sizeof(buffer));
}

static void test_polled(void)
{
	uint32_t words = 0;

	virtio_start(&rng, 0);
	/* More often than the ring has entries, so that the indices wrap around it. */
	for (unsigned i = 0; i < 3 * RING_SIZE; i++)
		fill();
	for (unsigned i = 0; i < sizeof(buffer); i += 4)
		words |= read32((uintptr_t)buffer + i);
	check(words); /* all zero once in 2^512 */
	print("polled\n");
}

static void set_msix(uint16_t flags)
{
	write16(pci_ecam(rng.slot, rng.msix + MSIX_CONTROL), flags);
}

static void mask_vector(bool masked)
{
	write32(rng.msix_table + MSIX_ENTRY_CONTROL, masked);
}

/* A message is a write: to the local APIC's page, with the vector as data (SDM vol. 3A §10.11). */
static void set_message(void)
{
	write32(rng.msix_table, 0xfee00000 | (lapic_read(LAPIC_ID) >> 24) << 12);
	write32(rng.msix_table + 4, 0);
	write32(rng.msix_table + 8, MSIX_VECTOR);
	mask_vector(false);
}

static void wait_pending(void)
{
	while (!(read32(rng.msix_pba) & 1))
		;
}

static void test_msix(void)
{
	interrupt_set(MSIX_VECTOR, msix_arrived);
	set_msix(MSIX_ENABLE);
	set_message();
	virtio_start(&rng, 0);
	write16(rng.common + QUEUE_MSIX_VECTOR, 0);
	check(read16(rng.common + QUEUE_MSIX_VECTOR) == 0);
	write16(rng.common + CONFIG_MSIX_VECTOR, 9); /* more than there are */
	check(read16(rng.common + CONFIG_MSIX_VECTOR) == 0xffff);
	for (unsigned i = 0; i < 4; i++) {
		fill();
		interrupt_wait(&msix_count, i);
	}
	print("MSI-X\n");
}

/*
 * What happens while a vector is masked is pending, and comes once it is unmasked: nothing is lost.
 */
static void test_masked(void (*mask)(bool on))
{
	unsigned before = msix_count;

	mask(true);
	check(!(read32(rng.msix_pba) & 1));
	fill();
	wait_pending();
	fill();
	wait_pending(); /* still, and with this access the device is done with the request */
	asm volatile("sti; nop; nop; cli");
	check(msix_count == before);
	mask(false);
	interrupt_wait(&msix_count, before);
	check(msix_count == before + 1); /* two while masked are one */
	check(!(read32(rng.msix_pba) & 1));
}

static void mask_function(bool on)
{
	set_msix(MSIX_ENABLE | (on ? MSIX_MASK_ALL : 0));
}

/* The driver may move an interrupt to another vector: the change takes effect at the unmasking. */
static void test_retarget(void)
{
	unsigned before = msix_count;

	mask_vector(true);
	write32(rng.msix_table + 8, MSIX_VECTOR + 8);
	interrupt_set(MSIX_VECTOR, intx_arrived);
	interrupt_set(MSIX_VECTOR + 8, msix_arrived);
	fill();
	wait_pending();
	mask_vector(false);
	interrupt_wait(&msix_count, before);
	print("masked, unmasked, moved\n");
}

static void test_intx_ioapic(void)
{
	set_msix(0);
	interrupt_set(IOAPIC_VECTOR, intx_arrived);
	ioapic_route(gsi, IOAPIC_VECTOR, true);
	virtio_start(&rng, 0);
	for (unsigned i = 0; i < 3; i++) {
		fill();
		interrupt_wait(&intx_count, i);
		check(isr_seen == ISR_QUEUE);
		check(!(read16(pci_ecam(rng.slot, PCI_STATUS)) & PCI_STATUS_INTERRUPT));
	}
	/* A level that was not taken back would come again at once. */
	asm volatile("sti; nop; nop; cli");
	check(intx_count == 3);
	ioapic_route(gsi, 0, true);
	print("INTx, I/O APIC\n");
}

static void test_intx_disabled(void)
{
	uintptr_t command = pci_ecam(rng.slot, PCI_COMMAND);
	uint16_t enabled = read16(command);

	write16(command, enabled | PCI_COMMAND_INTX_DISABLE);
	fill();
	while (!(read16(pci_ecam(rng.slot, PCI_STATUS)) & PCI_STATUS_INTERRUPT))
		;
	asm volatile("sti; nop; nop; cli");
	check(pic_count == 0);
	write16(command, enabled);
	interrupt_wait(&pic_count, 0);
	check(isr_seen == ISR_QUEUE);
}

static void test_intx_pic(void)
{
	pic_init();
	interrupt_set(PIC_VECTORS + gsi, pic_arrived);
	pic_unmask(gsi);
	test_intx_disabled();
	for (unsigned i = 1; i < 4; i++) {
		fill();
		interrupt_wait(&pic_count, i);
		check(isr_seen == ISR_QUEUE);
	}
	print("INTx, PIC\n");
}

int main(const void *handoff)
{
	(void)handoff;
	lapic_enable();
	virtio_find(&rng, VIRTIO_RNG);
	gsi = read8(pci_ecam(rng.slot, PCI_INTERRUPT_LINE));
	test_polled();
	test_msix();
	test_masked(mask_vector);
	test_masked(mask_function);
	test_retarget();
	test_intx_ioapic();
	test_intx_pic();
	return 0;
}
