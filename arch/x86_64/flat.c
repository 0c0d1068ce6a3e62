/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flat binary: the file's bytes at the address that the user chose, entered at the first one.
 *
 * 16-bit: real mode at CS:IP. Below 64 KiB CS is 0 and IP the address, as for a boot sector; above,
 *   CS is the address / 16. DS and ES equal CS; the stack starts at 0x7000:0xfff0.
 * 32-bit: flat protected mode without paging. 64-bit: long mode, the first 4 GiB identity-mapped.
 * In both the stack starts at the boot area's lower end, and RSI is the GPA of the
 *   command line.
 */
#include "boot.h"

#define REAL_MODE_END 0x100000ULL
#define REAL_MODE_SS 0x7000
#define REAL_MODE_SP 0xfff0

static int enter_16bit(struct boot_job *job)
{
	uint64_t address = job->options->flat_address;

	if (*job->options->cmdline)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "a 16-bit flat binary takes no command line");
	if (address >= REAL_MODE_END)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "a 16-bit flat binary starts below 1 MiB, not at %#llx",
				   (unsigned long long)address);
	job->regs.cs = address > UINT16_MAX ? address >> 4 : 0;
	job->regs.rip = address - (job->regs.cs << 4);
	job->regs.ss = REAL_MODE_SS;
	job->regs.rsp = REAL_MODE_SP;
	return 0;
}

static int enter_flat(struct boot_job *job)
{
	int ret = boot_put_string(job, job->options->cmdline, NULL, UINT64_MAX, &job->regs.rsi);

	if (ret)
		return ret;
	job->regs.rip = job->options->flat_address;
	job->regs.rsp = BOOT_AREA;
	return boot_write_tables(job, NULL, 0);
}

int flat_load(struct boot_job *job)
{
	const struct boot_options *options = job->options;
	int ret;

	job->summary->format = "flat";
	job->regs.mode = options->flat_mode;
	if (options->initrd)
		return boot_refuse(&job->kernel, -ENOEXEC, "a flat binary takes no initrd");
	ret = boot_claim(job, options->flat_address, job->kernel.size);
	if (!ret)
		ret = boot_load_bytes(job, 0, options->flat_address, job->kernel.size);
	if (ret)
		return ret;
	return options->flat_mode == CPU_MODE_16 ? enter_16bit(job) : enter_flat(job);
}
