/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the x86_64 boot formats: files built in memory, and the state common to all kernels.
 */
#ifndef KINGLET_TESTS_X86_64_IMAGE_RIG_H
#define KINGLET_TESTS_X86_64_IMAGE_RIG_H

#include "../../../arch/x86_64/acpi.h"
#include "../../../arch/x86_64/boot.h"
#include "arch/x86_64/layout.h"
#include "base/checked.h"
#include "base/le.h"
#include "boot_rig.h"
#include "unit.h"

#include <asm/e820.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

/* A file under construction; bytes not written are zero. */
enum { IMAGE_MAX = 64 * 1024 };
struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t len;
};

struct fixture {
	struct rig rig;
	struct image image;
};

static inline struct fixture *fixture_new(uint64_t ram)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	rig_init(&f->rig, ram);
	return f;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	rig_destroy(&f->rig);
	test_free(f);
	return 0;
}

static inline int rig_boot_image(struct rig *rig, const struct image *image)
{
	rig_set_kernel(rig, image->bytes, image->len);
	return rig_boot(rig);
}

/* The image is refused with this error, and the line says `why`. */
static inline void assert_refused(struct rig *rig, const struct image *image, int err,
				  const char *why)
{
	rig_set_kernel(rig, image->bytes, image->len);
	rig_assert_refused(rig, err, why);
	assert_non_null(strstr(rig->said, rig->kernel_path));
}

static inline void image_put(struct image *image, size_t at, const void *bytes, size_t len)
{
	assert_true(at + len <= IMAGE_MAX);
	memcpy(image->bytes + at, bytes, len);
	if (at + len > image->len)
		image->len = at + len;
}

/*
 * ELF of either class: the header, `count` program headers after it. Files of class 32 get their
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
			 rig->regs->mode == CPU_MODE_64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
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
