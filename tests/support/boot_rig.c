/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_rig.h"
#include "base/checked.h"
#include "capture.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void rig_init(struct rig *rig, uint64_t ram)
{
	static const struct gmem_options plain;
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(ram, ranges);

	*rig = (struct rig){ .options = { .cmdline = "", .cpus = 1 },
			     .regs = (const void *)rig->state.words,
			     .kernel_fd = -1,
			     .initrd_fd = -1 };
	assert_true(count > 0);
	assert_int_equal(gmem_init(&rig->mem, ranges, (unsigned)count, &plain), 0);
}

void rig_destroy(struct rig *rig)
{
	gmem_destroy(&rig->mem);
	close_fd(&rig->kernel_fd);
	close_fd(&rig->initrd_fd);
}

int memory_file(const void *bytes, size_t len, char path[64])
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

void rig_set_kernel(struct rig *rig, const void *bytes, size_t len)
{
	close_fd(&rig->kernel_fd);
	rig->kernel_fd = memory_file(bytes, len, rig->kernel_path);
	rig->options.kernel = rig->kernel_path;
}

void rig_set_initrd(struct rig *rig, const void *bytes, size_t len)
{
	close_fd(&rig->initrd_fd);
	rig->initrd_fd = memory_file(bytes, len, rig->initrd_path);
	rig->options.initrd = rig->initrd_path;
}

int rig_boot(struct rig *rig)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = arch_boot_load(rig->arch, &rig->mem, &rig->options, &rig->state);
	capture_stderr_end(&capture, rig->said, sizeof(rig->said));
	if (!ret) {
		assert_string_equal(rig->said, "");
		return 0;
	}
	assert_true(ret < 0);
	assert_non_null(strchr(rig->said, '\n'));
	assert_ptr_equal(strchr(rig->said, '\n') + 1, rig->said + strlen(rig->said));
	return ret;
}

void rig_assert_refused(struct rig *rig, int err, const char *why)
{
	assert_int_equal(rig_boot(rig), err);
	if (!strstr(rig->said, why))
		fail_msg("\"%s\" is not in: %s", why, rig->said);
}

void *guest(struct rig *rig, uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&rig->mem, gpa, len);

	assert_non_null(p);
	return p;
}

void assert_guest_bytes(struct rig *rig, uint64_t gpa, const void *bytes, size_t len)
{
	assert_memory_equal(guest(rig, gpa, len), bytes, len);
}
