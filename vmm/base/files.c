/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"

#include <sys/stat.h>

int write_all(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int pread_exactly(int fd, void *buf, size_t len, uint64_t off)
{
	char *to = buf;

	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		to += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int file_for_data(int fd, uint64_t size, int (*work)(void *owner, uint64_t at, uint64_t end),
		  void *owner)
{
	off_t at = 0, end;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (uint64_t)at < size) {
		int ret;

		end = lseek(fd, at, SEEK_HOLE);
		ret = end < 0 ? -errno : work(owner, (uint64_t)at, (uint64_t)end);
		if (ret)
			return ret;
		at = end;
	}
	/* ENXIO: there is no more data. EINVAL: a block device, which has no holes. */
	if (at < 0 && errno == EINVAL)
		return work(owner, 0, size);
	return at >= 0 || errno == ENXIO ? 0 : -errno;
}

/* Three digits or so. */
static void print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	for (; value >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		value /= 1024;
	fprintf(out, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void file_describe(FILE *out, const char *path)
{
	struct stat st = { 0 };

	fprintf(out, "%s (", path);
	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		fputs("block device", out);
	else
		print_size(out, (uint64_t)st.st_size);
	fputc(')', out);
}
