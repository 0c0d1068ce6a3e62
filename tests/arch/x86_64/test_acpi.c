/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables as a kernel would walk them; and, where acpica-tools is installed, as seen by
 * ACPICA's disassembler and compiler.
 */
#include "../../../arch/x86_64/acpi.h"
#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "base/le.h"
#include "unit.h"

#include <stdio.h>
#include <sys/wait.h>

struct tables {
	struct gmem mem;
	const uint8_t *rsdp, *xsdt, *fadt, *madt, *mcfg, *dsdt;
};

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

/* The table at `gpa`, checked: inside the area, length and checksum right. */
static const uint8_t *table_at(struct gmem *mem, uint64_t gpa, const char *signature)
{
	const uint8_t *table;
	uint32_t len;

	assert_in_range(gpa, ACPI_AREA_BASE, ACPI_AREA_END - 36);
	assert_int_equal(gpa % 8, 0);
	table = gmem_ptr(mem, gpa, 36);
	assert_non_null(table);
	assert_memory_equal(table, signature, 4);
	len = get_le32(table + 4);
	assert_in_range(len, 36, ACPI_AREA_END - gpa);
	assert_int_equal(sum(table, len), 0);
	return table;
}

static void build(struct tables *t, unsigned cpus, uint64_t ram_high_end)
{
	const struct gmem_range ram = { .gpa = 0, .len = 2 << 20 };
	const struct acpi_options options = { .cpus = cpus, .ram_high_end = ram_high_end };
	uint64_t gpa = 0;

	assert_int_equal(gmem_init(&t->mem, &ram, 1, &(struct gmem_options){ 0 }), 0);
	assert_int_equal(acpi_build(&t->mem, &options, &gpa), 0);

	assert_int_equal(gpa, ACPI_AREA_BASE);
	t->rsdp = gmem_ptr(&t->mem, gpa, 36);
	assert_memory_equal(t->rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(t->rsdp, 20), 0);
	assert_int_equal(sum(t->rsdp, 36), 0);
	assert_int_equal(t->rsdp[15], 2);
	assert_int_equal(get_le32(t->rsdp + 20), 36);

	t->xsdt = table_at(&t->mem, get_le64(t->rsdp + 24), "XSDT");
	assert_int_equal(get_le32(t->xsdt + 4), 36 + 3 * 8);
	t->fadt = table_at(&t->mem, get_le64(t->xsdt + 36), "FACP");
	t->madt = table_at(&t->mem, get_le64(t->xsdt + 44), "APIC");
	t->mcfg = table_at(&t->mem, get_le64(t->xsdt + 52), "MCFG");
	t->dsdt = table_at(&t->mem, get_le64(t->fadt + 140), "DSDT");
}

static void fadt_is_hardware_reduced(void **state)
{
	struct tables t;

	(void)state;
	build(&t, 1, X86_RAM_HIGH);
	assert_int_equal(t.fadt[8], 6);
	assert_int_equal(get_le32(t.fadt + 4), 276);
	assert_int_equal(get_le32(t.fadt + 40), get_le64(t.fadt + 140));
	/* HW_REDUCED_ACPI and RESET_REG_SUP; no fixed-hardware buttons; no VGA, 8042 or CMOS. */
	assert_int_equal(get_le32(t.fadt + 112) & (1 << 20 | 1 << 10 | 3 << 4),
			 1 << 20 | 1 << 10 | 3 << 4);
	assert_int_equal(get_le16(t.fadt + 109), 1 << 2 | 1 << 4 | 1 << 5);

	assert_memory_equal(t.fadt + 116, "\1\10\0\1", 4);
	assert_int_equal(get_le64(t.fadt + 120), X86_POWER_PORT + POWER_RESET);
	assert_int_equal(t.fadt[128], POWER_RESET_VALUE);
	assert_memory_equal(t.fadt + 244, "\1\10\0\1", 4);
	assert_int_equal(get_le64(t.fadt + 248), X86_POWER_PORT + POWER_SLEEP_CONTROL);
	assert_memory_equal(t.fadt + 256, "\1\10\0\1", 4);
	assert_int_equal(get_le64(t.fadt + 260), X86_POWER_PORT + POWER_SLEEP_STATUS);
	gmem_destroy(&t.mem);
}

