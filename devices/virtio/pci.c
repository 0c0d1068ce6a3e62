/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device as a PCI function: its BAR, its capabilities, and its callbacks from the bus. */
#include "pci_internal.h"

#include "base/checked.h"
#include "base/log.h"

#include <string.h>

enum { VENDOR = 0x1af4, DEVICE_BASE = 0x1040, REVISION = 1 }; /* §4.1.2 */

static struct virtio_pci *of_pci(struct pci_dev *pci)
{
	return container_of(pci, struct virtio_pci, pci);
}

/* --- The BAR ---------------------------------------------------------------------------------- */

static uint64_t config_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	uint8_t bytes[8];

	virtio_config_read(vp->dev, (unsigned)off, bytes, size);
	return get_le_bytes(bytes, size);
}

static void config_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size)
{
	uint8_t bytes[8];

	put_le_bytes(bytes, value, size);
	virtio_config_write(vp->dev, (unsigned)off, bytes, size);
}

static uint64_t table_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	return msix_table_read(&vp->msix, off, size);
}

static void table_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size)
{
	msix_table_write(&vp->msix, off, value, size);
}

static uint64_t pba_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	return msix_pba_read(&vp->msix, off, size);
}

/*
 * Offsets are relative to the page and below its size; an access may end beyond it, which the
 * page's handler checks. Unused addresses read all-ones and ignore writes.
 */
static const struct {
	uint64_t (*read)(struct virtio_pci *vp, uint64_t off, unsigned size);
	void (*write)(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size);
} pages[BAR_SIZE >> PAGE_SHIFT] = {
	[COMMON_OFF >> PAGE_SHIFT] = { vp_common_read, vp_common_write },
	[ISR_OFF >> PAGE_SHIFT] = { vp_isr_read, NULL },
	[CONFIG_OFF >> PAGE_SHIFT] = { config_read, config_write },
	[NOTIFY_OFF >> PAGE_SHIFT] = { NULL, vp_notify_write },
	[TABLE_OFF >> PAGE_SHIFT] = { table_read, table_write },
	[PBA_OFF >> PAGE_SHIFT] = { pba_read, NULL },
};

/* `off` is inside the BAR; sizes 1, 2, 4, 8. Locked. */
static uint64_t bar_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	unsigned page = (unsigned)(off >> PAGE_SHIFT);

	return pages[page].read ? pages[page].read(vp, off % PAGE_LEN, size) : UINT64_MAX;
}

static void bar_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size)
{
	unsigned page = (unsigned)(off >> PAGE_SHIFT);

	if (pages[page].write)
		pages[page].write(vp, off % PAGE_LEN, value, size);
}

/* Set-up by the driver is not counted. Locked. */
static void count_exit(struct virtio_dev *dev)
{
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_count(&dev->guest_exits);
}

static uint64_t vp_bus_read(void *owner, uint64_t off, unsigned size)
{
	struct virtio_pci *vp = owner;
	uint64_t value;

	pthread_mutex_lock(&vp->dev->lock);
	count_exit(vp->dev);
	value = bar_read(vp, off, size);
	pthread_mutex_unlock(&vp->dev->lock);
	return value;
}

static void vp_bus_write(void *owner, uint64_t off, uint64_t value, unsigned size)
{
	struct virtio_pci *vp = owner;

	pthread_mutex_lock(&vp->dev->lock);
	count_exit(vp->dev);
	bar_write(vp, off, value, size);
	pthread_mutex_unlock(&vp->dev->lock);
}

/* The common structure's fields, §4.1.4.3, each at its first byte. */
static const char *common_field(uint64_t off)
{
	static const char *const names[COMMON_LEN] = {
		[VIRTIO_PCI_COMMON_DFSELECT] = "device_feature_select",
		[VIRTIO_PCI_COMMON_DF] = "device_feature",
		[VIRTIO_PCI_COMMON_GFSELECT] = "driver_feature_select",
		[VIRTIO_PCI_COMMON_GF] = "driver_feature",
		[VIRTIO_PCI_COMMON_MSIX] = "config_msix_vector",
		[VIRTIO_PCI_COMMON_NUMQ] = "num_queues",
		[VIRTIO_PCI_COMMON_STATUS] = "device_status",
		[VIRTIO_PCI_COMMON_CFGGENERATION] = "config_generation",
		[VIRTIO_PCI_COMMON_Q_SELECT] = "queue_select",
		[VIRTIO_PCI_COMMON_Q_SIZE] = "queue_size",
		[VIRTIO_PCI_COMMON_Q_MSIX] = "queue_msix_vector",
		[VIRTIO_PCI_COMMON_Q_ENABLE] = "queue_enable",
		[VIRTIO_PCI_COMMON_Q_NOFF] = "queue_notify_off",
		[VIRTIO_PCI_COMMON_Q_DESCLO] = "queue_desc",
		[VIRTIO_PCI_COMMON_Q_DESCHI] = "queue_desc, high half",
		[VIRTIO_PCI_COMMON_Q_AVAILLO] = "queue_driver",
		[VIRTIO_PCI_COMMON_Q_AVAILHI] = "queue_driver, high half",
		[VIRTIO_PCI_COMMON_Q_USEDLO] = "queue_device",
		[VIRTIO_PCI_COMMON_Q_USEDHI] = "queue_device, high half",
	};

	return off < COMMON_LEN ? names[off] : NULL;
}

