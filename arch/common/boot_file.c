/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/boot_file.h"

#include "base/checked.h"
#include "base/files.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Known file types that do not boot, for the error message. */
static const struct {
	size_t offset;
	const char *magic;
	size_t len;
	const char *name;
} foreign[] = {
	{ 0, "\x1f\x8b", 2, "gzip-compressed data" },
	{ 0, "\xfd" "7zXZ", 5, "xz-compressed data" },
	{ 0, "\x28\xb5\x2f\xfd", 4, "zstd-compressed data" },
	{ 0, "\x02\x21\x4c\x18", 4, "LZ4-compressed data" },
	{ 0, "\x04\x22\x4d\x18", 4, "LZ4-compressed data" },
	{ 0, "BZh", 3, "bzip2-compressed data" },
	{ 0, "070701", 6, "a cpio archive (an initrd?)" },
	{ 56, "ARM\x64", 4, "an arm64 Linux Image" },
	{ 0, "\x7f" "ELF", 4, "an ELF file" },
	{ 0, "QFI\xfb", 4, "a qcow2 disk image" },
	{ 0, "!<arch>\n", 8, "an ar archive" },
	{ 0, "MZ", 2, "a DOS or EFI executable" },
	{ 510, "\x55\xaa", 2, "a boot sector" },
};

bool boot_file_has(const struct boot_file *file, size_t offset, const void *bytes, size_t len)
{
	return range_fits(offset, len, file->head_len) &&
	       memcmp(file->head + offset, bytes, len) == 0;
}

const char *boot_file_foreign_name(const struct boot_file *file)
{
	for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++)
		if (boot_file_has(file, foreign[i].offset, foreign[i].magic, foreign[i].len))
			return foreign[i].name;
	return "no known magic";
}

int boot_refuse(const struct boot_file *file, int err, const char *fmt, ...)
{
	char reason[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	log_error("%s %s: %s", file->what, file->path, reason);
	return err;
}

static int read_exactly(const struct boot_file *file, uint64_t off, void *buf, size_t len)
{
	int ret = pread_exactly(file->fd, buf, len, off);

	if (ret == -ENODATA)
		return boot_refuse(file, -EIO, "shrank while it was read");
	return ret ? boot_refuse(file, ret, "read: %s", strerror(-ret)) : 0;
}

int boot_file_open(struct boot_file *file, const char *what, const char *path)
{
	struct stat st;

	file->what = what;
	file->path = path;
	file->size = 0;
	/* Non-blocking: the open of a FIFO would wait for a writer. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return boot_refuse(file, -errno, "%s", strerror(errno));
	if (fstat(file->fd, &st))
		return boot_refuse(file, -errno, "fstat: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return boot_refuse(file, -ENOEXEC, "is a directory");
	if (!S_ISREG(st.st_mode))
		return boot_refuse(file, -ENOEXEC, "is not a regular file");
	if (!st.st_size)
		return boot_refuse(file, -ENOEXEC, "is empty");
	file->size = (uint64_t)st.st_size;
	file->head_len = file->size < BOOT_HEAD_LEN ? file->size : BOOT_HEAD_LEN;
	return read_exactly(file, 0, file->head, file->head_len);
}

/* The file's headers refer to bytes beyond its end. */
static int check_in_file(const struct boot_file *file, uint64_t off, uint64_t len)
{
	if (range_fits(off, len, file->size))
		return 0;
	return boot_refuse(file, -ENOEXEC,
			   "is truncated or damaged: it names %llu bytes at %#llx, but has %llu",
			   (unsigned long long)len, (unsigned long long)off,
			   (unsigned long long)file->size);
}

int boot_file_read(const struct boot_file *file, uint64_t off, void *buf, size_t len)
{
	int ret = check_in_file(file, off, len);

	if (!ret)
		ret = read_exactly(file, off, buf, len);
	return ret;
}

int boot_file_load(const struct boot_file *file, struct gmem *mem, uint64_t off, uint64_t gpa,
		   uint64_t len)
{
	int ret = check_in_file(file, off, len);

	if (ret)
		return ret;
	ret = gmem_pread(mem, gpa, file->fd, off, len);
	if (ret)
		return boot_refuse(file, ret, "read: %s", strerror(-ret));
	return 0;
}

static int place(const struct boot_file *file, struct gmem *mem, const struct boot_room *room,
		 struct gmem_range *at)
{
	uint64_t floor = align_up(room->floor, room->align), ceiling = room->ceiling;

	if (floor > ceiling || file->size > ceiling - floor)
		return boot_refuse(file, -E2BIG,
				   "%llu KiB do not fit into the RAM that is left for it, %#llx to "
				   "%#llx: give the guest more by --memory",
				   (unsigned long long)(file->size + 1023) / 1024,
				   (unsigned long long)floor, (unsigned long long)ceiling);
	at->gpa = room->low ? floor : (ceiling - file->size) & ~(room->align - 1);
	at->len = file->size;
	return boot_file_load(file, mem, 0, at->gpa, at->len);
}

int boot_file_place(const char *what, const char *path, struct gmem *mem,
		    const struct boot_room *room, struct gmem_range *at)
{
	struct boot_file file;
	int ret = boot_file_open(&file, what, path);

	if (!ret)
		ret = place(&file, mem, room, at);
	close_fd(&file.fd);
	return ret;
}