static void mcfg_names_the_ecam(void **state)
{
	struct tables t;

	(void)state;
	build(&t, 1, X86_RAM_HIGH);
	assert_int_equal(get_le32(t.mcfg + 4), 60);
	assert_int_equal(get_le64(t.mcfg + 44), X86_ECAM_BASE);
	assert_int_equal(get_le16(t.mcfg + 52), 0);
	assert_int_equal(t.mcfg[54], 0);
	assert_int_equal(t.mcfg[55], 0);
	gmem_destroy(&t.mem);
}

/* Every CPU once, in order, with the kind of entry that its APIC id requires. */
static void check_madt(unsigned cpus)
{
	struct tables t;
	unsigned cpu = 0, ioapics = 0;

	build(&t, cpus, X86_RAM_HIGH);
	assert_int_equal(get_le32(t.madt + 36), X86_LAPIC_BASE);
	assert_int_equal(get_le32(t.madt + 40), 0); /* no 8259 */
	for (uint32_t at = 44; at < get_le32(t.madt + 4); at += t.madt[at + 1]) {
		const uint8_t *entry = t.madt + at;

		switch (entry[0]) {
		case 0:
			assert_int_equal(entry[1], 8);
			assert_in_range(cpu, 0, 254);
			assert_int_equal(entry[2], cpu);
			assert_int_equal(entry[3], cpu);
			assert_int_equal(get_le32(entry + 4), 1);
			cpu++;
			break;
		case 9:
			assert_int_equal(entry[1], 16);
			assert_in_range(cpu, 255, UINT32_MAX);
			assert_int_equal(get_le32(entry + 4), cpu);
			assert_int_equal(get_le32(entry + 8), 1);
			assert_int_equal(get_le32(entry + 12), cpu);
			cpu++;
			break;
		case 1:
			assert_int_equal(entry[1], 12);
			assert_int_equal(get_le32(entry + 4), X86_IOAPIC_BASE);
			assert_int_equal(get_le32(entry + 8), 0);
			ioapics++;
			break;
		default:
			fail_msg("MADT entry of type %u", entry[0]);
		}
	}
	assert_int_equal(cpu, cpus);
	assert_int_equal(ioapics, 1);
	gmem_destroy(&t.mem);
}

static void madt_names_every_cpu(void **state)
{
	static const unsigned cpus[] = { 1, 2, 4, 254, 255, 256, 1024, 4096 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++)
		check_madt(cpus[i]);
}

static bool contains(const uint8_t *table, const void *bytes, size_t len)
{
	return memmem(table, get_le32(table + 4), bytes, len);
}

/* A QWordMemory descriptor of the window, byte for byte (ACPI 6.4 §6.4.3.5.1). */
static void check_window(const uint8_t *dsdt, uint64_t base, uint64_t len)
{
	uint8_t want[46] = { 0x8a, 43, 0, 0, 0x0c, 1 };

	put_le64(want + 14, base);
	put_le64(want + 22, base + len - 1);
	put_le64(want + 38, len);
	assert_true(contains(dsdt, want, sizeof(want)));
}

static void pci_windows_follow_ram(void **state)
{
	static const struct {
		uint64_t ram_high_end, base;
	} cases[] = {
		{ X86_RAM_HIGH, 0x100000000 },
		{ 0x100001000, 0x140000000 },
		{ 0x140000000, 0x140000000 },
		{ 0x1000000000, 0x1000000000 },
	};
	struct tables t;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		build(&t, 1, cases[i].ram_high_end);
		check_window(t.dsdt, X86_PCI_MMIO32_BASE, X86_PCI_MMIO32_LEN);
		check_window(t.dsdt, cases[i].base, X86_PCI_MMIO64_LEN);
		gmem_destroy(&t.mem);
	}
}

static void routing_swizzles_all_slots(void **state)
{
	static const uint8_t gsis[] = X86_INTX_GSIS;
	struct tables t;

	(void)state;
	build(&t, 1, X86_RAM_HIGH);
	for (unsigned slot = 0; slot < 32; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			/* Package (4) { slot << 16 | 0xffff, pin, 0, GSI } without its length. */
			uint8_t want[16] = { 4 };
			size_t n = 1;

			if (slot == 0) {
				want[n++] = 0x0b;
				put_le16(want + n, 0xffff);
				n += 2;
			} else {
				want[n++] = 0x0c;
				put_le32(want + n, slot << 16 | 0xffff);
				n += 4;
			}
			if (pin > 1)
				want[n++] = 0x0a;
			want[n++] = (uint8_t)pin;
			want[n++] = 0;
			want[n++] = 0x0a;
			want[n++] = gsis[(slot + pin) % 4];
			assert_true(contains(t.dsdt, want, n));
		}
	}
	gmem_destroy(&t.mem);
}