static void vp_describe(void *owner, uint64_t off, struct text *out)
{
	static const char *const names[BAR_SIZE >> PAGE_SHIFT] = {
		[ISR_OFF >> PAGE_SHIFT] = "ISR status",
		[CONFIG_OFF >> PAGE_SHIFT] = "device configuration",
		[TABLE_OFF >> PAGE_SHIFT] = "MSI-X table",
		[PBA_OFF >> PAGE_SHIFT] = "MSI-X pending bits",
	};
	const char *name = names[off >> PAGE_SHIFT];

	(void)owner;
	if (off < PAGE_LEN)
		name = common_field(off);
	if (off >> PAGE_SHIFT == NOTIFY_OFF >> PAGE_SHIFT)
		text_add(out, "notification of queue %u",
			 (unsigned)(off % PAGE_LEN) / NOTIFY_MULTIPLIER);
	else if (name)
		text_add(out, "%s", name);
}

static const struct bus_ops vp_bus_ops = {
	.read = vp_bus_read,
	.write = vp_bus_write,
	.describe = vp_describe,
};

/* --- The window: access to the BAR through configuration space (§4.1.4.9) --------------------- */

enum { WINDOW_DATA = offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), WINDOW_DATA_LEN = 4 };

/* The target of the window, if it is a valid access (§4.1.4.9.1). */
static bool window_target(const struct virtio_pci *vp, uint32_t *off, unsigned *size)
{
	const uint8_t *cap = vp->pci.cfg + vp->window;
	uint32_t len = get_le32(cap + offsetof(struct virtio_pci_cap, length));

	*off = get_le32(cap + offsetof(struct virtio_pci_cap, offset));
	*size = len;
	return cap[offsetof(struct virtio_pci_cap, bar)] == BAR &&
	       (len == 1 || len == 2 || len == 4) && *off % len == 0 &&
	       range_fits(*off, len, BAR_SIZE);
}

static bool touches_window(const struct virtio_pci *vp, unsigned off, unsigned len)
{
	return ranges_overlap(off, len, vp->window + WINDOW_DATA, WINDOW_DATA_LEN);
}

static void vp_config_reading(struct pci_dev *pci, unsigned off, unsigned len)
{
	struct virtio_pci *vp = of_pci(pci);
	uint32_t target;
	unsigned size;

	if (touches_window(vp, off, len) && window_target(vp, &target, &size))
		put_le_bytes(pci->cfg + vp->window + WINDOW_DATA, bar_read(vp, target, size), size);
}

static void vp_config_written(struct pci_dev *pci, unsigned off, unsigned len)
{
	struct virtio_pci *vp = of_pci(pci);
	uint32_t target;
	unsigned size;

	if (ranges_overlap(off, len, PCI_COMMAND, 2))
		virtio_allow_dma(vp->dev, vp_is_bus_master(vp));
	if (touches_window(vp, off, len) && window_target(vp, &target, &size))
		bar_write(vp, target, get_le_bytes(pci->cfg + vp->window + WINDOW_DATA, size),
			  size);
}

/* --- The PCI function ------------------------------------------------------------------------- */

static void vp_bar_changed(struct pci_dev *pci, unsigned index)
{
	(void)index;
	vp_place_ioeventfds(of_pci(pci));
}

static void vp_reset(struct pci_dev *pci)
{
	virtio_reset(of_pci(pci)->dev);
	virtio_allow_dma(of_pci(pci)->dev, false);
	vp_reset_registers(of_pci(pci));
}

static void vp_destroy(struct pci_dev *pci)
{
	struct virtio_pci *vp = of_pci(pci);
	struct virtio_dev *dev = vp->dev;

	pthread_mutex_lock(&dev->lock);
	virtio_reset(dev);
	pthread_mutex_unlock(&dev->lock);
	msix_destroy(&vp->msix);
	dev->model->destroy(dev);
	free(vp->kick_gpas);
	free(vp);
}

