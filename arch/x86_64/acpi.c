/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware-reduced ACPI (ACPI 6.4 §4.1): no PM timer, no SCI, no FACS, no legacy devices. It is the
 * smallest description of this machine, and a kernel does not probe for absent devices: it skips
 * 8259 and PIT set-up, the 8042, VGA text memory and the CMOS clock.
 */
#include "acpi.h"

#include "aml.h"
#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "base/le.h"

/* Local APIC id 255 is the broadcast: from there on CPUs need x2APIC entries. */
enum { XAPIC_IDS = 255 };

/* §5.2.6 */
struct acpi_header {
	char signature[4];
	struct le32 len;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	struct le32 oem_revision;
	char creator_id[4];
	struct le32 creator_revision;
};
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4 table 5.4");

/* §5.2.5.3 */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	struct le32 rsdt;
	struct le32 len;
	struct le64 xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.4 table 5.3");
enum { RSDP_V1_LEN = 20 };

/* §5.2.3.2 */
struct acpi_gas {
	uint8_t space, bits, offset, access;
	struct le64 address;
};
enum { GAS_SYSTEM_IO = 1, GAS_ACCESS_BYTE = 1 };

/* §5.2.9, after the header. Fields that hardware-reduced ACPI ignores have no name. */
struct acpi_fadt {
	struct le32 facs, dsdt;
	uint8_t reserved1[65];
	struct le16 boot_flags;
	uint8_t reserved2;
	struct le32 flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	uint8_t arm_boot_flags[2];
	uint8_t minor_revision;
	struct le64 x_facs, x_dsdt;
	uint8_t reserved3[8 * sizeof(struct acpi_gas)];
	struct acpi_gas sleep_control, sleep_status;
	uint8_t hypervisor_id[8];
};
_Static_assert(sizeof(struct acpi_header) + sizeof(struct acpi_fadt) == 276, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, boot_flags) == 109 - 36, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116 - 36, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140 - 36, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244 - 36, "ACPI 6.4 table 5.9");

enum {
	FADT_NO_VGA = 1 << 2,
	FADT_NO_ASPM = 1 << 4,
	FADT_NO_CMOS_RTC = 1 << 5,

	FADT_WBINVD = 1 << 0,
	FADT_POWER_BUTTON_IS_DEVICE = 1 << 4, /* or absent: no fixed-hardware button */
	FADT_SLEEP_BUTTON_IS_DEVICE = 1 << 5,
	FADT_RESET_REG = 1 << 10,
	FADT_HEADLESS = 1 << 12,
	FADT_HW_REDUCED = 1 << 20,
};

/* §5.2.12.2, §5.2.12.3 and §5.2.12.12 */
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_X2APIC = 9, MADT_CPU_ENABLED = 1 };

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static size_t table_begin(struct aml *out, const char *signature, uint8_t revision)
{
	struct acpi_header header = {
		.revision = revision,
		.oem_revision = le32_of(1),
		.creator_revision = le32_of(1),
	};
	size_t at;

	memcpy(header.signature, signature, 4);
	memcpy(header.oem_id, "KNGLET", 6);
	memcpy(header.oem_table_id, "KINGLET ", 8);
	memcpy(header.creator_id, "KNGL", 4);
	aml_align(out, 16);
	at = out->len;
	aml_bytes(out, &header, sizeof(header));
	return at;
}

/* Fills in length and checksum; returns the table's GPA. */
static uint64_t table_end(struct aml *out, size_t at)
{
	struct acpi_header *header = (struct acpi_header *)(out->data + at);

	if (!out->full) {
		header->len = le32_of((uint32_t)(out->len - at));
		header->checksum = (uint8_t)-sum(out->data + at, out->len - at);
	}
	return ACPI_AREA_BASE + at;
}

/* The interrupt pins of the 32 slots, wired to GSIs without link devices (§6.2.13). */
static void pci_routing(struct aml *out)
{
	static const uint8_t gsis[] = X86_INTX_GSIS;
	size_t table, entry;

	aml_name(out, "_PRT");
	table = aml_package(out, 32 * 4);
	for (unsigned slot = 0; slot < 32; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			entry = aml_package(out, 4);
			aml_integer(out, slot << 16 | 0xffff); /* any function */
			aml_integer(out, pin);
			aml_integer(out, 0);
			aml_integer(out, gsis[(slot + pin) % 4]);
			aml_end(out, entry);
		}
	}
	aml_end(out, table);
}

