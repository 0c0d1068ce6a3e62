/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host bridge at 00.0: access to configuration space (ECAM and CF8/CFC), the windows for BAR
 * addresses, and the devices on its bus.
 */
#include "internal.h"

#include "base/checked.h"
#include "base/log.h"

#include <stddef.h>
#include <string.h>

enum { CF8_LEN = 8, CONFIG_DATA = 4 };

/* Identifiers of QEMU's generic PCIe host bridge, for which no guest has a quirk. */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.class_code = 0x060000,
};

struct host_bridge {
	struct pci_dev dev;
	pthread_mutex_t lock;
};

/* --- Guest accesses to configuration space ---------------------------------------------------- */

/* The function at a bus/device/function number, or NULL. */
static struct pci_dev *find_dev(struct pci_bus *bus, uint64_t bdf)
{
	unsigned slot = PCI_SLOT(bdf), function = PCI_FUNC(bdf);

	return bdf < PCI_SLOTS * 8 && !function ? bus->devs[slot] : NULL;
}

/* Each device under its own lock, and no other lock held. */
static void each_dev(struct pci_bus *bus, void (*act)(struct pci_dev *dev))
{
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_dev *dev = bus->devs[i];

		if (!dev)
			continue;
		pthread_mutex_lock(dev->lock);
		act(dev);
		pthread_mutex_unlock(dev->lock);
	}
}

static uint64_t bus_config_read(struct pci_bus *bus, uint64_t bdf, unsigned off, unsigned size)
{
	struct pci_dev *dev = find_dev(bus, bdf);
	uint64_t value;

	if (!dev || size > 4)
		return UINT64_MAX;
	pthread_mutex_lock(dev->lock);
	value = pci_config_read(dev, off, size);
	pthread_mutex_unlock(dev->lock);
	return value;
}

static void bus_config_write(struct pci_bus *bus, uint64_t bdf, unsigned off, uint64_t value,
			     unsigned size)
{
	struct pci_dev *dev = find_dev(bus, bdf);
	bool freed;

	if (!dev)
		return;
	pthread_mutex_lock(dev->lock);
	pci_config_write(dev, off, (uint32_t)value, size);
	freed = dev->bars_freed;
	dev->bars_freed = false;
	pthread_mutex_unlock(dev->lock);
	/* One that overlapped it can be mapped now. */
	if (freed)
		each_dev(bus, pci_update_bars);
}

/* PCIe 5.0 §7.2.2: bits 27:20 bus, 19:15 device, 14:12 function, 11:0 register. */
static uint64_t ecam_read(void *owner, uint64_t off, unsigned size)
{
	return bus_config_read(owner, off >> 12, off & 0xfff, size);
}

static void ecam_write(void *owner, uint64_t off, uint64_t value, unsigned size)
{
	bus_config_write(owner, off >> 12, off & 0xfff, value, size);
}

/* `bdf` and register of an access, as lspci writes them. */
static void describe_config(uint64_t bdf, uint64_t off, struct text *out)
{
	text_add(out, "%02x:%02x.%x register 0x%02x", (unsigned)(bdf >> 8 & 0xff),
		 PCI_SLOT((unsigned)bdf), PCI_FUNC((unsigned)bdf), (unsigned)off);
}

static void ecam_describe(void *owner, uint64_t off, struct text *out)
{
	(void)owner;
	describe_config(off >> 12, off & 0xfff, out);
}

static const struct bus_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
	.describe = ecam_describe,
};

/*
 * PCI 3.0 §3.2.2.3.2. Only a full dword at CF8 is the address register; smaller accesses there are
 * plain port I/O, which nothing answers. vCPUs may race on the register: the guest must prevent
 * that, but no access sees a torn value.
 */
static uint64_t cf8_read(void *owner, uint64_t off, unsigned size)
{
	struct pci_bus *bus = owner;
	uint32_t address = __atomic_load_n(&bus->config_address, __ATOMIC_RELAXED);

	if (off == 0 && size == 4)
		return address;
	if (off < CONFIG_DATA || !(address & CF8_ENABLE))
		return UINT64_MAX;
	return bus_config_read(bus, address >> 8 & 0xffff, (address & 0xfc) + (off - CONFIG_DATA),
			       size);
}