static const struct pci_dev_ops vp_pci_ops = {
	.bar_changed = vp_bar_changed,
	.config_written = vp_config_written,
	.config_reading = vp_config_reading,
	.reset = vp_reset,
	.state = vp_state,
	.destroy = vp_destroy,
};

/* Adds a capability of `len` bytes that describes a structure (§4.1.4); returns its offset. */
static int add_cap(struct virtio_pci *vp, uint8_t type, unsigned len, uint32_t offset,
		   uint32_t length)
{
	int at = pci_add_cap(&vp->pci, PCI_CAP_ID_VNDR, len);
	uint8_t *cap;

	if (at < 0)
		return at;
	cap = vp->pci.cfg + at;
	cap[offsetof(struct virtio_pci_cap, cap_len)] = (uint8_t)len;
	cap[offsetof(struct virtio_pci_cap, cfg_type)] = type;
	cap[offsetof(struct virtio_pci_cap, bar)] = BAR;
	put_le32(cap + offsetof(struct virtio_pci_cap, offset), offset);
	put_le32(cap + offsetof(struct virtio_pci_cap, length), length);
	return at;
}

static int add_notify_cap(struct virtio_pci *vp)
{
	int at = add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(struct virtio_pci_notify_cap),
			 NOTIFY_OFF, NOTIFY_MULTIPLIER * vp->dev->queue_count);

	if (at < 0)
		return at;
	put_le32(vp->pci.cfg + at + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier),
		 NOTIFY_MULTIPLIER);
	return 0;
}

static int add_window(struct virtio_pci *vp)
{
	int at = add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, sizeof(struct virtio_pci_cfg_cap), 0, 0);
	uint8_t *writable;

	if (at < 0)
		return at;
	writable = vp->pci.writable + at;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	put_le32(writable + offsetof(struct virtio_pci_cap, offset), UINT32_MAX);
	put_le32(writable + offsetof(struct virtio_pci_cap, length), UINT32_MAX);
	put_le32(writable + WINDOW_DATA, UINT32_MAX);
	vp->window = (uint8_t)at;
	return 0;
}

static int add_caps(struct virtio_pci *vp)
{
	unsigned config_len = vp->dev->config_len;
	int ret;

	ret = add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(struct virtio_pci_cap), COMMON_OFF,
		      COMMON_LEN);
	if (ret >= 0)
		ret = add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, sizeof(struct virtio_pci_cap), ISR_OFF,
			      1);
	if (ret >= 0 && config_len)
		ret = add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(struct virtio_pci_cap),
			      CONFIG_OFF, config_len);
	if (ret >= 0)
		ret = add_notify_cap(vp);
	if (ret >= 0)
		ret = add_window(vp);
	return ret < 0 ? ret : 0;
}

/* All steps before the device is visible on the bus. */
static int prepare(struct virtio_pci *vp)
{
	struct virtio_dev *dev = vp->dev;
	const struct pci_ids ids = {
		.vendor = VENDOR,
		.device = DEVICE_BASE + dev->model->id,
		.subvendor = VENDOR,
		.subdevice = DEVICE_BASE + dev->model->id,
		.revision = REVISION,
		.class_code = dev->model->pci_class,
	};
	unsigned lines = dev->queue_count + 1;
	int ret;

	if (dev->queue_count > MAX_QUEUES || dev->config_len > PAGE_LEN)
		return -EINVAL;
	vp->kick_gpas = calloc(lines, sizeof(*vp->kick_gpas));
	if (!vp->kick_gpas)
		return -ENOMEM;
	pci_dev_init(&vp->pci, &vp_pci_ops, dev->name, &ids, &dev->lock);
	pci_add_bar(&vp->pci, BAR, BAR_SIZE, true, false, &vp_bus_ops, vp);
	ret = add_caps(vp);
	if (ret)
		return ret;
	ret = msix_init(&vp->msix, &vp->pci, lines, BAR, TABLE_OFF, PBA_OFF, lines);
	if (ret)
		return ret;

	virtio_allow_dma(dev, false);
	vp->transport.ops = &vp_transport_ops;
	dev->transport = &vp->transport;
	return vp_init_lines(vp);
}

int virtio_pci_add(struct pci_bus *bus, struct virtio_dev *dev)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int ret = -ENOMEM;

	if (!vp)
		goto err_dev;
	vp->dev = dev;
	ret = prepare(vp);
	if (!ret)
		ret = pci_add(bus, &vp->pci, -1);
	if (ret)
		goto err_vp;
	return 0;

err_vp:
	msix_destroy(&vp->msix);
	free(vp->kick_gpas);
	free(vp);
err_dev:
	log_error("%s: PCI: %s", dev->name, strerror(-ret));
	dev->model->destroy(dev);
	return ret;
}
