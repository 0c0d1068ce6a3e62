/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of every boot: kernel or flat binary, initrd, device tree.
 */
#include "boot.h"

#include "base/files.h"
#include "base/log.h"

#include <fcntl.h>
#include <string.h>

enum { BOOT_ALIGN = 65536 }; /* the largest page size of a guest */

/* booting.rst: kernel and initrd are within 32 GiB, starting at a GiB boundary. */
#define INITRD_WINDOW 0x800000000ULL

static uint64_t ram_end(const struct gmem *mem)
{
	return mem->slots[0].gpa + mem->slots[0].len;
}

/* The last aligned area for it in the window of kernel and initrd. */
static uint64_t place_fdt(const struct gmem *mem)
{
	uint64_t end = ram_end(mem);

	if (end > ARM64_RAM_BASE + INITRD_WINDOW)
		end = ARM64_RAM_BASE + INITRD_WINDOW;
	return (end - BOOT_FDT_AREA) & ~(BOOT_FDT_AREA - 1);
}

static int load_flat(struct boot_job *job)
{
	uint64_t address = job->options->flat_address;
	int ret;

	if (job->options->flat_mode != CPU_MODE_64)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "arm64 has no mode but 64: leave out mode=");
	if (address % 4)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "cannot be entered at %#llx: arm64 code is at multiples of 4",
				   (unsigned long long)address);
	ret = boot_claim(job, address, job->kernel.size);
	if (!ret)
		ret = boot_file_load(&job->kernel, job->mem, 0, address, job->kernel.size);
	job->summary->format = "flat";
	job->summary->entry = address;
	return ret;
}

static const char *foreign_name(const struct boot_file *file)
{
	return boot_file_has(file, 0x202, "HdrS", 4) ? "an x86 Linux bzImage" :
						       boot_file_foreign_name(file);
}

static int load_kernel(struct boot_job *job)
{
	if (job->options->format == BOOT_FORMAT_FLAT)
		return load_flat(job);
	if (!image_probe(&job->kernel))
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "unknown format (%s); known are arm64 Image, also compressed by "
				   "gzip or zstd or as vmlinuz.efi; a flat binary: --flat ADDRESS",
				   foreign_name(&job->kernel));
	if (!job->options->firmware_tables)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "Linux needs its device tree: leave out --acpi off");
	return image_load(job);
}

static int load_initrd(struct boot_job *job)
{
	const struct boot_room room = {
		.floor = job->summary->kernel_end,
		.ceiling = job->fdt,
		.align = BOOT_ALIGN,
	};
	struct gmem_range at = { 0 };
	int ret = 0;

	if (job->options->initrd)
		ret = boot_file_place("initrd", job->options->initrd, job->mem, &room, &at);
	job->summary->initrd_start = at.gpa;
	job->summary->initrd_len = at.len;
	return ret;
}

static int dump(const char *path, const void *blob, size_t len)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int ret = fd < 0 ? -errno : write_all(fd, blob, len);

	if (ret)
		log_error("--dump-fdt %s: %s", path, strerror(-ret));
	return ret;
}

static int load_fdt(struct boot_job *job, const struct arm64_vm *vm)
{
	const struct fdt_options options = {
		.vm = vm,
		.cpus = job->options->cpus,
		.ram_size = job->mem->slots[0].len,
		.cmdline = job->options->cmdline,
		.initrd_start = job->summary->initrd_start,
		.initrd_len = job->summary->initrd_len,
	};
	_cleanup_free_ void *blob = NULL;
	size_t len;
	int ret = fdt_build(&options, &blob, &len);

	if (!ret)
		ret = gmem_write(job->mem, job->fdt, blob, len);
	if (ret) {
		log_error("device tree: %s", strerror(-ret));
		return ret;
	}
	return job->options->dump_fdt ? dump(job->options->dump_fdt, blob, len) : 0;
}

bool arch_kernel_may_be_linux(const char *path)
{
	(void)path;
	return true;
}

int arch_boot_load(struct arch_vm *arch, struct gmem *mem, const struct boot_options *options,
		   struct boot_state *state)
{
	struct boot_job job = {
		.mem = mem,
		.options = options,
		.fdt = place_fdt(mem),
		.summary = &state->summary,
	};
	struct boot_regs regs;
	int ret;

	memset(state, 0, sizeof(*state));
	if (options->module_count) {
		log_error("--module: only Multiboot kernels, on x86_64, take modules; leave it "
			  "out");
		return -EINVAL;
	}
	ret = boot_file_open(&job.kernel, "kernel", options->kernel);
	if (!ret)
		ret = load_kernel(&job);
	close_fd(&job.kernel.fd);
	if (!ret)
		ret = load_initrd(&job);
	if (!ret && arch && options->firmware_tables)
		ret = load_fdt(&job, arch->priv);
	regs = (struct boot_regs){
		.pc = state->summary.entry,
		.x0 = options->firmware_tables ? job.fdt : 0,
	};
	memcpy(state->words, &regs, sizeof(regs));
	return ret;
}
