/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the formats share: where the kernel may lie, initrd and strings.
 */
#include "boot.h"

#include "acpi.h"
#include "base/checked.h"

#include <stdio.h>
#include <string.h>

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
				   "needs %#llx..%#llx, but boot tables lie at %#llx..%#llx",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   BOOT_AREA, BOOT_AREA_END);
	if (overlaps_acpi(job, gpa, len))
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "needs %#llx..%#llx, but ACPI tables lie at %#llx..%#llx",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   ACPI_AREA_BASE, ACPI_AREA_END);
	if (!summary->kernel_end || gpa < summary->kernel_start)
		summary->kernel_start = gpa;
	if (gpa + len > summary->kernel_end)
		summary->kernel_end = gpa + len;
	return 0;
}

int boot_load_file(struct boot_job *job, const char *what, const char *path, uint64_t floor,
		   uint64_t ceiling, bool low, struct gmem_range *at)
{
	const struct boot_room room = {
		.floor = floor > BOOT_HIGH_MEMORY ? floor : BOOT_HIGH_MEMORY,
		.ceiling = ceiling,
		.align = X86_PAGE_SIZE,
		.low = low,
	};

	return boot_file_place(what, path, job->mem, &room, at);
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
