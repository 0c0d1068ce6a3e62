/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_guest.h"

#include "base/checked.h"
#include "base/le.h"
#include "unit.h"

void virtio_guest_init(struct virtio_guest *g)
{
	const struct pci_bus_options options = {
		.mmio = &g->mmio,
		.irqs = &g->env.irqs,
		.ecam_base = GUEST_ECAM,
		.ecam_len = 1 << 20,
		.mmio32_base = GUEST_MMIO32,
		.mmio32_len = GUEST_MMIO32_LEN,
		.mmio64_base = 1ULL << 36,
		.mmio64_len = 1ULL << 30,
		.intx_gsis = { 10, 10, 11, 11 },
	};

	memset(g, 0, sizeof(*g));
	mock_env_init_with(&g->env, &(struct gmem_options){ .shared = true });
	assert_int_equal(bus_init(&g->mmio), 0);
	assert_int_equal(pci_bus_init(&g->pci, &options), 0);
}

void virtio_guest_destroy(struct virtio_guest *g)
{
	pci_bus_destroy(&g->pci);
	bus_destroy(&g->mmio);
	mock_env_destroy(&g->env);
}

uint64_t guest_read(struct virtio_guest *g, uint64_t gpa, unsigned size)
{
	uint8_t data[8];

	bus_read(&g->mmio, gpa, data, size);
	return get_le_bytes(data, size);
}

int guest_ioeventfd(struct virtio_guest *g, uint64_t gpa)
{
	const struct fake_sys *fake = &g->env.fake;

	for (unsigned i = 0; i < fake->ioeventfd_count; i++)
		if (fake->ioeventfds[i].addr == gpa)
			return fake->ioeventfds[i].fd;
	return -1;
}

void guest_write(struct virtio_guest *g, uint64_t gpa, uint64_t value, unsigned size)
{
	int fd = guest_ioeventfd(g, gpa);
	uint8_t data[8];

	if (fd >= 0) {
		eventfd_signal(fd);
		return;
	}
	put_le_bytes(data, value, size);
	bus_write(&g->mmio, gpa, data, size);
}

static uint64_t cfg_gpa(const struct virtio_guest *g, unsigned off)
{
	return GUEST_ECAM + ((uint64_t)g->slot << 15) + off;
}

uint32_t guest_cfg_read(struct virtio_guest *g, unsigned off, unsigned size)
{
	return (uint32_t)guest_read(g, cfg_gpa(g, off), size);
}

void guest_cfg_write(struct virtio_guest *g, unsigned off, uint32_t value, unsigned size)
{
	guest_write(g, cfg_gpa(g, off), value, size);
}

/* --- Probe --- */

static struct guest_region region_of(struct virtio_guest *g, unsigned cap)
{
	uint32_t off = guest_cfg_read(g, cap + offsetof(struct virtio_pci_cap, offset), 4);
	uint32_t len = guest_cfg_read(g, cap + offsetof(struct virtio_pci_cap, length), 4);

	assert_int_equal(guest_cfg_read(g, cap + offsetof(struct virtio_pci_cap, bar), 1), 0);
	assert_true(len && range_fits(off, len, g->bar_size));
	return (struct guest_region){ g->bar + off, len };
}

static void probe_vendor_cap(struct virtio_guest *g, unsigned cap)
{
	unsigned type = guest_cfg_read(g, cap + offsetof(struct virtio_pci_cap, cfg_type), 1);
	unsigned len = guest_cfg_read(g, cap + offsetof(struct virtio_pci_cap, cap_len), 1);

	assert_true(len >= sizeof(struct virtio_pci_cap));
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		g->common = region_of(g, cap);
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		assert_true(len >= sizeof(struct virtio_pci_notify_cap));
		g->notify = region_of(g, cap);
		g->notify_multiplier = guest_cfg_read(
			g, cap + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier), 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		g->isr = region_of(g, cap);
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		g->config = region_of(g, cap);
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		assert_true(len >= sizeof(struct virtio_pci_cfg_cap));
		g->window = cap;
		break;
	default:
		fail_msg("virtio capability of type %u", type);
	}
}

