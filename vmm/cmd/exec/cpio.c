/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cpio.h"

#include "base/checked.h"
#include "base/files.h"

#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { HEADER_LEN = 110, ALIGN = 4, PAGE = 4096 };

static const char trailer[] = "TRAILER!!!";

/* A path that was added. */
struct node {
	bool passable; /* a folder, or a link that may point to one */
	char path[];
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

/* "//usr/./lib/" to "usr/lib". -EINVAL when nothing remains, or it leads upwards. */
static int normalise(const char *path, char out[PATH_MAX])
{
	size_t used = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (len && !(len == 1 && path[0] == '.')) {
			if (used + !!used + len + 1 > PATH_MAX)
				return -EINVAL;
			if (used)
				out[used++] = '/';
			memcpy(out + used, path, len);
			used += len;
		}
		path += len + (path[len] == '/');
	}
	out[used] = '\0';
	return used ? 0 : -EINVAL;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* Pads the archive to a multiple of four, where every part of an entry begins. */
static uint64_t padding(uint64_t len)
{
	return align_up(len, ALIGN) - len;
}

static int put(struct cpio *cpio, const void *data, uint64_t len)
{
	if (!range_fits(cpio->len, len, cpio->max))
		return -EFBIG;
	cpio->len += len;
	return write_all(cpio->fd, data, len);
}

static int put_padding(struct cpio *cpio)
{
	static const char zeroes[ALIGN];

	return put(cpio, zeroes, padding(cpio->len));
}

/* Copied within the kernel: page cache on both sides. */
static int put_file(struct cpio *cpio, int fd, uint64_t len)
{
	off_t off = 0;

	if (!range_fits(cpio->len, len, cpio->max))
		return -EFBIG;
	while ((uint64_t)off < len) {
		ssize_t n = sendfile(cpio->fd, fd, &off, len - (uint64_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
	}
	cpio->len += len;
	return 0;
}

static int put_header(struct cpio *cpio, const struct cpio_entry *entry, const char *path,
		      uint32_t ino, uint32_t links)
{
	size_t name_len = strlen(path) + 1;
	char header[HEADER_LEN + 1];
	int ret;

	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, entry->mode,
		 entry->uid, entry->gid, links, entry->mtime, (uint32_t)entry->len, 0, 0,
		 entry->major, entry->minor, (uint32_t)name_len, 0);
	ret = put(cpio, header, HEADER_LEN);
	if (!ret)
		ret = put(cpio, path, name_len);
	return ret ? ret : put_padding(cpio);
}

static int put_entry(struct cpio *cpio, const struct cpio_entry *entry, const char *path,
		     uint32_t ino, uint32_t links)
{
	int ret;

	/* A field has 32 bits; so has `max`. */
	if (entry->len > cpio->max)
		return -EFBIG;
	cpio->pages += align_up(entry->len, PAGE) / PAGE;
	ret = put_header(cpio, entry, path, ino, links);
	if (!ret && entry->data)
		ret = put(cpio, entry->data, entry->len);
	else if (!ret && entry->len)
		ret = put_file(cpio, entry->fd, entry->len);
	return ret ? ret : put_padding(cpio);
}

/* --- Paths ------------------------------------------------------------------------------------ */

/* The node of a path, created if it is new (*added). NULL: out of memory. */
static struct node *node_of(struct cpio *cpio, const char *path, size_t len, bool *added)
{
	struct node *node = calloc(1, sizeof(*node) + len + 1), **slot;

	if (!node)
		return NULL;
	memcpy(node->path, path, len);
	slot = tsearch(node, &cpio->paths, compare);
	*added = slot && *slot == node;
	if (!*added)
		free(node);
	return slot ? *slot : NULL;
}

static int add_parents(struct cpio *cpio, const char *path)
{
	static const struct cpio_entry folder = { .mode = S_IFDIR | 0755, .fd = -1 };
	int ret = 0;

	for (const char *end = strchr(path, '/'); end && !ret; end = strchr(end + 1, '/')) {
		bool added;
		struct node *node = node_of(cpio, path, (size_t)(end - path), &added);

		if (!node)
			return -ENOMEM;
		if (added) {
			node->passable = true;
			ret = put_entry(cpio, &folder, node->path, ++cpio->inos, 1);
		} else if (!node->passable) {
			ret = -ENOTDIR;
		}
	}
	return ret;
}

int cpio_add_inode(struct cpio *cpio, const struct cpio_entry *entry, uint32_t *ino, uint32_t links)
{
	char path[PATH_MAX];
	struct node *node;
	bool added;
	int ret = normalise(entry->path, path);

	if (!ret)
		ret = add_parents(cpio, path);
	if (ret)
		return ret;
	node = node_of(cpio, path, strlen(path), &added);
	if (!node)
		return -ENOMEM;
	node->passable = S_ISDIR(entry->mode) || S_ISLNK(entry->mode);
	if (!*ino)
		*ino = ++cpio->inos;
	return put_entry(cpio, entry, path, *ino, links);
}

int cpio_add(struct cpio *cpio, const struct cpio_entry *entry)
{
	uint32_t ino = 0;

	return cpio_add_inode(cpio, entry, &ino, 1);
}

/* --- Life ------------------------------------------------------------------------------------- */

int cpio_init(struct cpio *cpio, uint64_t max)
{
	*cpio = (struct cpio){ .max = max };
	cpio->fd = memfd_create("initramfs", MFD_CLOEXEC);
	return cpio->fd < 0 ? -errno : 0;
}

void cpio_destroy(struct cpio *cpio)
{
	close_fd(&cpio->fd);
	tdestroy(cpio->paths, free);
	cpio->paths = NULL;
}

int cpio_finish(struct cpio *cpio)
{
	static const struct cpio_entry last = { .fd = -1 };

	return put_entry(cpio, &last, trailer, 0, 1);
}
