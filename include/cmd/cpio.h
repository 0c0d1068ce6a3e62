/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initramfs in memory: a cpio archive in the "newc" form that Linux unpacks into its first root
 * file system (Documentation/driver-api/early-userspace/buffer-format.rst), written to a memfd.
 *
 * Paths are those in the guest; leading, doubled and trailing slashes do not matter. Parents that
 * were not added are made, with mode 0755. A later entry replaces an earlier one with the same
 * path, as when Linux unpacks it.
 *
 * Any thread, one at a time. After a failure only cpio_destroy() may be called.
 */
#ifndef KINGLET_CMD_CPIO_H
#define KINGLET_CMD_CPIO_H

#include "base/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

struct cpio {
	int fd;	       /* memfd, owned; its position is the archive's end */
	uint64_t len;  /* bytes so far */
	uint64_t max;  /* largest length in bytes */
	uint32_t inos; /* assigned so far */
	uint64_t pages; /* of 4 KiB, used by the files after unpacking */
	void *paths;   /* tsearch(3): what was added */
};

struct cpio_entry {
	const char *path;
	mode_t mode; /* with the type, as in struct stat */
	uint32_t uid, gid;
	uint32_t mtime;	      /* seconds since 1970 */
	unsigned major, minor; /* of a device node */
	const void *data;     /* of a file, or a link's target; or NULL, and then: */
	int fd;		      /* borrowed; read from its start */
	uint64_t len;	      /* bytes of a file or of a target, else 0 */
};

/* Creates an archive of at most `max` bytes, less than 4 GiB. 0 or the errno of memfd_create(2). */
__must_check int cpio_init(struct cpio *cpio, uint64_t max);
void cpio_destroy(struct cpio *cpio);

/*
 * -EFBIG: over `max`. -EINVAL: a path that is empty, has a `..` or is longer than Linux takes.
 * -ENOTDIR: a parent was added as something other than a folder. -EIO: the file is now shorter than
 * `len`. -ENOMEM; errors of read(2) and write(2).
 */
__must_check int cpio_add(struct cpio *cpio, const struct cpio_entry *entry);

/*
 * Adds everything below `folder`, which becomes the guest's `path` ("/" for its root): names in
 * order, links as links, what has several names once. Files owned by the caller's user are owned by
 * root in the guest. Other file systems mounted below it are left out. On failure logs one line
 * with the file, and returns a negative errno.
 */
__must_check int cpio_add_folder(struct cpio *cpio, const char *folder, const char *path);

/*
 * Writes the trailer; afterwards nothing can be added. The archive is the whole content of
 * cpio->fd.
 */
__must_check int cpio_finish(struct cpio *cpio);

/*
 * Private to cpio.c and cpio_folder.c: one entry more under the number of an inode that was given
 * out, of which there are `links` names; ino 0: the next number. The number in *ino.
 */
__must_check int cpio_add_inode(struct cpio *cpio, const struct cpio_entry *entry, uint32_t *ino,
				uint32_t links);

#endif
