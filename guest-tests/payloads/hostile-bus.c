/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses of any kind to everything that can be reached: configuration space, BARs, ports. Nothing
 * is expected of them but that the machine lives on, and works when it is put in order again.
 *
 *	kinglet run hostile-bus.elf
 */
#include "virtio.h"

enum { ROUNDS = 2000, HIGH = 32 };

/*
 * The same sequence each time (Numerical Recipes' generator; its upper bits are the better ones).
 */
static unsigned dice(unsigned sides)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % sides;
}

/* All ones, all zeroes, or anything. */
static uint32_t value(void)
{
	unsigned kind = dice(3);

	return kind == 0 ? 0 : kind == 1 ? UINT32_MAX : dice(1 << 24) << 8 | dice(256);
}

static void access_memory(uintptr_t address)
{
	switch (dice(8)) {
	case 0:
		write8(address, (uint8_t)value());
		break;
	case 1:
		write16(address, (uint16_t)value());
		break;
	case 2:
		write32(address, value());
		break;
	case 3:
		*(volatile uint64_t *)address = (uint64_t)value() << HIGH | value();
		break;
	case 4:
		read8(address);
		break;
	case 5:
		read16(address);
		break;
	case 6:
		read32(address);
		break;
	default:
		(void)*(volatile uint64_t *)address;
		break;
	}
}

static void access_port(uint16_t port)
{
	switch (dice(6)) {
	case 0:
		outb(port, (uint8_t)value());
		break;
	case 1:
		outw(port, (uint16_t)value());
		break;
	case 2:
		outl(port, value());
		break;
	case 3:
		inb(port);
		break;
	case 4:
		inw(port);
		break;
	default:
		inl(port);
		break;
	}
}

/* ECAM: any function, mostly those that are there, mostly their headers; also BARs, also MSI-X. */
static void storm_ecam(void)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		access_memory(pci_ecam(dice(8) ? dice(4) : dice(32), dice(4) ? dice(256) : dice(4096)));
}

static void storm_config_ports(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		outl(0xcf8, dice(4) ? 0x80000000u | dice(4) << 11 | dice(256) : value());
		access_port((uint16_t)(0xcfc + dice(4)));
	}
}

/* A device's whole BAR, its doorbells and MSI-X table too; running, half set up, or broken. */
static void storm_bar(struct virtio *v)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (dice(64) == 0)
			virtio_find(v, VIRTIO_RNG);
		access_memory(v->common + dice(0x8000));
	}
}

/* Every port, but those that end the run: keyboard controller, exit, panic and power. */
static void storm_ports(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned port = dice(4) ? dice(0x1000) : dice(0x10000);
		bool ends = (port >= 0x61 && port <= 0x64) || (port >= 0xf1 && port <= 0xf7) ||
			    (port >= 0x502 && port <= 0x505) || (port >= 0x5fd && port <= 0x607) ||
			    (port >= COM1 - 3 && port <= COM1) || port == 0xcf9;

		if (!ends)
			access_port((uint16_t)port);
	}
}

/* Puts a function's header as firmware had it. */
static void repair(unsigned slot, uint64_t bar)
{
	write16(pci_ecam(slot, PCI_COMMAND), 0);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)bar);
	write32(pci_ecam(slot, PCI_BAR0 + 4), (uint32_t)(bar >> 32));
}

int main(const void *handoff)
{
	static uint8_t buffer[64];
	uint64_t bars[4];
	struct virtio v;

	(void)handoff;
	for (unsigned slot = 0; slot < 4; slot++)
		bars[slot] = pci_bar(slot);
	virtio_find(&v, VIRTIO_RNG);
	storm_bar(&v);
	storm_ecam();
	storm_config_ports();
	storm_ports();

	check(read32(pci_ecam(0, PCI_ID)) == 0x00081b36);
	for (unsigned slot = 1; slot < 4; slot++)
		repair(slot, bars[slot]);
	virtio_find(&v, VIRTIO_RNG);
	virtio_start(&v, 0);
	virtio_fill(&v, buffer, sizeof(buffer));
	outb(COM1 + 3, 0); /* the divisor latch may lie over the serial port's data register */
	outb(COM1 + 4, 0); /* and its loopback may be on */
	print("ok\n");
	return 0;
}
