/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes state all over the machine and reboots; each boot must find everything as at power-on.
 * Serial input: 'q' ends, any other byte reboots.
 *
 *	printf aaq | kinglet run reboot.img --cpus 2 --on-reboot restart
 */
#include "cpus.h"
#include "gic.h"
#include "virtio.h"

enum { MARK = 0x00a00000, DISTRIBUTOR = 0x08000000, ENABLED = 0x0104, LPIS = 0x080a0000 };

static uint8_t buffer[64];
static struct virtio rng;
static volatile unsigned alive, messages;

static void expect_power_on_state(void)
{
	unsigned slot = pci_find(VIRTIO_RNG);

	check(read32(ram_base + MARK) == 0);
	check(alive == 0 && psci(PSCI_AFFINITY_INFO, 1, 0, 0) == PSCI_OFF);
	check(!(read32(LPIS) & 1));		/* GICR_CTLR: LPIs are off */
	check(!read32(DISTRIBUTOR + ENABLED));	/* GICD_ISENABLER1: no SPI is enabled */
	check(serial_read(SERIAL_SCRATCH) == 0);
	check(pci_bar(slot) != pci_new_home);
	virtio_find(&rng, VIRTIO_RNG);
	check(read8(rng.common + DEVICE_STATUS) == 0);
	check(!(read16(pci_ecam(slot, rng.msix + MSIX_CONTROL)) & MSIX_ENABLE));
}

/* Shows forever that it runs. */
static void live(void)
{
	for (;;)
		alive++;
}

static void start_other_cpu(void)
{
	check(cpu_start(1, live) == PSCI_SUCCESS);
	while (!alive)
		relax();
}

static void message_arrived(void)
{
	messages++;
}

/* A request that completes with an MSI, so that the ITS has state to lose. */
static void use_messages(void)
{
	struct irq_message message = irq_message(rng.slot, 0, message_arrived);

	write16(pci_ecam(rng.slot, rng.msix + MSIX_CONTROL), MSIX_ENABLE);
	write32(rng.msix_table, (uint32_t)message.address);
	write32(rng.msix_table + 4, (uint32_t)(message.address >> 32));
	write32(rng.msix_table + 8, message.data);
	write32(rng.msix_table + MSIX_ENTRY_CONTROL, 0);
	check(virtio_negotiate(&rng, 0) & FEATURES_OK);
	virtio_set_queue(&rng, 0, rng.ring, 0);
	virtio_set_ready(&rng);
	virtio_fill(&rng, buffer, sizeof(buffer));
	irq_wait(&messages, 0);
}

static void make_disorder(void)
{
	write32(ram_base + MARK, 1);
	serial_write(SERIAL_SCRATCH, 0x99);
	start_other_cpu();
	irq_init();
	irq_wire(SERIAL_IRQ, message_arrived);
	write32(pci_ecam(rng.slot, PCI_BAR0), (uint32_t)pci_new_home);
	virtio_find(&rng, VIRTIO_RNG);
	use_messages();
}

static uint8_t next_byte(void)
{
	while (!(serial_read(SERIAL_LINE_STATUS) & SERIAL_DATA_READY))
		relax();
	return serial_read(SERIAL_DATA);
}

int main(const void *handoff)
{
	(void)handoff;
	expect_power_on_state();
	print("boot\n");
	make_disorder();
	if (next_byte() == 'q')
		return 0;
	machine_reset();
	fail(__FILE__, __LINE__, "SYSTEM_RESET returns to nobody");
}
