/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1: 32-bit protected mode without paging, EAX holds the loader's magic, EBX the GPA of
 * the information structure. The initrd is the first module; they lie after the kernel, where
 * loaders put modules and small kernels look. (Multiboot Specification 0.6.96)
 */
#include "elf_image.h"

#include "base/checked.h"
#include "base/le.h"

#include <string.h>

#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u

/* Header flags: a loader must support those in the lower half, or refuse the kernel. */
#define FLAG_PAGE_ALIGN (1u << 0)
#define FLAG_MEMORY_INFO (1u << 1)
#define FLAGS_DEMANDED 0xffffu
#define FLAG_ADDRESSES (1u << 16)

/* Information flags */
#define INFO_MEMORY (1u << 0)
#define INFO_CMDLINE (1u << 2)
#define INFO_MODULES (1u << 3)
#define INFO_MMAP (1u << 6)
#define INFO_LOADER_NAME (1u << 9)

#define LOADER_NAME "Kinglet"

struct header {
	uint32_t magic, flags, checksum;
	/* Only with FLAG_ADDRESSES: */
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
};

struct module {
	uint32_t start, end; /* end: first byte after it */
	uint32_t string;
	uint32_t reserved;
};

struct range {
	uint32_t size; /* of the rest of this entry */
	struct boot_e820_entry e820;
} __attribute__((packed));

/* All at BOOT_INFO. */
struct info_page {
	struct info info;
	struct module modules[1 + BOOT_MODULES_MAX];
	struct range mmap[MEMMAP_MAX];
	char loader_name[sizeof(LOADER_NAME)];
};

_Static_assert(sizeof(struct info) == 68, "Multiboot information up to boot_loader_name");
_Static_assert(sizeof(struct module) == 16, "Multiboot module");
_Static_assert(sizeof(struct range) == 24, "Multiboot memory map entry");
_Static_assert(BOOT_INFO + sizeof(struct info_page) <= BOOT_PML4, "boot area");

enum { BASIC_HEADER_LEN = 12 };

/*
 * Somewhere in the first 8 KiB, 4-byte aligned, wholly inside them (§3.1). Fields that the file
 * does not have are zero.
 */
static bool find_header(const struct boot_file *file, struct header *header, uint64_t *at)
{
	for (size_t off = 0; range_fits(off, BASIC_HEADER_LEN, file->head_len); off += 4) {
		size_t room = file->head_len - off;

		if (get_le32(file->head + off) != HEADER_MAGIC)
			continue;
		memset(header, 0, sizeof(*header));
		memcpy(header, file->head + off, room < sizeof(*header) ? room : sizeof(*header));
		if ((uint32_t)(header->magic + header->flags + header->checksum))
			continue;
		*at = off;
		return true;
	}
	return false;
}

bool multiboot_probe(const struct boot_file *file)
{
	struct header header;
	uint64_t at;

	return find_header(file, &header, &at);
}

/* The header's own addresses, for kernels that are not ELF (§3.1.3). */
static int load_by_addresses(struct boot_job *job, const struct header *h, uint64_t at)
{
	const struct boot_file *file = &job->kernel;
	uint64_t before = (uint64_t)h->header_addr - h->load_addr;
	uint64_t len = h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : 0;
	uint64_t mem_len;
	int ret;

	if (!range_fits(at, sizeof(*h), file->head_len))
		return boot_refuse(file, -ENOEXEC, "truncated Multiboot header at %#llx",
				   (unsigned long long)at);
	if (h->load_addr > h->header_addr || before > at ||
	    (h->load_end_addr && h->load_end_addr <= h->load_addr))
		goto damaged;
	/* 0: the whole rest of the file. */
	if (!h->load_end_addr)
		len = file->size - (at - before);
	mem_len = len;
	if (h->bss_end_addr) {
		if (h->bss_end_addr < h->load_addr || h->bss_end_addr - h->load_addr < len)
			goto damaged;
		mem_len = h->bss_end_addr - h->load_addr;
	}
	if (!range_fits(h->entry_addr, 1, h->load_addr + mem_len) || h->entry_addr < h->load_addr)
		goto damaged;
	ret = boot_claim(job, h->load_addr, mem_len);
	if (!ret)
		ret = boot_load_bytes(job, at - before, h->load_addr, len);
	job->regs.rip = h->entry_addr;
	return ret;

damaged:
	return boot_refuse(file, -ENOEXEC,
			   "damaged Multiboot header at %#llx: header %#x, load %#x..%#x, "
			   "bss end %#x, entry %#x",
			   (unsigned long long)at, h->header_addr, h->load_addr, h->load_end_addr,
			   h->bss_end_addr, h->entry_addr);
}

