/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree. (Devicetree specification 0.4; Linux Documentation/devicetree/bindings, for the
 * names in each `compatible`)
 */
#include "boot.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Nodes that others refer to. */
enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK };

/* arm,gic-v3: type and trigger of an interrupt. */
enum { IRQ_SPI = 0, IRQ_PPI = 1, IRQ_EDGE = 1, IRQ_LEVEL = 4 };

/* arm,armv8-timer: PPIs of the generic timer as seen by guests of KVM. */
enum { PPI_SECURE = 13, PPI_NONSECURE = 14, PPI_VIRTUAL = 11, PPI_HYPERVISOR = 10 };

/* pci.rst: high cell of an address in `ranges`. */
#define PCI_MEM32 0x02000000u
#define PCI_MEM64_PREFETCH 0x43000000u /* Linux needs larger windows to be prefetchable */

#define SERIAL_CLOCK 1843200 /* Hz, as on a PC; baud rates are not emulated */
#define APB_CLOCK 24000000   /* Hz, of the RTC's bus; required but unused */

/* The tree being written; after an error nothing more is written. */
struct tree {
	void *fdt;
	int err; /* of libfdt */
};

static void put(struct tree *tree, const char *name, const void *value, size_t len)
{
	if (!tree->err)
		tree->err = fdt_property(tree->fdt, name, value, (int)len);
}

static void put_string(struct tree *tree, const char *name, const char *value)
{
	put(tree, name, value, strlen(value) + 1);
}

static void put_cells(struct tree *tree, const char *name, const uint32_t *cells, size_t count)
{
	void *value = NULL;

	if (!tree->err)
		tree->err = fdt_property_placeholder(tree->fdt, name, (int)(count * 4), &value);
	for (size_t i = 0; i < count && !tree->err; i++)
		fdt32_st((char *)value + 4 * i, cells[i]);
}

