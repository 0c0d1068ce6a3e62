/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include "base/checked.h"

int boot_claim(struct boot_job *job, uint64_t gpa, uint64_t len)
{
	if (gpa < ARM64_RAM_BASE ||
	    !range_fits(gpa - ARM64_RAM_BASE, len, job->fdt - ARM64_RAM_BASE))
		return boot_refuse(&job->kernel, -E2BIG,
				   "needs RAM at %#llx..%#llx; there is some at %#llx..%#llx%s",
				   (unsigned long long)gpa, (unsigned long long)(gpa + len),
				   ARM64_RAM_BASE, (unsigned long long)job->fdt,
				   gpa < ARM64_RAM_BASE ? "" :
							  ": give the guest more by --memory");
	job->summary->kernel_start = gpa;
	job->summary->kernel_end = gpa + len;
	return 0;
}