static void probe_msix(struct virtio_guest *g, unsigned cap)
{
	g->msix = cap;
	g->vectors = (guest_cfg_read(g, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	g->table = g->bar + (guest_cfg_read(g, cap + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET);
	g->pba = g->bar + (guest_cfg_read(g, cap + PCI_MSIX_PBA, 4) & PCI_MSIX_PBA_OFFSET);
}

static void probe_bar(struct virtio_guest *g)
{
	uint32_t low = guest_cfg_read(g, PCI_BASE_ADDRESS_0, 4);
	uint32_t high = guest_cfg_read(g, PCI_BASE_ADDRESS_1, 4);
	uint32_t command = guest_cfg_read(g, PCI_COMMAND, 2);

	assert_int_equal(low & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
	g->bar = (uint64_t)high << 32 | (low & ~0xfU);
	guest_cfg_write(g, PCI_COMMAND, command & ~(uint32_t)PCI_COMMAND_MEMORY, 2);
	guest_cfg_write(g, PCI_BASE_ADDRESS_0, UINT32_MAX, 4);
	g->bar_size = ~(guest_cfg_read(g, PCI_BASE_ADDRESS_0, 4) & ~0xfU) + 1U;
	guest_cfg_write(g, PCI_BASE_ADDRESS_0, low, 4);
	guest_cfg_write(g, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

void guest_probe(struct virtio_guest *g, unsigned slot)
{
	unsigned cap, count = 0;

	g->slot = slot;
	assert_int_equal(guest_cfg_read(g, PCI_VENDOR_ID, 2), 0x1af4);
	assert_true(guest_cfg_read(g, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	probe_bar(g);
	for (cap = guest_cfg_read(g, PCI_CAPABILITY_LIST, 1); cap;
	     cap = guest_cfg_read(g, cap + PCI_CAP_LIST_NEXT, 1)) {
		uint32_t id = guest_cfg_read(g, cap, 1);

		assert_true(++count < 48);
		if (id == PCI_CAP_ID_VNDR)
			probe_vendor_cap(g, cap);
		else if (id == PCI_CAP_ID_MSIX)
			probe_msix(g, cap);
		else if (id == PCI_CAP_ID_AF)
			g->af = cap;
	}
	assert_true(g->common.len >= sizeof(struct virtio_pci_common_cfg));
	assert_true(g->notify.len && g->isr.len);
}

/* --- Driver --- */

uint64_t guest_offered(struct virtio_guest *g)
{
	uint64_t features;

	common_set(g, device_feature_select, 0);
	features = common_get(g, device_feature);
	common_set(g, device_feature_select, 1);
	return features | common_get(g, device_feature) << 32;
}

static void add_status(struct virtio_guest *g, uint8_t bits)
{
	common_set(g, device_status, common_get(g, device_status) | bits);
}

bool guest_negotiate(struct virtio_guest *g, uint64_t features)
{
	return guest_negotiate_exactly(g, features | 1ULL << VIRTIO_F_VERSION_1);
}

bool guest_negotiate_exactly(struct virtio_guest *g, uint64_t features)
{
	guest_reset(g);
	add_status(g, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(g, VIRTIO_CONFIG_S_DRIVER);
	common_set(g, guest_feature_select, 0);
	common_set(g, guest_feature, (uint32_t)features);
	common_set(g, guest_feature_select, 1);
	common_set(g, guest_feature, features >> 32);
	add_status(g, VIRTIO_CONFIG_S_FEATURES_OK);
	return common_get(g, device_status) & VIRTIO_CONFIG_S_FEATURES_OK;
}

void guest_setup_queue(struct virtio_guest *g, unsigned index, const struct mock_ring *ring,
		       uint16_t vector)
{
	common_set(g, queue_select, index);
	assert_true(common_get(g, queue_size) >= ring->size);
	assert_int_equal(common_get(g, queue_enable), 0);
	common_set(g, queue_size, ring->size);
	common_set(g, queue_desc_lo, (uint32_t)ring->desc);
	common_set(g, queue_desc_hi, ring->desc >> 32);
	common_set(g, queue_avail_lo, (uint32_t)ring->avail);
	common_set(g, queue_avail_hi, ring->avail >> 32);
	common_set(g, queue_used_lo, (uint32_t)ring->used);
	common_set(g, queue_used_hi, ring->used >> 32);
	if (vector != VIRTIO_MSI_NO_VECTOR) {
		common_set(g, queue_msix_vector, vector);
		assert_int_equal(common_get(g, queue_msix_vector), vector);
	}
	common_set(g, queue_enable, 1);
	assert_int_equal(common_get(g, queue_enable), 1);
}

void guest_driver_ok(struct virtio_guest *g)
{
	add_status(g, VIRTIO_CONFIG_S_DRIVER_OK);
}

void guest_reset(struct virtio_guest *g)
{
	common_set(g, device_status, 0);
	assert_int_equal(common_get(g, device_status), 0);
}

uint64_t guest_notify_gpa(struct virtio_guest *g, unsigned index)
{
	uint64_t off;

	common_set(g, queue_select, index);
	off = common_get(g, queue_notify_off) * g->notify_multiplier;
	/* §4.1.4.4.1 */
	assert_true(range_fits(off, 2, g->notify.len));
	return g->notify.gpa + off;
}

void guest_kick(struct virtio_guest *g, unsigned index)
{
	guest_write(g, guest_notify_gpa(g, index), index, 2);
}

void guest_msix_enable(struct virtio_guest *g, bool enable)
{
	guest_cfg_write(g, g->msix + PCI_MSIX_FLAGS, enable ? PCI_MSIX_FLAGS_ENABLE : 0, 2);
}

void guest_set_vector(struct virtio_guest *g, unsigned vector, uint64_t address, uint32_t data,
		      bool masked)
{
	uint64_t entry = g->table + vector * PCI_MSIX_ENTRY_SIZE;

	guest_write(g, entry + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)address, 4);
	guest_write(g, entry + PCI_MSIX_ENTRY_UPPER_ADDR, address >> 32, 4);
	guest_write(g, entry + PCI_MSIX_ENTRY_DATA, data, 4);
	guest_write(g, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, masked, 4);
}
