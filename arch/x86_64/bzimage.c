/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage at its 64-bit entry, or if it has none at the 32-bit one: no BIOS, no real mode. The
 * compressed kernel is read straight into guest RAM and decompresses itself.
 * (Documentation/x86/boot.rst)
 */
#include "boot.h"

#include "base/checked.h"
#include "base/le.h"

#include <stddef.h>
#include <string.h>

#define SECTOR 512u
#define PARAGRAPH 16u /* unit of syssize; the last one may be partial */
#define HEADER_AT offsetof(struct boot_params, hdr)
#define BOOT_FLAG_AT 0x1fe
#define JUMP_LEN_AT 0x201 /* the header's length after 0x202: operand of a short jump */
#define MAGIC_AT 0x202
#define MAGIC "HdrS"
#define VERSION_MIN 0x020c /* xloadflags, init_size; Linux 3.8 */
#define SETUP_SECTORS_DEFAULT 4
#define ENTRY_64 0x200 /* the 32-bit entry is the first byte */
#define LOAD_LOWEST BOOT_HIGH_MEMORY /* and the only address when it is not relocatable */

bool bzimage_probe(const struct boot_file *file)
{
	return file->head_len >= MAGIC_AT + strlen(MAGIC) &&
	       get_le16(file->head + BOOT_FLAG_AT) == 0xaa55 &&
	       memcmp(file->head + MAGIC_AT, MAGIC, strlen(MAGIC)) == 0;
}

/* Only the declared length, so that code after the header is not taken for fields. */
static int read_header(const struct boot_file *file, struct setup_header *header)
{
	size_t end = MAGIC_AT + file->head[JUMP_LEN_AT];
	size_t len = end - HEADER_AT;

	memset(header, 0, sizeof(*header));
	if (len > sizeof(*header))
		len = sizeof(*header);
	return boot_file_read(file, HEADER_AT, header, len);
}

static int check_header(const struct boot_file *file, const struct setup_header *header)
{
	if (header->version < VERSION_MIN)
		return boot_refuse(file, -ENOEXEC,
				   "bzImage with boot protocol %u.%02u; 2.12 or newer is needed",
				   header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return boot_refuse(file, -ENOEXEC, "zImage, which loads low; a bzImage is needed");
	if (header->relocatable_kernel && !is_power_of_two(header->kernel_alignment))
		return boot_refuse(file, -ENOEXEC, "damaged bzImage: kernel_alignment %#x",
				   header->kernel_alignment);
	return 0;
}

/*
 * Where the file's protected-mode part goes, and the memory it uses until the kernel is
 * decompressed.
 */
struct placement {
	uint64_t file_off, len;
	uint64_t load;
	uint64_t run, run_len;
};

static int place(const struct boot_job *job, const struct setup_header *header,
		 struct placement *p)
{
	const struct boot_file *file = &job->kernel;
	uint64_t sectors = header->setup_sects ? header->setup_sects : SETUP_SECTORS_DEFAULT;
	uint64_t promised = (uint64_t)header->syssize * PARAGRAPH;

	p->file_off = (sectors + 1) * SECTOR;
	if (p->file_off + ENTRY_64 >= file->size ||
	    promised > align_up(file->size - p->file_off, PARAGRAPH))
		return boot_refuse(file, -ENOEXEC,
				   "truncated bzImage: %llu bytes of %llu in its header",
				   (unsigned long long)file->size,
				   (unsigned long long)(p->file_off + promised));
	p->len = file->size - p->file_off;

	if (header->pref_address >= job->low_end)
		return boot_refuse(file, -E2BIG, "needs to run at %#llx; there is %llu MiB of RAM: "
				   "give the guest more by --memory",
				   (unsigned long long)header->pref_address,
				   (unsigned long long)job->low_end >> 20);
	p->load = LOAD_LOWEST;
	if (header->relocatable_kernel && header->pref_address > LOAD_LOWEST)
		p->load = header->pref_address;
	if (header->relocatable_kernel)
		p->load = align_up(p->load, header->kernel_alignment);
	/* A kernel loaded below its preferred address moves itself there (pref_address). */
	p->run = header->pref_address > p->load ? header->pref_address : p->load;
	p->run_len = header->init_size;
	return 0;
}

int bzimage_load(struct boot_job *job)
{
	struct setup_header header;
	struct placement p = { 0 };
	uint64_t entry = 0;
	int ret;

	job->summary->format = "bzImage";
	job->regs.mode = CPU_MODE_32;
	ret = read_header(&job->kernel, &header);
	if (!ret && header.xloadflags & XLF_KERNEL_64) {
		job->regs.mode = CPU_MODE_64;
		entry = ENTRY_64;
	}
	if (!ret)
		ret = check_header(&job->kernel, &header);
	if (!ret)
		ret = place(job, &header, &p);
	if (!ret)
		ret = boot_claim(job, p.load, p.len);
	if (!ret)
		ret = boot_claim(job, p.run, p.run_len);
	if (!ret)
		ret = boot_load_bytes(job, p.file_off, p.load, p.len);
	if (ret)
		return ret;
	return linux_enter(job, &header, p.load + entry);
}
