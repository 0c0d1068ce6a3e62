/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device driven by hand: requests that are polled for, then the two ways in which it can
 * interrupt.
 *
 *	kinglet run virtio-rng.elf
 */
#include "irq.h"
#include "virtio.h"

enum { ISR_QUEUE = 1 };

static struct virtio rng;
static uint8_t buffer[64];
static volatile unsigned msix_count, intx_count;
static volatile uint8_t isr_seen;
static unsigned wire;

static void msix_arrived(void)
{
	msix_count++;
}

static void msix_astray(void)
{
	fail(__FILE__, __LINE__, "the message that was before comes no more");
}

/* INTx is a level: it stays until the driver reads ISR status (§4.1.4.5). */
static void intx_arrived(void)
{
	intx_count++;
	isr_seen = read8(rng.isr);
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

static void set_message(unsigned number, irq_handler *handler)
{
	struct irq_message message = irq_message(rng.slot, number, handler);

	write32(rng.msix_table, (uint32_t)message.address);
	write32(rng.msix_table + 4, (uint32_t)(message.address >> 32));
	write32(rng.msix_table + 8, message.data);
}

static void wait_pending(void)
{
	while (!(read32(rng.msix_pba) & 1))
		;
}

static void test_msix(void)
{
	set_msix(MSIX_ENABLE);
	set_message(0, msix_arrived);
	mask_vector(false);
	virtio_start(&rng, 0);
	write16(rng.common + QUEUE_MSIX_VECTOR, 0);
	check(read16(rng.common + QUEUE_MSIX_VECTOR) == 0);
	write16(rng.common + CONFIG_MSIX_VECTOR, 9); /* more than there are */
	check(read16(rng.common + CONFIG_MSIX_VECTOR) == 0xffff);
	for (unsigned i = 0; i < 4; i++) {
		fill();
		irq_wait(&msix_count, i);
	}
	print("MSI-X\n");
}

/*
 * Interrupts of a masked vector are pending, and arrive once it is unmasked: none is lost.
 */
static void test_masked(void (*mask)(bool on))
{
	unsigned before = msix_count;

	mask(true);
	check(!(read32(rng.msix_pba) & 1));
	fill();
	wait_pending();
	fill();
	wait_pending(); /* still; after this access the device has completed the request */
	irq_take();
	check(msix_count == before);
	mask(false);
	irq_wait(&msix_count, before);
	check(msix_count == before + 1); /* two while masked are one */
	check(!(read32(rng.msix_pba) & 1));
}

static void mask_function(bool on)
{
	set_msix(MSIX_ENABLE | (on ? MSIX_MASK_ALL : 0));
}

/* The driver may change a vector's message: the change takes effect at the unmask. */
static void test_retarget(void)
{
	unsigned before = msix_count;

	mask_vector(true);
	irq_message(rng.slot, 0, msix_astray);
	set_message(1, msix_arrived);
	fill();
	wait_pending();
	mask_vector(false);
	irq_wait(&msix_count, before);
	print("masked, unmasked, moved\n");
}

static void test_intx_disabled(void)
{
	uintptr_t command = pci_ecam(rng.slot, PCI_COMMAND);
	uint16_t enabled = read16(command);

	write16(command, enabled | PCI_COMMAND_INTX_DISABLE);
	fill();
	while (!(read16(pci_ecam(rng.slot, PCI_STATUS)) & PCI_STATUS_INTERRUPT))
		;
	irq_take();
	check(intx_count == 0);
	write16(command, enabled);
	irq_wait(&intx_count, 0);
	check(isr_seen == ISR_QUEUE);
}

static void test_intx(void)
{
	set_msix(0);
	irq_wire(wire, intx_arrived);
	virtio_start(&rng, 0);
	test_intx_disabled();
	for (unsigned i = 1; i < 4; i++) {
		fill();
		irq_wait(&intx_count, i);
		check(isr_seen == ISR_QUEUE);
		check(!(read16(pci_ecam(rng.slot, PCI_STATUS)) & PCI_STATUS_INTERRUPT));
	}
	/* A level that was not lowered would interrupt again at once. */
	irq_take();
	check(intx_count == 4);
	irq_wire(wire, NULL);
	print("INTx\n");
}

int main(const void *handoff)
{
	(void)handoff;
	irq_init();
	virtio_find(&rng, VIRTIO_RNG);
	wire = read8(pci_ecam(rng.slot, PCI_INTERRUPT_LINE));
	test_polled();
	test_msix();
	test_masked(mask_vector);
	test_masked(mask_function);
	test_retarget();
	test_intx();
	return 0;
}