static void cf8_write(void *owner, uint64_t off, uint64_t value, unsigned size)
{
	struct pci_bus *bus = owner;
	uint32_t address = __atomic_load_n(&bus->config_address, __ATOMIC_RELAXED);

	if (off == 0 && size == 4)
		__atomic_store_n(&bus->config_address, value & CF8_IMPLEMENTED, __ATOMIC_RELAXED);
	else if (off >= CONFIG_DATA && address & CF8_ENABLE)
		bus_config_write(bus, address >> 8 & 0xffff,
				 (address & 0xfc) + (off - CONFIG_DATA), value, size);
}

static void cf8_describe(void *owner, uint64_t off, struct text *out)
{
	struct pci_bus *bus = owner;
	uint32_t address = __atomic_load_n(&bus->config_address, __ATOMIC_RELAXED);

	if (off < CONFIG_DATA)
		text_add(out, "address");
	else
		describe_config(address >> 8 & 0xffff, (address & 0xfc) + (off - CONFIG_DATA), out);
}

static const struct bus_ops cf8_ops = {
	.read = cf8_read,
	.write = cf8_write,
	.describe = cf8_describe,
};

/* --- Devices ---------------------------------------------------------------------------------- */

static int take_addresses(struct pci_window *window, uint64_t size, uint64_t *address)
{
	uint64_t at;

	if (__builtin_add_overflow(window->next, size - 1, &at))
		return -ENOSPC;
	at &= ~(size - 1);
	if (!range_fits(at - window->base, size, window->len))
		return -ENOSPC;
	window->next = at + size;
	*address = at;
	return 0;
}

/*
 * Initial addresses for all BARs. A 64-bit BAR also goes below 4 GiB while there is room: guests
 * without long mode can access it there.
 */
static int take_initial_addresses(struct pci_bus *bus, struct pci_dev *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];
		int ret;

		if (!bar->size)
			continue;
		ret = take_addresses(&bus->mmio32, bar->size, &bar->initial_address);
		if (ret && bar->is_64bit)
			ret = take_addresses(&bus->mmio64, bar->size, &bar->initial_address);
		if (ret)
			return ret;
	}
	return 0;
}

