/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI as firmware and kernels drive it: the same registers both ways, a BAR that is sized, moved,
 * switched off and put above 4 GiB.
 *
 *	kinglet run pci.elf
 */
#include "virtio.h"

enum { BAR_SIZE = 0x8000, NEW_HOME = 0xd8000000 };

static const uint64_t above_4g = 0x100000000;

static void test_absent(void)
{
	for (unsigned slot = 28; slot < 32; slot++) {
		check(pci_port_read(slot, PCI_ID) == 0xffffffff);
		check(read32(pci_ecam(slot, PCI_ID)) == 0xffffffff);
	}
	outl(0xcf8, 0); /* not enabled: nothing answers */
	check(inl(0xcfc) == 0xffffffff);
}

static void test_both_ways(unsigned slot)
{
	for (unsigned reg = 0; reg < 0x100; reg += 4)
		check(pci_port_read(slot, reg) == read32(pci_ecam(slot, reg)));
	pci_port_write(slot, PCI_INTERRUPT_LINE, 0xee);
	check(read8(pci_ecam(slot, PCI_INTERRUPT_LINE)) == 0xee);
	outl(0xcf8, 0x80000000u | slot << 11 | PCI_INTERRUPT_LINE);
	outb(0xcfc, 0x77);
	check(read8(pci_ecam(slot, PCI_INTERRUPT_LINE)) == 0x77);
	check(inw(0xcfe) == read16(pci_ecam(slot, PCI_INTERRUPT_LINE + 2)));
	write32(pci_ecam(slot, PCI_ID), 0); /* read-only */
	check(read32(pci_ecam(slot, PCI_ID)) == VIRTIO_RNG);
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
	write32(pci_ecam(slot, PCI_BAR0), NEW_HOME);
	check(!answers(home) && answers(NEW_HOME));
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home) && !answers(NEW_HOME));

	/* Over RAM, over ECAM: the bridge does not forward these addresses. */
	write32(pci_ecam(slot, PCI_BAR0), 0x200000);
	write32(0x200000 + NUM_QUEUES, 0xabcd);
	check(read16(0x200000 + NUM_QUEUES) == 0xabcd);
	write32(pci_ecam(slot, PCI_BAR0), 0xe0000000);
	check(read32(pci_ecam(0, PCI_ID)) == 0x00081b36);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home));
}

/* The page tables that we start with end at 4 GiB: one page of 2 MiB more. */
static void map_above_4g(void)
{
	static uint64_t directory[512] __attribute__((aligned(4096)));
	uint64_t *pml4, *pdpt;

	asm("mov %%cr3, %0" : "=r"(pml4));
	pdpt = (uint64_t *)(pml4[0] & ~0xfffull);
	directory[0] = above_4g | 0x83; /* large, writable, present */
	pdpt[4] = (uintptr_t)directory | 3;
}

static void test_above_4g(unsigned slot, uintptr_t home)
{
	map_above_4g();
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)above_4g);
	write32(pci_ecam(slot, PCI_BAR0 + 4), (uint32_t)(above_4g >> 32));
	check(pci_bar(slot) == above_4g);
	check(answers(above_4g) && !answers(home));
	write32(pci_ecam(slot, PCI_BAR0 + 4), 0);
	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	check(answers(home));
}

/* Offers a buffer, but rings where the doorbell was: nobody may hear that. */
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
		asm volatile("pause");
}

/* A driver's doorbell follows the BAR: a device that moved still works. */
static void test_device_moves(unsigned slot, uintptr_t home)
{
	static uint8_t buffer[16];
	struct virtio v;

	write32(pci_ecam(slot, PCI_BAR0), NEW_HOME);
	virtio_find(&v, VIRTIO_RNG);
	virtio_start(&v, 0);
	virtio_fill(&v, buffer, sizeof(buffer));

	write32(pci_ecam(slot, PCI_BAR0), (uint32_t)home);
	v.common += home - NEW_HOME;
	v.notify += home - NEW_HOME;
	virtio_fill(&v, buffer, sizeof(buffer));
	test_old_doorbell(&v, NEW_HOME, home);
	virtio_reset(&v);
}

int main(const void *handoff)
{
	unsigned slot = pci_find(VIRTIO_RNG);
	uint64_t home = pci_bar(slot);

	(void)handoff;
	test_absent();
	test_both_ways(slot);
	test_size(slot, home);
	test_enable(slot, home);
	test_move(slot, home);
	test_above_4g(slot, home);
	test_device_moves(slot, home);
	print("ok\n");
	return 0;
}
