/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses of any kind to everything reachable: configuration space, BARs, platform devices. The
 * machine must run on, and work again once its registers are restored.
 *
 *	kinglet run hostile-bus.elf
 */
#include "storm.h"
#include "virtio.h"

enum { ROUNDS = 2000 };

/* ECAM: any function, mostly existing ones, mostly their headers; also BARs and MSI-X. */
static void storm_ecam(void)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		storm_memory(pci_ecam(dice(8) ? dice(4) : dice(32),
				      dice(4) ? dice(256) : dice(4096)));
}

/*
 * A device's whole BAR, its doorbells and MSI-X table too; running, half set up, or in need of a
 * reset.
 */
static void storm_bar(struct virtio *v)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (dice(64) == 0)
			virtio_find(v, VIRTIO_RNG);
		storm_memory(v->common + dice(0x8000));
	}
}

/* Restores a function's header to its initial values. */
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
	storm_platform(ROUNDS);

	check(read32(pci_ecam(0, PCI_ID)) == PCI_ID_BRIDGE);
	for (unsigned slot = 1; slot < 4; slot++)
		repair(slot, bars[slot]);
	virtio_find(&v, VIRTIO_RNG);
	virtio_start(&v, 0);
	virtio_fill(&v, buffer, sizeof(buffer));
	print("ok\n");
	return 0;
}
