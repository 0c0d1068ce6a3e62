/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects the kernel's format by its magic and calls that format's loader.
 */
#include "boot.h"
#include "elf_image.h"

#include "acpi.h"
#include "arch/x86_64/layout.h"
#include "base/log.h"

#include <fcntl.h>
#include <string.h>

#define KNOWN_FORMATS                                                                              \
	"known are bzImage, ELF (PVH, Multiboot 1, 64-bit Linux) and Multiboot 1; "                \
	"a flat binary: --flat ADDRESS,mode=16|32|64"

static int build_acpi(struct boot_job *job)
{
	const struct acpi_options options = {
		.cpus = job->options->cpus,
		.ram_high_end = memmap_high_end(job->mem),
	};
	int ret;

	if (!job->options->firmware_tables)
		return 0;
	ret = acpi_build(job->mem, &options, &job->rsdp);
	if (ret)
		log_error("ACPI tables: %s", strerror(-ret));
	return ret;
}

/*
 * A jump to F000:FFF0 is a reboot: by old programs, and by Linux with hardware-reduced ACPI and no
 * EFI (its reboot_init() then skips ACPI and the keyboard controller).
 */
static int write_bios_entry(struct gmem *mem)
{
	static const uint8_t code[] = {
		0xb0, 0xfe,		/* mov $0xfe, %al: pulse the reset line */
		0xe6, X86_I8042_COMMAND, /* out %al, $0x64 */
		0xf4,			/* hlt */
		0xeb, 0xfd,		/* jmp to the hlt */
	};

	return gmem_write(mem, BOOT_BIOS_ENTRY, code, sizeof(code));
}

/*
 * The end of conventional memory, as set by firmware: Xen puts its trampoline below it. An EBDA
 * begins with its size in KiB.
 */
static int write_bios_data(struct gmem *mem)
{
	static const uint16_t segment = X86_EBDA_BASE >> 4, base_kib = X86_EBDA_BASE >> 10;
	static const uint8_t ebda_kib = 1;

	return gmem_write(mem, BOOT_BDA_EBDA, &segment, sizeof(segment)) ?:
	       gmem_write(mem, BOOT_BDA_BASE_KIB, &base_kib, sizeof(base_kib)) ?:
	       gmem_write(mem, X86_EBDA_BASE, &ebda_kib, sizeof(ebda_kib));
}

static int write_bios(struct boot_job *job)
{
	int ret = write_bios_entry(job->mem) ?: write_bios_data(job->mem);

	if (ret)
		log_error("BIOS data: %s", strerror(-ret));
	return ret;
}

bool arch_kernel_may_be_linux(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct boot_file file = { .fd = -1 };
	ssize_t len = fd < 0 ? 0 : pread(fd, file.head, sizeof(file.head), 0);

	file.head_len = len > 0 ? (size_t)len : 0;
	return !multiboot_probe(&file);
}

/*
 * Which way an ELF executable is entered is what it declares itself:
 *
 *   1. a Xen PHYS32_ENTRY note: PVH, the only entry with its own ABI (also of a Linux vmlinux built
 *      with CONFIG_PVH, so distribution kernels);
 *   2. a Multiboot 1 header;
 *   3. neither, ELF64: Linux's 64-bit entry with a zero page.
 */
static int load_elf(struct boot_job *job)
{
	struct elf_image image;
	uint64_t entry = 0;
	int ret = elf_parse(&job->kernel, &image);

	if (!ret)
		ret = elf_pvh_entry(&job->kernel, &image, &entry);
	if (ret < 0)
		return ret;
	if (ret)
		return pvh_load(job, &image, entry);
	if (multiboot_probe(&job->kernel))
		return multiboot_load(job, &image);
	if (image.is_64bit)
		return linux_load_elf(job, &image);
	return boot_refuse(&job->kernel, -ENOEXEC,
			   "ELF32 with neither a PVH note nor a Multiboot 1 header");
}

/* In this order: a bzImage may also start like an EFI executable, an ELF may be Multiboot. */
static int load_kernel(struct boot_job *job)
{
	if (job->options->format == BOOT_FORMAT_FLAT)
		return flat_load(job);
	if (bzimage_probe(&job->kernel))
		return bzimage_load(job);
	if (boot_file_has(&job->kernel, 0, ELFMAG, SELFMAG))
		return load_elf(job);
	if (multiboot_probe(&job->kernel))
		return multiboot_load(job, NULL);
	return boot_refuse(&job->kernel, -ENOEXEC, "unknown format (%s); " KNOWN_FORMATS,
			   boot_file_foreign_name(&job->kernel));
}

int arch_boot_load(struct arch_vm *arch, struct gmem *mem, const struct boot_options *options,
		   struct boot_state *state)
{
	struct boot_job job = {
		.mem = mem,
		.options = options,
		.low_end = memmap_low_end(mem),
		.summary = &state->summary,
	};
	int ret;

	(void)arch;
	memset(state, 0, sizeof(*state));
	if (options->dump_fdt) {
		log_error("--dump-fdt: guests on x86_64 get ACPI tables, no device tree; leave it out");
		return -EINVAL;
	}
	ret = boot_file_open(&job.kernel, "kernel", options->kernel);
	if (!ret)
		ret = write_bios(&job);
	if (!ret)
		ret = build_acpi(&job);
	if (!ret)
		ret = load_kernel(&job);
	if (!ret && options->module_count && !job.takes_modules)
		ret = boot_refuse(&job.kernel, -ENOEXEC,
				  "%s takes no modules; only Multiboot kernels do: leave out "
				  "--module",
				  state->summary.format);
	close_fd(&job.kernel.fd);
	state->summary.entry = job.regs.rip + (job.regs.mode == CPU_MODE_16 ? job.regs.cs << 4 : 0);
	memcpy(state->words, &job.regs, sizeof(job.regs));
	return ret;
}