static void pci_root(struct aml *out, const struct acpi_options *options)
{
	size_t device = aml_device(out, "PCI0");
	size_t resources;

	aml_name(out, "_HID");
	aml_eisa_id(out, "PNP0A08");
	aml_name(out, "_CID");
	aml_eisa_id(out, "PNP0A03");
	aml_name(out, "_UID");
	aml_integer(out, 0);
	resources = aml_resources(out);
	aml_bus_window(out, 0, 1);
	aml_io(out, X86_PCI_CONFIG_ADDRESS, 8);
	aml_memory_window(out, X86_PCI_MMIO32_BASE, X86_PCI_MMIO32_LEN);
	aml_memory_window(out, x86_pci_mmio64_base(options->ram_high_end), X86_PCI_MMIO64_LEN);
	aml_resources_end(out, resources);
	pci_routing(out);
	aml_end(out, device);
}

static void com1(struct aml *out)
{
	size_t device = aml_device(out, "COM1");
	size_t resources;

	aml_name(out, "_HID");
	aml_eisa_id(out, "PNP0501");
	aml_name(out, "_UID");
	aml_integer(out, 1);
	resources = aml_resources(out);
	aml_io(out, X86_COM1_PORT, 8);
	aml_irq_edge(out, X86_COM1_GSI);
	aml_resources_end(out, resources);
	aml_end(out, device);
}

/*
 * ECAM and the power block, which no other device claims. Linux trusts the MCFG only if a
 * motherboard device reserves the range.
 */
static void motherboard(struct aml *out)
{
	size_t device = aml_device(out, "MBRD");
	size_t resources;

	aml_name(out, "_HID");
	aml_eisa_id(out, "PNP0C02");
	aml_name(out, "_UID");
	aml_integer(out, 0);
	resources = aml_resources(out);
	aml_memory32(out, X86_ECAM_BASE, X86_ECAM_LEN);
	aml_io(out, X86_POWER_PORT, POWER_BLOCK_LEN);
	aml_resources_end(out, resources);
	aml_end(out, device);
}

static void power_button(struct aml *out)
{
	size_t device = aml_device(out, "PWRB");

	aml_name(out, "_HID");
	aml_eisa_id(out, "PNP0C0C");
	aml_end(out, device);
}

static void notify_if(struct aml *out, uint32_t event, const char *device)
{
	size_t branch = aml_if(out);

	aml_and(out, AML_LOCAL0, event);
	aml_notify(out, device, 0x80);
	aml_end(out, branch);
}

/* The generic event device (§5.6.9), which signals for those that have no interrupt. */
static void event_device(struct aml *out)
{
	size_t device = aml_device(out, "GED_");
	size_t resources, method;

	aml_name(out, "_HID");
	aml_string(out, "ACPI0013");
	aml_name(out, "_UID");
	aml_integer(out, 0);
	resources = aml_resources(out);
	aml_irq_level(out, X86_POWER_GSI);
	aml_resources_end(out, resources);
	aml_io_dword(out, "EVTR", "EVTS", X86_POWER_PORT + POWER_EVENTS);
	method = aml_method(out, "_EVT", 1);
	aml_store(out, "EVTS", AML_LOCAL0); /* the read clears the events */
	notify_if(out, POWER_EVENT_BUTTON, "PWRB");
	notify_if(out, POWER_EVENT_VMGENID, "VGEN");
	aml_end(out, method);
	aml_end(out, device);
}

/* Drivers find it by its _CID, which Microsoft's "Virtual Machine Generation ID" defines. */
static void vmgenid(struct aml *out)
{
	size_t device = aml_device(out, "VGEN");
	size_t package;

	aml_name(out, "_HID");
	aml_string(out, "KNGL0001");
	aml_name(out, "_CID");
	aml_string(out, "VM_Gen_Counter");
	aml_name(out, "_DDN");
	aml_string(out, "VM_Gen_Counter");
	aml_name(out, "ADDR");
	package = aml_package(out, 2);
	aml_integer(out, X86_VMGENID);
	aml_integer(out, 0); /* its upper half */
	aml_end(out, package);
	aml_end(out, device);
}

static void pvpanic(struct aml *out)
{
	size_t device = aml_device(out, "PEVT");
	size_t resources;

	aml_name(out, "_HID");
	aml_string(out, "QEMU0001");
	resources = aml_resources(out);
	aml_io(out, X86_PVPANIC_PORT, 1);
	aml_resources_end(out, resources);
	aml_end(out, device);
}

static uint64_t build_dsdt(struct aml *out, const struct acpi_options *options)
{
	size_t table = table_begin(out, "DSDT", 2);
	size_t scope, package;

	scope = aml_scope(out, "\\_SB_");
	pci_root(out, options);
	com1(out);
	motherboard(out);
	power_button(out);
	vmgenid(out);
	event_device(out);
	pvpanic(out);
	aml_end(out, scope);

	aml_name(out, "_S5_");
	package = aml_package(out, 2);
	aml_integer(out, POWER_SLEEP_TYPE_S5);
	aml_integer(out, 0);
	aml_end(out, package);
	return table_end(out, table);
}

static struct acpi_gas power_register(unsigned offset)
{
	return (struct acpi_gas){
		.space = GAS_SYSTEM_IO,
		.bits = 8,
		.access = GAS_ACCESS_BYTE,
		.address = le64_of(X86_POWER_PORT + offset),
	};
}

