/* SPDX-License-Identifier: Apache-2.0 */
#include "pci_rig.h"

#include "base/le.h"

int pci_rig_init(struct pci_rig *rig)
{
	const struct pci_bus_options options = {
		.mmio = &rig->mmio,
		.pio = &rig->pio,
		.irqs = &rig->irqs,
		.ecam_base = RIG_ECAM,
		.ecam_len = RIG_ECAM_LEN,
		.config_port = RIG_CF8,
		.mmio32_base = RIG_MMIO32,
		.mmio32_len = RIG_MMIO32_LEN,
		.mmio64_base = RIG_MMIO64,
		.mmio64_len = RIG_MMIO64_LEN,
		.intx_gsis = { 5, 10, 11, 7 },
	};
	int ret;

	fake_sys_init(&rig->fake);
	ret = kvm_init(&rig->kvm, &rig->fake.sys, 0);
	if (!ret)
		ret = loop_init(&rig->loop);
	if (!ret)
		ret = irqs_init(&rig->irqs, &rig->kvm, &rig->loop, NULL, 0);
	if (!ret)
		ret = bus_init(&rig->mmio);
	if (!ret)
		ret = bus_init(&rig->pio);
	if (!ret)
		ret = pci_bus_init(&rig->bus, &options);
	return ret;
}

void pci_rig_destroy(struct pci_rig *rig)
{
	pci_bus_destroy(&rig->bus);
	bus_destroy(&rig->pio);
	bus_destroy(&rig->mmio);
	irqs_destroy(&rig->irqs);
	loop_destroy(&rig->loop);
	kvm_destroy(&rig->kvm);
	fake_sys_destroy(&rig->fake);
}

int pci_rig_teardown(void **state)
{
	pci_rig_destroy(*state);
	free(*state);
	return 0;
}

/* --- The device ------------------------------------------------------------------------------- */

static struct rig_dev *from_pci(struct pci_dev *dev)
{
	return container_of(dev, struct rig_dev, dev);
}

static void dev_bar_changed(struct pci_dev *dev, unsigned index)
{
	struct rig_dev *d = from_pci(dev);

	if (d->bar_event_count < RIG_EVENTS) {
		d->bar_events[d->bar_event_count].index = index;
		d->bar_events[d->bar_event_count].mapped = dev->bars[index].mapped;
		d->bar_events[d->bar_event_count].base = dev->bars[index].region.base;
	}
	d->bar_event_count++;
}

static void dev_config_written(struct pci_dev *dev, unsigned off, unsigned len)
{
	struct rig_dev *d = from_pci(dev);

	d->writes++;
	d->write_off = off;
	d->write_len = len;
}

static void dev_config_reading(struct pci_dev *dev, unsigned off, unsigned len)
{
	struct rig_dev *d = from_pci(dev);

	(void)len;
	d->reads++;
	d->read_off = off;
}

static void dev_reset(struct pci_dev *dev)
{
	from_pci(dev)->resets++;
}

