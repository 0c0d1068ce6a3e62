/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes state all over the machine and reboots, in the way that the next byte of serial input
 * selects; each boot must find everything as at power-on. 'a': ACPI, 'k': keyboard controller, 'q':
 * ends.
 *
 *	printf akq | kinglet run reboot.elf --cpus 2 --on-reboot restart
 */
#include "interrupt.h"
#include "virtio.h"

enum {
	MARK = 0x00a00000, /* RAM far from us */
	TRAMPOLINE = 0x8000,
	AP_ALIVE = 0x9000,
	MSR_APIC_BASE = 0x1b,
	APIC_BASE_X2APIC = 1 << 10,
	NEW_HOME = 0xd8000000,
};

static uint8_t buffer[64];
static struct virtio rng;

static void expect_power_on_state(void)
{
	unsigned slot = pci_find(VIRTIO_RNG);

	check(read32(MARK) == 0);
	check(!(read_msr(MSR_APIC_BASE) & APIC_BASE_X2APIC));
	check(lapic_read(LAPIC_LVT_TIMER) & 0x10000); /* masked */
	check(inb(COM1 + 7) == 0);
	check(pci_bar(slot) != NEW_HOME);
	virtio_find(&rng, VIRTIO_RNG);
	check(read8(rng.common + DEVICE_STATUS) == 0);
	check(!(read16(pci_ecam(slot, rng.msix + 2)) & 0x8000));
}

/* Real mode: shows forever that it runs. */
static void start_other_cpu(void)
{
	static const uint8_t code[] = {
		0x31, 0xc0,			/* xor %ax, %ax */
		0x8e, 0xd8,			/* mov %ax, %ds */
		0xff, 0x06, 0x00, 0x90,		/* 1: incw 0x9000 */
		0xeb, 0xfa,			/* jmp 1b */
	};

	check(read16(AP_ALIVE) == 0);
	memcpy((void *)TRAMPOLINE, code, sizeof(code));
	lapic_enable();
	lapic_write(LAPIC_ICR_HIGH, 1 << 24);
	lapic_write(LAPIC_ICR, 0x4500);
	lapic_write(LAPIC_ICR_HIGH, 1 << 24);
	lapic_write(LAPIC_ICR, 0x4600 | TRAMPOLINE >> 12);
	while (!read16(AP_ALIVE))
		;
}

static void make_disorder(void)
{
	write32(MARK, 1);
	outb(COM1 + 7, 0x99);
	start_other_cpu();
	write32(pci_ecam(rng.slot, PCI_BAR0), NEW_HOME);
	virtio_find(&rng, VIRTIO_RNG);
	write16(pci_ecam(rng.slot, rng.msix + 2), 0x8000);
	virtio_start(&rng, 0);
	virtio_fill(&rng, buffer, sizeof(buffer));
	lapic_write(LAPIC_LVT_TIMER, 0x40);
	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
}

static uint8_t next_byte(void)
{
	while (!(inb(COM1 + 5) & 1))
		;
	return inb(COM1);
}

int main(const void *handoff)
{
	(void)handoff;
	expect_power_on_state();
	print("boot\n");
	make_disorder();
	switch (next_byte()) {
	case 'a':
		outb(POWER_PORT + 2, 1);
		break;
	case 'k':
		outb(I8042_COMMAND, 0xfe);
		break;
	default:
		return 0;
	}
	for (;;)
		;
}
