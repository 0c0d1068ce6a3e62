/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI as firmware and kernels drive it: a BAR that is sized, moved, switched off and put above
 * 4 GiB.
 *
 *	kinglet run pci.elf
 */
#include "memory.h"
#include "virtio.h"

enum { BAR_SIZE = 0x8000, HOLE = 0x200000 /* unused RAM */ };

static const uint64_t above_4g = 0x100000000;

static void test_absent(void)
{
	for (unsigned slot = 28; slot < PCI_SLOTS; slot++)
		check(read32(pci_ecam(slot, PCI_ID)) == 0xffffffff);
}

static void test_read_only(unsigned slot)
{
	write32(pci_ecam(slot, PCI_ID), 0);
	check(read32(pci_ecam(slot, PCI_ID)) == VIRTIO_RNG);
	write8(pci_ecam(slot, PCI_INTERRUPT_LINE), 0xee); /* this one is the guest's own */
	check(read8(pci_ecam(slot, PCI_INTERRUPT_LINE)) == 0xee);
}

/* Ones into the register; the bits that stay zero are the size (PCI 3.0 §6.2.5.1). */
static void test_size(unsigned slot, uint64_t home)
{
	write16(pci_ecam(slot, PCI_COMMAND), 0);
	write32(pci_ecam(slot, PCI_BAR0), 0xffffffff);
	write32(pci_ecam(slot, PCI_BAR0 + 4), 0xffffffff);
	check(pci_bar(slot) == -(uint64_t)BAR_SIZE);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	write32(pci_ecam(slot, PCI_BAR0 + 4), (uint32_t)(home >> 32));
	check(pci_bar(slot) == home);
}

/* NUM_QUEUES of the common structure, which is the BAR's first: 1 where the device is. */
static bool answers(uintptr_t bar)
{
	return read16(bar + NUM_QUEUES) == 1;
}

static void test_enable(unsigned slot, uintptr_t home)
{
	write16(pci_ecam(slot, PCI_COMMAND), 0);
	check(!answers(home));
	write16(pci_ecam(slot, PCI_COMMAND), PCI_COMMAND_MEMORY);
	check(answers(home));
}

static void test_move(unsigned slot, uintptr_t home)
{
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)pci_new_home);
	check(!answers(home) && answers(pci_new_home));
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home) && !answers(pci_new_home));

	/* Over RAM, over ECAM: the bridge does not forward these addresses. */
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)ram_base + HOLE);
	write16(ram_base + HOLE + NUM_QUEUES, 0xabcd);
	check(read16(ram_base + HOLE + NUM_QUEUES) == 0xabcd);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)pci_ecam_base);
	check(read32(pci_ecam(0, PCI_ID)) == PCI_ID_BRIDGE);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home));
}

static void test_above_4g(unsigned slot, uintptr_t home)
{
	map_device(above_4g);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)above_4g);
	write32(pci_ecam(slot, PCI_BAR0 + 4), (uint32_t)(above_4g >> 32));
	check(pci_bar(slot) == above_4g);
	check(answers(above_4g) && !answers(home));
	write32(pci_ecam(slot, PCI_BAR0 + 4), 0);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home));
}

/* Offers a buffer, but rings at the old doorbell address: the device must not react. */
static void test_old_doorbell(struct virtio *v, uintptr_t old, uintptr_t home)
{
	uint16_t used = v->ring->used.index;

	v->notify += old - home;
	virtio_offer(v, 0);
	v->notify += home - old;
	for (unsigned i = 0; i < 20000; i++)
		check(v->ring->used.index == used);
	write16(v->notify, 0);
	while (v->ring->used.index == used)
		relax();
}

/* A driver's doorbell follows the BAR: a device that moved still works. */
static void test_device_moves(unsigned slot, uintptr_t home)
{
	static uint8_t buffer[16];
	struct virtio v;

	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)pci_new_home);
	virtio_find(&v, VIRTIO_RNG);
	virtio_start(&v, 0);
	virtio_fill(&v, buffer, sizeof(buffer));

	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	v.common += home - pci_new_home;
	v.notify += home - pci_new_home;
	virtio_fill(&v, buffer, sizeof(buffer));
	test_old_doorbell(&v, pci_new_home, home);
	virtio_reset(&v);
}

int main(const void *handoff)
{
	unsigned slot = pci_find(VIRTIO_RNG);
	uint64_t home = pci_bar(slot);

	(void)handoff;
	test_absent();
	test_read_only(slot);
	test_size(slot, home);
	test_enable(slot, home);
	test_move(slot, home);
	test_above_4g(slot, home);
	test_device_moves(slot, home);
	print("ok\n");
	return 0;
}
