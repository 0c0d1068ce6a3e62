/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernel.h"

#include "base/checked.h"
#include "base/le.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* boot.rst: "kernel_version" is an offset from the end of the first sector. */
enum { MAGIC_AT = 0x202, KERNEL_VERSION_AT = 0x20e, SECTOR = 512 };

static const char bzimage_magic[] = "HdrS";
static const char banner[] = "Linux version ";

static int take_word(const char *text, size_t len, char version[KERNEL_VERSION_MAX])
{
	size_t used = 0;

	while (used < len && used < KERNEL_VERSION_MAX - 1 && text[used] > ' ' && text[used] < 0x7f)
		used++;
	memcpy(version, text, used);
	version[used] = '\0';
	/* It becomes the name of a folder. */
	return used && version[0] != '.' && !strchr(version, '/') ? 0 : -ENODATA;
}

static int parse(const char *image, size_t size, char version[KERNEL_VERSION_MAX])
{
	const char *at;

	if (range_fits(KERNEL_VERSION_AT, 2, size) &&
	    memcmp(image + MAGIC_AT, bzimage_magic, strlen(bzimage_magic)) == 0) {
		size_t off = get_le16(image + KERNEL_VERSION_AT);

		if (!off || off + SECTOR >= size)
			return -ENODATA;
		return take_word(image + off + SECTOR, size - off - SECTOR, version);
	}
	/* The text also occurs in format strings, followed by a %s. */
	for (at = image; (at = memmem(at, size - (size_t)(at - image), banner, strlen(banner)));) {
		at += strlen(banner);
		if ((size_t)(at - image) < size && *at >= '0' && *at <= '9')
			return take_word(at, size - (size_t)(at - image), version);
	}
	return -ENODATA;
}

int kernel_version(const char *path, char version[KERNEL_VERSION_MAX])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *image;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -ENODATA;
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		return -errno;
	ret = parse(image, (size_t)st.st_size, version);
	munmap(image, (size_t)st.st_size);
	return ret;
}
