/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the x86_64 boot formats: guest RAM, kernel files made up in memory, and a boot whose
 * log lines are checked.
 */
#ifndef KINGLET_TESTS_ARCH_BOOT_RIG_H
#define KINGLET_TESTS_ARCH_BOOT_RIG_H

#include "../../../arch/x86_64/acpi.h"
#include "../../../arch/x86_64/boot.h"
#include "arch/x86_64/layout.h"
#include "base/checked.h"
#include "base/le.h"
#include "capture.h"

#include <asm/e820.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define KIB 1024ULL
#define MIB (1024 * KIB)

/* A file being made up; bytes not written are zero. */
enum { IMAGE_MAX = 64 * 1024 };
struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t len;
};

struct rig {
	struct gmem mem;
	struct boot_options options;
	struct boot_state state;
	struct boot_regs regs; /* out of state */
	char said[2048];       /* what was logged */
	char kernel_path[64], initrd_path[64];
	int kernel_fd, initrd_fd;
};

static inline void rig_init(struct rig *rig, uint64_t ram)
{
	static const struct gmem_options plain;
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(ram, ranges);

	memset(rig, 0, sizeof(*rig));
	rig->kernel_fd = rig->initrd_fd = -1;
	rig->options.cmdline = "";
	rig->options.cpus = 1;
	assert_true(count > 0);
	assert_int_equal(gmem_init(&rig->mem, ranges, (unsigned)count, &plain), 0);
}

static inline void rig_destroy(struct rig *rig)
{
	gmem_destroy(&rig->mem);
	close_fd(&rig->kernel_fd);
	close_fd(&rig->initrd_fd);
}

static inline int memory_file(const void *bytes, size_t len, char path[64])
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static inline void rig_set_kernel(struct rig *rig, const struct image *image)
{
	close_fd(&rig->kernel_fd);
	rig->kernel_fd = memory_file(image->bytes, image->len, rig->kernel_path);
	rig->options.kernel = rig->kernel_path;
}

static inline void rig_set_initrd(struct rig *rig, const void *bytes, size_t len)
{
	close_fd(&rig->initrd_fd);
	rig->initrd_fd = memory_file(bytes, len, rig->initrd_path);
	rig->options.initrd = rig->initrd_path;
}

/* Boots; a success says nothing, a refusal says one line. */
static inline int rig_boot(struct rig *rig)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = arch_boot_load(NULL, &rig->mem, &rig->options, &rig->state);
	capture_stderr_end(&capture, rig->said, sizeof(rig->said));
	memcpy(&rig->regs, rig->state.words, sizeof(rig->regs));
	if (!ret) {
		assert_string_equal(rig->said, "");
		return 0;
	}
	assert_true(ret < 0);
	assert_non_null(strchr(rig->said, '\n'));
	assert_ptr_equal(strchr(rig->said, '\n') + 1, rig->said + strlen(rig->said));
	return ret;
}

static inline int rig_boot_image(struct rig *rig, const struct image *image)
{
	rig_set_kernel(rig, image);
	return rig_boot(rig);
}

/* The image is refused with this error, and the line says `why`. */
static inline void assert_refused(struct rig *rig, const struct image *image, int err,
				  const char *why)
{
	assert_int_equal(rig_boot_image(rig, image), err);
	if (!strstr(rig->said, why))
		fail_msg("\"%s\" is not in: %s", why, rig->said);
	assert_non_null(strstr(rig->said, rig->kernel_path));
}

static inline void *guest(struct rig *rig, uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&rig->mem, gpa, len);

	assert_non_null(p);
	return p;
}

static inline void assert_guest_bytes(struct rig *rig, uint64_t gpa, const void *bytes, size_t len)
{
	assert_memory_equal(guest(rig, gpa, len), bytes, len);
}

static inline void image_put(struct image *image, size_t at, const void *bytes, size_t len)
{
	assert_true(at + len <= IMAGE_MAX);
	memcpy(image->bytes + at, bytes, len);
	if (at + len > image->len)
		image->len = at + len;
}

/*
 * ELF of either class: the header, `count` program headers behind it. Files of class 32 get their
 * fields narrowed.
 */
static inline void make_elf(struct image *image, bool is_64bit, uint64_t entry,
			    const Elf64_Phdr *segments, unsigned count)
{
	Elf64_Ehdr wide = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = entry,
		.e_phoff = sizeof(wide),
		.e_ehsize = sizeof(wide),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)count,
	};
	Elf32_Ehdr narrow = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = 1,
		.e_entry = (uint32_t)entry,
		.e_phoff = sizeof(narrow),
		.e_ehsize = sizeof(narrow),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = (uint16_t)count,
	};

	memset(image, 0, sizeof(*image));
	if (is_64bit) {
		image_put(image, 0, &wide, sizeof(wide));
		image_put(image, sizeof(wide), segments, count * sizeof(*segments));
		return;
	}
	image_put(image, 0, &narrow, sizeof(narrow));
	for (unsigned i = 0; i < count; i++) {
		Elf32_Phdr phdr = {
			.p_type = segments[i].p_type,
			.p_offset = (uint32_t)segments[i].p_offset,
			.p_vaddr = (uint32_t)segments[i].p_vaddr,
			.p_paddr = (uint32_t)segments[i].p_paddr,
			.p_filesz = (uint32_t)segments[i].p_filesz,
			.p_memsz = (uint32_t)segments[i].p_memsz,
			.p_align = (uint32_t)segments[i].p_align,
		};

		image_put(image, sizeof(narrow) + i * sizeof(phdr), &phdr, sizeof(phdr));
	}
}

/* The flat GDT that every protected entry gets. */
static inline void assert_gdt(struct rig *rig)
{
	const uint64_t *gdt = guest(rig, BOOT_GDT, BOOT_GDT_LEN);

	assert_int_equal(gdt[0], 0);
	assert_int_equal(gdt[BOOT_CS / 8],
			 rig->regs.mode == CPU_MODE_64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	assert_int_equal(gdt[BOOT_DS / 8], 0x00cf93000000ffff);
}

/* Walks the page tables at BOOT_PML4: the address that a linear one is mapped to. */
static inline uint64_t translate(struct rig *rig, uint64_t linear)
{
	const uint64_t *pml4 = guest(rig, BOOT_PML4, 4096), *pdpt, *pd;
	uint64_t entry = pml4[linear >> 39 & 511];

	assert_int_equal(entry & 3, 3);
	pdpt = guest(rig, entry & ~0xfffULL, 4096);
	entry = pdpt[linear >> 30 & 511];
	assert_int_equal(entry & 0x83, 3);
	pd = guest(rig, entry & ~0xfffULL, 4096);
	entry = pd[linear >> 21 & 511];
	assert_int_equal(entry & 0x83, 0x83);
	return (entry & ~0x1fffffULL) | (linear & 0x1fffff);
}

static inline void assert_identity_mapped(struct rig *rig)
{
	static const uint64_t addresses[] = { 0, 0x81234, 1 * MIB, 0x1000200, 0x3fffffff,
					      0x40000000, 0xbfffffff, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_int_equal(translate(rig, addresses[i]), addresses[i]);
}

#endif
