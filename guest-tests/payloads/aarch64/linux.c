/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux finds at the entry of its Image: EL1, and X0 points to the device tree
 * (Documentation/arm64/booting.rst). MMU and caches were off; start.S has turned them on.
 *
 *	kinglet run linux.img --initrd FILE --append TEXT
 */
#include "fdt.h"
#include "handoff.h"

static void report_chosen(const void *fdt)
{
	const void *start = fdt_property(fdt, "chosen", "linux,initrd-start", NULL);
	const void *end = fdt_property(fdt, "chosen", "linux,initrd-end", NULL);

	report_cmdline((uintptr_t)command_line(fdt));
	check(!start == !end);
	if (start)
		report_initrd(fdt_u64(start), fdt_u64(end) - fdt_u64(start));
	else
		report_initrd(0, 0);
}

/* One range: address and size, two cells each. */
static void report_memory(const void *fdt)
{
	uint32_t len = 0;
	const char *reg = fdt_property(fdt, "memory", "reg", &len);

	check(reg && len == 16);
	check(fdt_u64(reg) == ram_base);
	report_ram(fdt_u64(reg + 8));
}

int main(const void *fdt)
{
	check((uintptr_t)fdt % 8 == 0);
	report_chosen(fdt);
	report_memory(fdt);
	return 0;
}