/* What drivers/virt/vmgenid.c evaluates: Package (2) { lower half, upper half }. */
static void the_generation_id_is_found(void **state)
{
	static const char cid[] = "\x08_CID\x0dVM_Gen_Counter";
	uint8_t want[] = { 8, 'A', 'D', 'D', 'R', 0x12, 0x8a, 0, 0, 2, 0x0c, 0, 0, 0, 0, 0 };
	struct tables t;

	(void)state;
	put_le32(want + 11, X86_VMGENID);
	build(&t, 4096, X86_RAM_HIGH);
	assert_true(contains(t.dsdt, cid, sizeof(cid)));
	assert_true(contains(t.dsdt, want, sizeof(want)));
	/* Where no table is, also if they take as much room as they can. */
	assert_true(get_le64(t.rsdp + 24) + get_le32(t.xsdt + 4) <= X86_VMGENID);
	gmem_destroy(&t.mem);
}

static void too_many_cpus_are_refused(void **state)
{
	const struct gmem_range ram = { .gpa = 0, .len = 2 << 20 };
	struct acpi_options options = { .cpus = 100000, .ram_high_end = X86_RAM_HIGH };
	uint64_t gpa = 0;
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, &ram, 1, &(struct gmem_options){ 0 }), 0);
	/* Any number of CPUs either fits or is refused, and never exceeds the area. */
	for (options.cpus = 7000; options.cpus < 9000; options.cpus += 7) {
		int ret = acpi_build(&mem, &options, &gpa);

		assert_true(ret == 0 || ret == -ENOSPC);
		assert_int_equal(*(uint8_t *)gmem_ptr(&mem, X86_VMGENID, 1), 0);
	}
	options.cpus = UINT32_MAX;
	assert_int_equal(acpi_build(&mem, &options, &gpa), -ENOSPC);
	gmem_destroy(&mem);
}

static void no_ram_at_the_area_is_refused(void **state)
{
	const struct gmem_range ram = { .gpa = 0, .len = 0xf0000 };
	const struct acpi_options options = { .cpus = 1, .ram_high_end = X86_RAM_HIGH };
	uint64_t gpa = 0;
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, &ram, 1, &(struct gmem_options){ 0 }), 0);
	assert_int_equal(acpi_build(&mem, &options, &gpa), -EFAULT);
	gmem_destroy(&mem);
}

static void save(const char *dir, const char *name, const uint8_t *table)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(table, get_le32(table + 4), 1, file), 1);
	fclose(file);
}

/* ACPICA disassembles every table without complaint and compiles the DSDT back without warning. */
static void acpica_agrees(void **state)
{
	static const char script[] =
		"cd %s && for t in DSDT FACP APIC MCFG XSDT; do iasl -d $t.dat || exit 1; done >log 2>&1;"
		"! grep -Eiq 'error|warning|invalid|unknown' log *.dsl && "
		"iasl -ve DSDT.dsl | grep -q '0 Errors, 0 Warnings, 0 Remarks'; "
		"status=$?; rm -rf %s; exit $status";
	char dir[] = "/tmp/kinglet-acpi-XXXXXX", command[512];
	struct tables t;

	(void)state;
	if (access("/usr/bin/iasl", X_OK))
		skip();
	build(&t, 260, X86_RAM_HIGH);
	assert_non_null(mkdtemp(dir));
	save(dir, "DSDT", t.dsdt);
	save(dir, "FACP", t.fadt);
	save(dir, "APIC", t.madt);
	save(dir, "MCFG", t.mcfg);
	save(dir, "XSDT", t.xsdt);
	gmem_destroy(&t.mem);
	snprintf(command, sizeof(command), script, dir, dir);
	assert_int_equal(WEXITSTATUS(system(command)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fadt_is_hardware_reduced),
		cmocka_unit_test(mcfg_names_the_ecam),
		cmocka_unit_test(madt_names_every_cpu),
		cmocka_unit_test(pci_windows_follow_ram),
		cmocka_unit_test(routing_swizzles_all_slots),
		cmocka_unit_test(the_generation_id_is_found),
		cmocka_unit_test(too_many_cpus_are_refused),
		cmocka_unit_test(no_ram_at_the_area_is_refused),
		cmocka_unit_test(acpica_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