static int load_image(struct boot_job *job, const struct elf_image *image)
{
	struct header header;
	uint64_t at;
	int ret;

	if (!find_header(&job->kernel, &header, &at))
		return -ENOEXEC;
	if (header.flags & FLAGS_DEMANDED & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY_INFO))
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "Multiboot kernel demands unsupported features: flags %#x (4 "
				   "is a video mode)",
				   header.flags & FLAGS_DEMANDED);
	if (header.flags & FLAG_ADDRESSES)
		return load_by_addresses(job, &header, at);
	if (!image)
		return boot_refuse(&job->kernel, -ENOEXEC,
				   "Multiboot kernel is no ELF and has no load addresses either");
	ret = elf_load_segments(job, image);
	if (ret)
		return ret;
	return elf_physical_entry(job, image, image->entry, &job->regs.rip);
}

/* As with other loaders, each string begins with the file's name (§3.3, cmdline). */
static int add_module(struct boot_job *job, struct info_page *page, const char *what,
		      const struct boot_module *module, struct gmem_range *at)
{
	uint64_t string;
	int ret = boot_load_file(job, what, module->path, at->gpa + at->len, job->low_end, true,
				 at);

	if (!ret)
		ret = boot_put_string(job, module->path, module->args, UINT64_MAX, &string);
	if (ret)
		return ret;
	page->modules[page->info.mods_count++] = (struct module){
		.start = (uint32_t)at->gpa,
		.end = (uint32_t)(at->gpa + at->len),
		.string = (uint32_t)string,
	};
	return 0;
}

static int add_modules(struct boot_job *job, struct info_page *page)
{
	const struct boot_options *options = job->options;
	const struct boot_module initrd = { .path = options->initrd };
	struct gmem_range at = { .gpa = job->summary->kernel_end };
	int ret = 0;

	if (initrd.path) {
		ret = add_module(job, page, "initrd", &initrd, &at);
		job->summary->initrd_start = at.gpa;
		job->summary->initrd_len = at.len;
	}
	for (unsigned i = 0; i < options->module_count && !ret; i++)
		ret = add_module(job, page, "module", &options->modules[i], &at);
	return ret;
}

static void fill_page(struct info_page *page, const struct boot_job *job, uint64_t cmdline)
{
	struct boot_e820_entry map[MEMMAP_MAX];
	unsigned count = memmap_build(job->mem, map);
	struct info *info = &page->info;

	info->flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER_NAME;
	info->mem_lower = X86_EBDA_BASE / 1024;
	info->mem_upper = (uint32_t)((job->low_end - BOOT_HIGH_MEMORY) / 1024);
	info->cmdline = (uint32_t)cmdline;
	info->mods_addr = BOOT_INFO + offsetof(struct info_page, modules);
	info->mmap_length = count * (uint32_t)sizeof(struct range);
	info->mmap_addr = BOOT_INFO + offsetof(struct info_page, mmap);
	info->boot_loader_name = BOOT_INFO + offsetof(struct info_page, loader_name);
	memcpy(page->loader_name, LOADER_NAME, sizeof(page->loader_name));
	for (unsigned i = 0; i < count; i++)
		page->mmap[i] = (struct range){
			.size = sizeof(struct range) - sizeof(uint32_t), .e820 = map[i]
		};
}

int multiboot_load(struct boot_job *job, const struct elf_image *image)
{
	const struct boot_options *options = job->options;
	struct info_page page = { 0 };
	uint64_t cmdline;
	int ret;

	job->summary->format = "Multiboot";
	job->regs.mode = CPU_MODE_32;
	job->takes_modules = true;
	ret = load_image(job, image);
	if (!ret)
		ret = add_modules(job, &page);
	if (!ret)
		ret = boot_put_string(job, options->kernel, options->cmdline, UINT64_MAX, &cmdline);
	if (ret)
		return ret;

	fill_page(&page, job, cmdline);
	job->regs.rax = LOADER_MAGIC;
	job->regs.rbx = BOOT_INFO;
	return boot_write_tables(job, &page, sizeof(page));
}