/* What firmware does at power-on. Locked. */
static void configure(struct pci_dev *dev)
{
	const struct pci_bus *bus = dev->bus;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if (dev->bars[i].size)
			pci_set_bar_address(dev, i, dev->bars[i].initial_address);
	if (dev->cfg[PCI_INTERRUPT_PIN])
		dev->cfg[PCI_INTERRUPT_LINE] = (uint8_t)bus->intx_gsis[PCI_SLOT(dev->devfn) % 4];
	dev->cfg[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	pci_update_bars(dev);
}

void pci_disconnect(struct pci_dev *dev)
{
	pthread_mutex_lock(dev->lock);
	dev->cfg[PCI_COMMAND] &= (uint8_t)~PCI_COMMAND_MEMORY;
	pci_update_bars(dev);
	pthread_mutex_unlock(dev->lock);
}

static bool all_mapped(const struct pci_dev *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (dev->bars[i].size && !dev->bars[i].mapped)
			return false;
	return true;
}

static int free_slot(const struct pci_bus *bus)
{
	for (int slot = 0; slot < PCI_SLOTS; slot++)
		if (!bus->devs[slot])
			return slot;
	return -ENOSPC;
}

int pci_add(struct pci_bus *bus, struct pci_dev *dev, int slot)
{
	struct pci_window mmio32 = bus->mmio32, mmio64 = bus->mmio64;
	int ret;

	if (slot < 0)
		slot = free_slot(bus);
	if (slot < 0 || slot >= PCI_SLOTS)
		return -ENOSPC;
	if (bus->devs[slot])
		return -EBUSY;

	ret = take_initial_addresses(bus, dev);
	if (ret)
		goto err_windows;
	dev->bus = bus;
	dev->devfn = (uint8_t)PCI_DEVFN(slot, 0);
	pthread_mutex_lock(dev->lock);
	configure(dev);
	pthread_mutex_unlock(dev->lock);
	if (!all_mapped(dev)) {
		ret = -EBUSY;
		goto err_disconnect;
	}
	bus->devs[slot] = dev;
	return 0;

err_disconnect:
	pci_disconnect(dev);
	dev->bus = NULL;
err_windows:
	bus->mmio32 = mmio32;
	bus->mmio64 = mmio64;
	return ret;
}

/*
 * All devices are unmapped before the first is mapped again: their BARs may be at others' initial
 * addresses.
 */
void pci_bus_reset(struct pci_bus *bus)
{
	each_dev(bus, pci_function_reset);
	each_dev(bus, configure);
	__atomic_store_n(&bus->config_address, 0, __ATOMIC_RELAXED);
}

/* --- The bridge itself ------------------------------------------------------------------------ */

static void bridge_destroy(struct pci_dev *dev)
{
	struct host_bridge *bridge = container_of(dev, struct host_bridge, dev);

	pthread_mutex_destroy(&bridge->lock);
	free(bridge);
}

static const struct pci_dev_ops bridge_ops = { .destroy = bridge_destroy };

static int add_bridge(struct pci_bus *bus)
{
	struct host_bridge *bridge = calloc(1, sizeof(*bridge));
	int ret;

	if (!bridge)
		return -ENOMEM;
	pthread_mutex_init(&bridge->lock, NULL);
	pci_dev_init(&bridge->dev, &bridge_ops, "host bridge", &bridge_ids, &bridge->lock);
	bridge->dev.cfg[PCI_INTERRUPT_PIN] = 0;
	ret = pci_add(bus, &bridge->dev, 0);
	if (ret)
		bridge_destroy(&bridge->dev);
	return ret;
}

static int add_config_ports(struct pci_bus *bus)
{
	int ret = bus_add(bus->pio, &bus->cf8);

	/* An address written to CF8 has no effect until CFC is accessed. */
	if (!ret)
		kvm_coalesce_port(bus->irqs->kvm, (uint16_t)bus->cf8.base, CONFIG_DATA);
	return ret;
}

int pci_bus_init(struct pci_bus *bus, const struct pci_bus_options *options)
{
	int ret;

	*bus = (struct pci_bus){
		.mmio = options->mmio,
		.pio = options->pio,
		.irqs = options->irqs,
		.ecam = { .base = options->ecam_base, .len = options->ecam_len, .ops = &ecam_ops,
			  .owner = bus, .name = "PCI ECAM" },
		.cf8 = { .base = options->config_port, .len = CF8_LEN, .ops = &cf8_ops,
			 .owner = bus, .name = "PCI CF8" },
		.mmio32 = { options->mmio32_base, options->mmio32_len, options->mmio32_base },
		.mmio64 = { options->mmio64_base, options->mmio64_len, options->mmio64_base },
	};
	memcpy(bus->intx_gsis, options->intx_gsis, sizeof(bus->intx_gsis));
	pthread_mutex_init(&bus->intx_lock, NULL);

	ret = add_bridge(bus);
	if (ret)
		goto err_lock;
	ret = bus_add(bus->mmio, &bus->ecam);
	if (ret)
		goto err_bridge;
	ret = bus->pio ? add_config_ports(bus) : 0;
	if (ret)
		goto err_ecam;
	return 0;

err_ecam:
	bus_remove(bus->mmio, &bus->ecam);
err_bridge:
	bridge_destroy(bus->devs[0]);
err_lock:
	pthread_mutex_destroy(&bus->intx_lock);
	log_error("pci: host bridge: %s", strerror(-ret));
	return ret;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		if (!bus->devs[i])
			continue;
		pci_disconnect(bus->devs[i]);
		bus->devs[i]->ops->destroy(bus->devs[i]);
		bus->devs[i] = NULL;
	}
	if (bus->pio)
		bus_remove(bus->pio, &bus->cf8);
	bus_remove(bus->mmio, &bus->ecam);
	pthread_mutex_destroy(&bus->intx_lock);
}
