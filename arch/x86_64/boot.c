/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recognises what shall boot by its magic and gives it to its format's file.
 */
#include "boot.h"

#include "acpi.h"
#include "arch/x86_64/layout.h"
#include "base/checked.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* In this order: a bzImage may also start like an EFI executable, an ELF may be Multiboot. */
static const struct boot_format_ops {
	bool (*probe)(const struct boot_file *file);
	int (*load)(struct boot_job *job);
} formats[] = {
	{ bzimage_probe, bzimage_load },
	{ elf_probe, elf_load },
	{ multiboot_probe, multiboot_load },
};

#define KNOWN_FORMATS                                                                              \
	"known are bzImage, ELF (PVH, Multiboot 1, 64-bit Linux) and Multiboot 1; "                \
	"a flat binary: --flat ADDRESS,mode=16|32|64"

int boot_load_bytes(const struct boot_job *job, uint64_t off, uint64_t gpa, uint64_t len)
{
	return boot_file_load(&job->kernel, job->mem, off, gpa, len);
}

static bool overlaps_boot_area(const struct boot_job *job, uint64_t gpa, uint64_t len)
{
	return job->regs.mode != CPU_MODE_16 &&
	       ranges_overlap(gpa, len, BOOT_AREA, BOOT_AREA_END - BOOT_AREA);
}

static bool overlaps_acpi(const struct boot_job *job, uint64_t gpa, uint64_t len)
{
	return job->rsdp &&
	       ranges_overlap(gpa, len, ACPI_AREA_BASE, ACPI_AREA_END - ACPI_AREA_BASE);
}

int boot_claim(struct boot_job *job, uint64_t gpa, uint64_t len)
{
	struct boot_summary *summary = job->summary;

	if (!range_fits(gpa, len, job->low_end))
		return boot_refuse(&job->kernel, -E2BIG,
				   "needs RAM at %#llx..%#llx; there is %llu MiB below 4 GiB: "
				   "give the guest more by --memory",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   (unsigned long long)job->low_end >> 20);
	if (overlaps_boot_area(job, gpa, len))
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "wants %#llx..%#llx, but boot tables lie at %#llx..%#llx",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   BOOT_AREA, BOOT_AREA_END);
	if (overlaps_acpi(job, gpa, len))
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "wants %#llx..%#llx, but ACPI tables lie at %#llx..%#llx",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   ACPI_AREA_BASE, ACPI_AREA_END);
	if (!summary->kernel_end || gpa < summary->kernel_start)
		summary->kernel_start = gpa;
	if (gpa + len > summary->kernel_end)
		summary->kernel_end = gpa + len;
	return 0;
}

static int place_file(struct boot_job *job, const struct boot_file *file, uint64_t floor,
		      uint64_t ceiling, bool low, struct gmem_range *at)
{
	floor = align_up(floor > BOOT_HIGH_MEMORY ? floor : BOOT_HIGH_MEMORY, X86_PAGE_SIZE);
	if (floor > ceiling || file->size > ceiling - floor)
		return boot_refuse(file, -E2BIG,
				   "%llu KiB do not fit into the RAM that is left for it, %#llx to "
				   "%#llx: give the guest more by --memory",
				   (unsigned long long)(file->size + 1023) / 1024,
				   (unsigned long long)floor, (unsigned long long)ceiling);
	at->gpa = low ? floor : (ceiling - file->size) & ~(uint64_t)(X86_PAGE_SIZE - 1);
	at->len = file->size;
	return boot_file_load(file, job->mem, 0, at->gpa, at->len);
}

int boot_load_file(struct boot_job *job, const char *what, const char *path, uint64_t floor,
		   uint64_t ceiling, bool low, struct gmem_range *at)
{
	struct boot_file file;
	int ret = boot_file_open(&file, what, path);

	if (!ret)
		ret = place_file(job, &file, floor, ceiling, low, at);
	close_fd(&file.fd);
	return ret;
}

int boot_load_initrd(struct boot_job *job, uint64_t ceiling)
{
	struct boot_summary *summary = job->summary;
	struct gmem_range at = { 0 };
	int ret = 0;

	if (job->options->initrd)
		ret = boot_load_file(job, "initrd", job->options->initrd, summary->kernel_end,
				     ceiling, false, &at);
	summary->initrd_start = at.gpa;
	summary->initrd_len = at.len;
	return ret;
}

int boot_put_string(struct boot_job *job, const char *first, const char *second, uint64_t max,
		    uint64_t *gpa)
{
	_cleanup_free_ char *text = NULL;
	uint64_t room = BOOT_STRINGS_LEN - job->strings_used;
	bool both = second && *second;
	int len = asprintf(&text, "%s%s%s", first, both ? " " : "", both ? second : "");
	int ret;

	if (len < 0) {
		text = NULL;
		return boot_refuse(&job->kernel, -ENOMEM, "out of memory");
	}
	if ((uint64_t)len > max || (uint64_t)len >= room)
		return boot_refuse(&job->kernel, -E2BIG,
				   "the command line has %d bytes, this kernel takes %llu", len,
				   (unsigned long long)(max < room ? max : room - 1));
	*gpa = BOOT_STRINGS + job->strings_used;
	ret = gmem_write(job->mem, *gpa, text, (uint64_t)len + 1);
	if (ret)
		return boot_refuse(&job->kernel, ret, "command line: %s", strerror(-ret));
	job->strings_used += (uint64_t)len + 1;
	return 0;
}

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
 * Whoever jumps to F000:FFF0 wants to reboot: old programs, and Linux that sees hardware-reduced
 * ACPI and no EFI (its reboot_init() then skips ACPI and the keyboard controller).
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
 * Where conventional memory ends, as firmware leaves it for the kernel: Xen puts its trampoline
 * below. An EBDA begins with its size in KiB.
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

static int load_kernel(struct boot_job *job)
{
	if (job->options->format == BOOT_FORMAT_FLAT)
		return flat_load(job);
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].probe(&job->kernel))
			return formats[i].load(job);
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