static uint64_t build_fadt(struct aml *out, uint64_t dsdt)
{
	const struct acpi_fadt fadt = {
		.dsdt = le32_of((uint32_t)dsdt),
		.boot_flags = le16_of(FADT_NO_VGA | FADT_NO_ASPM | FADT_NO_CMOS_RTC),
		.flags = le32_of(FADT_WBINVD | FADT_POWER_BUTTON_IS_DEVICE |
				 FADT_SLEEP_BUTTON_IS_DEVICE | FADT_RESET_REG | FADT_HEADLESS |
				 FADT_HW_REDUCED),
		.reset = power_register(POWER_RESET),
		.reset_value = POWER_RESET_VALUE,
		.minor_revision = 4,
		.x_dsdt = le64_of(dsdt),
		.sleep_control = power_register(POWER_SLEEP_CONTROL),
		.sleep_status = power_register(POWER_SLEEP_STATUS),
		.hypervisor_id = "Kinglet",
	};
	size_t table = table_begin(out, "FACP", 6);

	aml_bytes(out, &fadt, sizeof(fadt));
	return table_end(out, table);
}

/*
 * CPU n has APIC id n. No PCAT_COMPAT and no interrupt source overrides: no device uses an 8259,
 * and the pins of PCI and of the event device are described in the DSDT.
 */
static uint64_t build_madt(struct aml *out, const struct acpi_options *options)
{
	size_t table = table_begin(out, "APIC", 5);

	aml_raw(out, X86_LAPIC_BASE, 4);
	aml_raw(out, 0, 4); /* flags */
	for (unsigned cpu = 0; cpu < options->cpus && !out->full; cpu++) {
		if (cpu < XAPIC_IDS) {
			aml_raw(out, MADT_LAPIC, 1);
			aml_raw(out, 8, 1);
			aml_raw(out, cpu, 1); /* UID */
			aml_raw(out, cpu, 1); /* APIC id */
			aml_raw(out, MADT_CPU_ENABLED, 4);
		} else {
			aml_raw(out, MADT_X2APIC, 1);
			aml_raw(out, 16, 1);
			aml_raw(out, 0, 2);
			aml_raw(out, cpu, 4); /* APIC id */
			aml_raw(out, MADT_CPU_ENABLED, 4);
			aml_raw(out, cpu, 4); /* UID */
		}
	}
	aml_raw(out, MADT_IOAPIC, 1);
	aml_raw(out, 12, 1);
	aml_raw(out, 0, 2); /* id */
	aml_raw(out, X86_IOAPIC_BASE, 4);
	aml_raw(out, 0, 4); /* first GSI */
	return table_end(out, table);
}

/* PCI Firmware Specification 3.3 §4.1.2 */
static uint64_t build_mcfg(struct aml *out)
{
	size_t table = table_begin(out, "MCFG", 1);

	aml_raw(out, 0, 8);
	aml_raw(out, X86_ECAM_BASE, 8);
	aml_raw(out, 0, 2); /* segment */
	aml_raw(out, 0, 1); /* first bus */
	aml_raw(out, X86_ECAM_LEN / 0x100000 - 1, 1);
	aml_raw(out, 0, 4);
	return table_end(out, table);
}

int acpi_build(struct gmem *mem, const struct acpi_options *options, uint64_t *rsdp_gpa)
{
	struct aml out = { .capacity = ACPI_TABLES_END - ACPI_AREA_BASE };
	struct acpi_rsdp *rsdp;
	uint64_t xsdt, tables[3];
	size_t table;

	out.data = gmem_ptr(mem, ACPI_AREA_BASE, out.capacity);
	if (!out.data)
		return -EFAULT;

	/* The RSDP comes first, where a kernel that scans the area finds it at once. */
	rsdp = (struct acpi_rsdp *)out.data;
	out.len = sizeof(*rsdp);
	tables[0] = build_fadt(&out, build_dsdt(&out, options));
	tables[1] = build_madt(&out, options);
	tables[2] = build_mcfg(&out);

	table = table_begin(&out, "XSDT", 1);
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
		aml_raw(&out, tables[i], 8);
	xsdt = table_end(&out, table);
	if (out.full)
		return -ENOSPC;

	*rsdp = (struct acpi_rsdp){
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem_id = { 'K', 'N', 'G', 'L', 'E', 'T' },
		.revision = 2,
		.len = le32_of(sizeof(*rsdp)),
		.xsdt = le64_of(xsdt),
	};
	rsdp->checksum = (uint8_t)-sum(out.data, RSDP_V1_LEN);
	rsdp->extended_checksum = (uint8_t)-sum(out.data, sizeof(*rsdp));
	gmem_written(mem, out.data, out.len);
	*rsdp_gpa = ACPI_AREA_BASE;
	return 0;
}