/* A property of any number of cells; U64() gives two of them. */
#define CELLS(tree, name, ...)                                                                     \
	put_cells(tree, name, (const uint32_t[]){ __VA_ARGS__ },                                   \
		  sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
#define U64(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)

/* A list of strings, each with its NUL. */
#define STRINGS(tree, name, strings) put(tree, name, strings, sizeof(strings))

static void begin(struct tree *tree, const char *name)
{
	if (!tree->err)
		tree->err = fdt_begin_node(tree->fdt, name);
}

static void begin_at(struct tree *tree, const char *name, uint64_t address)
{
	char full[32];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(tree, full);
}

static void end(struct tree *tree)
{
	if (!tree->err)
		tree->err = fdt_end_node(tree->fdt);
}

static void put_seed(struct tree *tree, const char *name, size_t len)
{
	uint8_t seed[32];

	/* Short requests are never cut; without a seed Linux prints a message and boots. */
	if (getrandom(seed, len, 0) == (ssize_t)len)
		put(tree, name, seed, len);
}

static void add_chosen(struct tree *tree, const struct fdt_options *options)
{
	uint64_t initrd_end = options->initrd_start + options->initrd_len;

	begin(tree, "chosen");
	put_string(tree, "bootargs", options->cmdline);
	put_string(tree, "stdout-path", "serial0");
	if (options->initrd_len) {
		CELLS(tree, "linux,initrd-start", U64(options->initrd_start));
		CELLS(tree, "linux,initrd-end", U64(initrd_end));
	}
	put_seed(tree, "rng-seed", 32);
	put_seed(tree, "kaslr-seed", 8);
	end(tree);
}

static void add_memory(struct tree *tree, uint64_t size)
{
	begin_at(tree, "memory", ARM64_RAM_BASE);
	put_string(tree, "device_type", "memory");
	CELLS(tree, "reg", U64(ARM64_RAM_BASE), U64(size - ARM64_VMGENID_LEN));
	end(tree);
}

static void add_cpus(struct tree *tree, const struct fdt_options *options)
{
	begin(tree, "cpus");
	CELLS(tree, "#address-cells", 2);
	CELLS(tree, "#size-cells", 0);
	for (unsigned i = 0; i < options->cpus; i++) {
		begin_at(tree, "cpu", options->vm->mpidr[i]);
		put_string(tree, "device_type", "cpu");
		put_string(tree, "compatible", "arm,armv8");
		put_string(tree, "enable-method", "psci");
		CELLS(tree, "reg", U64(options->vm->mpidr[i]));
		end(tree);
	}
	end(tree);
}

static void add_psci(struct tree *tree)
{
	begin(tree, "psci");
	STRINGS(tree, "compatible", "arm,psci-1.0\0arm,psci-0.2");
	put_string(tree, "method", "hvc");
	end(tree);
}

static void add_timer(struct tree *tree)
{
	begin(tree, "timer");
	put_string(tree, "compatible", "arm,armv8-timer");
	put(tree, "always-on", NULL, 0);
	CELLS(tree, "interrupts", IRQ_PPI, PPI_SECURE, IRQ_LEVEL, IRQ_PPI, PPI_NONSECURE, IRQ_LEVEL,
	      IRQ_PPI, PPI_VIRTUAL, IRQ_LEVEL, IRQ_PPI, PPI_HYPERVISOR, IRQ_LEVEL);
	end(tree);
}

static void add_gic(struct tree *tree, unsigned cpus)
{
	begin_at(tree, "interrupt-controller", ARM64_GICD_BASE);
	put_string(tree, "compatible", "arm,gic-v3");
	put(tree, "interrupt-controller", NULL, 0);
	CELLS(tree, "#interrupt-cells", 3);
	CELLS(tree, "#address-cells", 2);
	CELLS(tree, "#size-cells", 2);
	put(tree, "ranges", NULL, 0);
	CELLS(tree, "reg", U64(ARM64_GICD_BASE), U64(ARM64_GICD_LEN), U64(ARM64_GICR_BASE),
	      U64(ARM64_GICR_LEN * cpus));
	CELLS(tree, "phandle", PHANDLE_GIC);
	begin_at(tree, "msi-controller", ARM64_ITS_BASE);
	put_string(tree, "compatible", "arm,gic-v3-its");
	put(tree, "msi-controller", NULL, 0);
	CELLS(tree, "#msi-cells", 1);
	CELLS(tree, "reg", U64(ARM64_ITS_BASE), U64(ARM64_ITS_LEN));
	CELLS(tree, "phandle", PHANDLE_ITS);
	end(tree);
	end(tree);
}

static void add_serial(struct tree *tree)
{
	begin_at(tree, "serial", ARM64_SERIAL_BASE);
	put_string(tree, "compatible", "ns16550a");
	CELLS(tree, "reg", U64(ARM64_SERIAL_BASE), U64(8));
	CELLS(tree, "interrupts", IRQ_SPI, ARM64_SERIAL_SPI, IRQ_LEVEL);
	CELLS(tree, "clock-frequency", SERIAL_CLOCK);
	end(tree);
}

static void add_rtc(struct tree *tree)
{
	begin(tree, "apb-pclk");
	put_string(tree, "compatible", "fixed-clock");
	CELLS(tree, "#clock-cells", 0);
	CELLS(tree, "clock-frequency", APB_CLOCK);
	CELLS(tree, "phandle", PHANDLE_CLOCK);
	end(tree);

	begin_at(tree, "rtc", ARM64_RTC_BASE);
	STRINGS(tree, "compatible", "arm,pl031\0arm,primecell");
	CELLS(tree, "reg", U64(ARM64_RTC_BASE), U64(0x1000));
	CELLS(tree, "interrupts", IRQ_SPI, ARM64_RTC_SPI, IRQ_LEVEL);
	CELLS(tree, "clocks", PHANDLE_CLOCK);
	put_string(tree, "clock-names", "apb_pclk");
	end(tree);
}

static void add_pvpanic(struct tree *tree)
{
	begin_at(tree, "pvpanic", ARM64_PVPANIC_BASE);
	put_string(tree, "compatible", "qemu,pvpanic-mmio");
	CELLS(tree, "reg", U64(ARM64_PVPANIC_BASE), U64(2));
	end(tree);
}

/* microsoft,vmgenid */
static void add_vmgenid(struct tree *tree, uint64_t ram_size)
{
	uint64_t id = arm64_vmgenid(ARM64_RAM_BASE + ram_size);

	begin_at(tree, "rng", id);
	put_string(tree, "compatible", "microsoft,vmgenid");
	CELLS(tree, "reg", U64(id), U64(ARM64_VMGENID_LEN));
	CELLS(tree, "interrupts", IRQ_SPI, ARM64_VMGENID_SPI, IRQ_EDGE);
	end(tree);
}

/* Pin p (1: INTA) of device d is interrupt (d + p - 1) % 4, so the map repeats after 4 devices. */
static void add_interrupt_map(struct tree *tree)
{
	enum { ENTRY = 10 }; /* PCI address, pin; phandle, GIC address, interrupt */
	uint32_t map[16 * ENTRY], *entry = map;

	for (uint32_t device = 0; device < 4; device++) {
		for (uint32_t pin = 1; pin <= 4; pin++, entry += ENTRY) {
			const uint32_t cells[ENTRY] = {
				device << 11, 0, 0, pin, PHANDLE_GIC, 0, 0,
				IRQ_SPI, ARM64_INTX_SPI + (device + pin - 1) % 4, IRQ_LEVEL,
			};

			memcpy(entry, cells, sizeof(cells));
		}
	}
	put_cells(tree, "interrupt-map", map, ARRAY_SIZE(map));
	CELLS(tree, "interrupt-map-mask", 3 << 11, 0, 0, 7);
}

static void add_pci(struct tree *tree, uint64_t ram_size)
{
	uint64_t mmio64 = arm64_pci_mmio64_base(ARM64_RAM_BASE + ram_size);

	begin_at(tree, "pcie", ARM64_ECAM_BASE);
	put_string(tree, "compatible", "pci-host-ecam-generic");
	put_string(tree, "device_type", "pci");
	CELLS(tree, "#address-cells", 3);
	CELLS(tree, "#size-cells", 2);
	CELLS(tree, "bus-range", 0, 0);
	CELLS(tree, "linux,pci-domain", 0);
	put(tree, "dma-coherent", NULL, 0);
	CELLS(tree, "reg", U64(ARM64_ECAM_BASE), U64(ARM64_ECAM_LEN));
	CELLS(tree, "ranges",
	      PCI_MEM32, U64(ARM64_PCI_MMIO32_BASE), U64(ARM64_PCI_MMIO32_BASE),
	      U64(ARM64_PCI_MMIO32_LEN),
	      PCI_MEM64_PREFETCH, U64(mmio64), U64(mmio64), U64(ARM64_PCI_MMIO64_LEN));
	CELLS(tree, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	CELLS(tree, "#interrupt-cells", 1);
	add_interrupt_map(tree);
	end(tree);
}

static void add_root(struct tree *tree, const struct fdt_options *options)
{
	char serial[32];

	begin(tree, "");
	put_string(tree, "compatible", "linux,dummy-virt");
	put_string(tree, "model", "kinglet");
	CELLS(tree, "#address-cells", 2);
	CELLS(tree, "#size-cells", 2);
	CELLS(tree, "interrupt-parent", PHANDLE_GIC);
	begin(tree, "aliases");
	snprintf(serial, sizeof(serial), "/serial@%llx", ARM64_SERIAL_BASE);
	put_string(tree, "serial0", serial);
	end(tree);
	add_chosen(tree, options);
	add_memory(tree, options->ram_size);
	add_cpus(tree, options);
	add_psci(tree);
	add_timer(tree);
	add_gic(tree, options->cpus);
	add_serial(tree);
	add_rtc(tree);
	add_pvpanic(tree);
	add_vmgenid(tree, options->ram_size);
	add_pci(tree, options->ram_size);
	end(tree);
}

int fdt_build(const struct fdt_options *options, void **blob, size_t *len)
{
	_cleanup_free_ void *buf = calloc(1, BOOT_FDT_MAX);
	struct tree tree = { .fdt = buf };

	if (!buf)
		return -ENOMEM;
	tree.err = fdt_create(buf, BOOT_FDT_MAX);
	if (!tree.err)
		tree.err = fdt_finish_reservemap(buf);
	add_root(&tree, options);
	if (!tree.err)
		tree.err = fdt_finish(buf);
	if (tree.err)
		return tree.err == -FDT_ERR_NOSPACE ? -E2BIG : -EINVAL;
	*len = fdt_totalsize(buf);
	*blob = steal_ptr(buf);
	return 0;
}
