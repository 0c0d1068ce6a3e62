/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's Image: plain, compressed by gzip or zstd (Image.gz), or inside a self-extracting EFI
 * program (vmlinuz.efi). (Documentation/arm64/booting.rst; drivers/firmware/efi/libstub/
 * zboot-header.S)
 */
#include "boot.h"
#include "unpack.h"

#include "base/le.h"

struct image_header {
	struct le32 code[2];
	struct le64 text_offset; /* from a 2 MiB boundary */
	struct le64 image_size;	 /* with its bss; 0 before Linux 3.17 */
	struct le64 flags;
	struct le64 reserved[3];
	struct le32 magic;
	struct le32 pe_offset;
};
_Static_assert(sizeof(struct image_header) == 64, "booting.rst");
_Static_assert(offsetof(struct image_header, magic) == 56, "booting.rst");

#define IMAGE_MAGIC 0x644d5241 /* "ARM\x64" */
#define OLD_TEXT_OFFSET 0x80000

enum { ZBOOT_MAGIC = 4, ZBOOT_PAYLOAD_OFFSET = 8, ZBOOT_PAYLOAD_SIZE = 12 };

static bool is_zboot(const struct boot_file *file)
{
	return boot_file_has(file, 0, "MZ", 2) && boot_file_has(file, ZBOOT_MAGIC, "zimg", 4);
}

bool image_probe(const struct boot_file *file)
{
	return boot_file_has(file, offsetof(struct image_header, magic), "ARM\x64", 4) ||
	       boot_file_has(file, 0, "\x1f\x8b", 2) ||
	       boot_file_has(file, 0, "\x28\xb5\x2f\xfd", 4) || is_zboot(file);
}

static int open_stream(struct unpack *stream, const struct boot_file *file)
{
	if (!is_zboot(file) || file->head_len < 64)
		return unpack_open(stream, file, 0, file->size);
	return unpack_open(stream, file, get_le32(file->head + ZBOOT_PAYLOAD_OFFSET),
			   get_le32(file->head + ZBOOT_PAYLOAD_SIZE));
}

static int read_header(struct unpack *stream, struct image_header *header)
{
	uint64_t got;
	int ret = unpack_read(stream, header, sizeof(*header), &got);

	if (ret)
		return ret;
	if (got < sizeof(*header) || le32_get(header->magic) != IMAGE_MAGIC)
		return boot_refuse(stream->file, -ENOEXEC,
				   "there is no arm64 Image inside (or it is compressed other than "
				   "by gzip or zstd)");
	return 0;
}

/* Reads the stream after the header: *len bytes, at most `room`. */
static int read_rest(struct unpack *stream, uint8_t *to, uint64_t room, uint64_t *len)
{
	uint8_t beyond;
	uint64_t more;
	int ret = unpack_read(stream, to, room, len);

	if (!ret)
		ret = unpack_read(stream, &beyond, 1, &more);
	if (!ret && more)
		ret = boot_refuse(stream->file, -E2BIG,
				  "does not fit into RAM: give the guest more by --memory");
	return ret;
}

static int load_stream(struct boot_job *job, struct unpack *stream)
{
	struct image_header header;
	uint64_t offset, size, room, len;
	uint8_t *to;
	int ret = read_header(stream, &header);

	if (ret)
		return ret;
	size = le64_get(header.image_size);
	offset = size ? le64_get(header.text_offset) : OLD_TEXT_OFFSET;
	if (size < sizeof(header))
		size = sizeof(header);
	if (offset > job->fdt - ARM64_RAM_BASE)
		offset = job->fdt - ARM64_RAM_BASE;
	ret = boot_claim(job, ARM64_RAM_BASE + offset, size);
	if (ret)
		return ret;

	room = job->fdt - ARM64_RAM_BASE - offset;
	to = gmem_ptr(job->mem, ARM64_RAM_BASE + offset, room);
	if (!to)
		return boot_refuse(&job->kernel, -EFAULT, "no RAM at its address");
	memcpy(to, &header, sizeof(header));
	ret = read_rest(stream, to + sizeof(header), room - sizeof(header), &len);
	if (ret)
		return ret;
	len += sizeof(header);
	gmem_written(job->mem, to, len);
	job->summary->entry = ARM64_RAM_BASE + offset;
	return boot_claim(job, job->summary->entry, len > size ? len : size);
}

int image_load(struct boot_job *job)
{
	struct unpack stream;
	int ret = open_stream(&stream, &job->kernel);

	job->summary->format = "Image";
	if (!ret)
		ret = load_stream(job, &stream);
	unpack_close(&stream);
	return ret;
}