void rig_dev_free(struct rig_dev *d)
{
	if (d->destroyed)
		(*d->destroyed)++;
	for (unsigned i = 0; d->dev.msix && i < RIG_LINES; i++)
		irq_line_destroy(&d->lines[i].irq);
	msix_destroy(&d->msix);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void dev_destroy(struct pci_dev *dev)
{
	rig_dev_free(from_pci(dev));
}

static const struct pci_dev_ops dev_ops = {
	.bar_changed = dev_bar_changed,
	.config_written = dev_config_written,
	.config_reading = dev_config_reading,
	.reset = dev_reset,
	.destroy = dev_destroy,
};

static bool is_table(const struct rig_dev *d, uint64_t off)
{
	return d->dev.msix && off >= RIG_TABLE && off < RIG_PBA;
}

static uint64_t dev_bar_read(void *owner, uint64_t off, unsigned size)
{
	struct rig_dev *d = owner;
	uint64_t value = 0x1122334455667788;

	pthread_mutex_lock(&d->lock);
	if (is_table(d, off))
		value = msix_table_read(&d->msix, off - RIG_TABLE, size);
	else if (d->dev.msix && off >= RIG_PBA)
		value = msix_pba_read(&d->msix, off - RIG_PBA, size);
	pthread_mutex_unlock(&d->lock);
	return value;
}

static void dev_bar_write(void *owner, uint64_t off, uint64_t value, unsigned size)
{
	struct rig_dev *d = owner;

	pthread_mutex_lock(&d->lock);
	if (is_table(d, off)) {
		msix_table_write(&d->msix, off - RIG_TABLE, value, size);
	} else {
		d->bar_writes++;
		d->bar_write_off = off;
		d->bar_write_value = value;
	}
	pthread_mutex_unlock(&d->lock);
}

static const struct bus_ops dev_bar_ops = { .read = dev_bar_read, .write = dev_bar_write };

static void count_relay(struct irq_line *irq)
{
	container_of(irq, struct rig_line, irq)->d->relays++;
}

struct rig_dev *rig_dev_new(struct pci_rig *rig, const char *name)
{
	static const struct pci_ids ids = {
		.vendor = 0x1af4,
		.device = 0x1044,
		.subvendor = 0x1af4,
		.subdevice = 0x1100,
		.revision = 1,
		.class_code = 0x00ff00,
	};
	struct rig_dev *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->rig = rig;
	pthread_mutex_init(&d->lock, NULL);
	pci_dev_init(&d->dev, &dev_ops, name, &ids, &d->lock);
	return d;
}

void rig_dev_add_bar(struct rig_dev *d, unsigned index, uint64_t size, bool is_64bit)
{
	pci_add_bar(&d->dev, index, size, is_64bit, false, &dev_bar_ops, d);
}

int rig_dev_add_msix(struct rig_dev *d, unsigned vectors)
{
	int ret;

	rig_dev_add_bar(d, RIG_MSIX_BAR, RIG_BAR_SIZE, true);
	ret = msix_init(&d->msix, &d->dev, vectors, RIG_MSIX_BAR, RIG_TABLE, RIG_PBA, RIG_LINES);
	for (unsigned i = 0; !ret && i < RIG_LINES; i++) {
		d->lines[i].d = d;
		ret = irq_line_init(&d->lines[i].irq, &d->rig->irqs, count_relay);
		if (!ret)
			ret = msix_bind(&d->msix, &d->lines[i].irq, MSIX_NO_VECTOR);
	}
	return ret;
}

/* --- The guest -------------------------------------------------------------------------------- */

uint64_t rig_read(struct pci_rig *rig, uint64_t addr, unsigned size)
{
	uint8_t data[8];

	bus_read(&rig->mmio, addr, data, size);
	return get_le_bytes(data, size);
}

void rig_write(struct pci_rig *rig, uint64_t addr, uint64_t value, unsigned size)
{
	uint8_t data[8];

	put_le_bytes(data, value, size);
	bus_write(&rig->mmio, addr, data, size);
}

uint64_t rig_cfg_read(struct pci_rig *rig, unsigned slot, unsigned off, unsigned size)
{
	return rig_read(rig, RIG_ECAM + (slot << 15) + off, size);
}

void rig_cfg_write(struct pci_rig *rig, unsigned slot, unsigned off, uint64_t value,
		   unsigned size)
{
	rig_write(rig, RIG_ECAM + (slot << 15) + off, value, size);
}

uint32_t rig_in(struct pci_rig *rig, uint16_t port, unsigned size)
{
	uint8_t data[4];

	bus_read(&rig->pio, port, data, size);
	return (uint32_t)get_le_bytes(data, size);
}

void rig_out(struct pci_rig *rig, uint16_t port, uint32_t value, unsigned size)
{
	uint8_t data[4];

	put_le_bytes(data, value, size);
	bus_write(&rig->pio, port, data, size);
}

unsigned rig_find_cap(struct pci_rig *rig, unsigned slot, uint8_t id)
{
	unsigned off = 0;

	if (rig_cfg_read(rig, slot, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)
		off = (unsigned)rig_cfg_read(rig, slot, PCI_CAPABILITY_LIST, 1);
	while (off && rig_cfg_read(rig, slot, off, 1) != id)
		off = (unsigned)rig_cfg_read(rig, slot, off + PCI_CAP_LIST_NEXT, 1);
	return off;
}
