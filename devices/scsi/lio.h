/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of the kernel's SCSI target (LIO), backed by a file or a block device and exported to
 * vhost-scsi, set up through configfs:
 *
 *   core/fileio_18763/kinglet-…     the backstore: iblock_… for a block device
 *   vhost/naa.5001405…/tpgt_1       the target, whose one LUN is the backstore
 *
 * Its name identifies the owner: PID namespace, PID and start time of the process that created it.
 * So what a killed process (SIGKILL) left behind can be told from what is in use.
 *
 * One thread at a time. Errors are logged here, in one line.
 */
#ifndef KINGLET_SCSI_LIO_H
#define KINGLET_SCSI_LIO_H

#include "host/image.h"

/* The number of the only portal group, and so of the SCSI target that a guest sees. */
enum { LIO_TARGET = 1 };

enum { LIO_ROOT_MAX = 256, LIO_NAME_MAX = 80, LIO_WWPN_MAX = 24 };

struct lio;

/* Changes to configfs: 0 or a negative errno, like the system calls of these names. */
struct lio_ops {
	int (*mkdir)(const struct lio *lio, const char *path);
	int (*rmdir)(const struct lio *lio, const char *path);
	int (*symlink)(const struct lio *lio, const char *target, const char *path);
	int (*unlink)(const struct lio *lio, const char *path);
	/* One write(2) to an existing file. */
	int (*write)(const struct lio *lio, const char *path, const char *text);
};

struct lio {
	const struct lio_ops *ops;
	char root[LIO_ROOT_MAX]; /* "/sys/kernel/config/target" */
};

struct lio_target {
	const struct lio *lio;	 /* borrowed */
	char name[LIO_NAME_MAX]; /* of the backstore */
	bool block_device;
	char wwpn[LIO_WWPN_MAX]; /* of the target, for vhost-scsi */
	struct image_options image;
	int fd;			 /* the file, owned: holds the lock */
	bool taken;		 /* it is locked, and the target is there */
};

/*
 * Finds the target folder below the first configfs of a list like /proc/mounts. -ENOENT, not
 * logged, without a configfs.
 */
__must_check int lio_find(struct lio *lio, const char *mounts);

/* Logs that lio_find() failed, and what to do. */
void lio_log_not_found(int err);

/*
 * Checks that vhost-scsi could use the target `wwpn`: one of its portal groups has a nexus.
 * -ENODEV.
 */
__must_check int lio_check_target(const struct lio *lio, const char *wwpn);

/* Whether the file is suitable, apart from its lock; errors as of lio_target_create(). */
__must_check int lio_check_image(const struct image_options *image);

/*
 * Creates a target with a file or block device as its LUN 0. *lio is borrowed while it exists.
 * `index` distinguishes several targets of one process. The file stays open and locked, like a disk
 * image. With image->later it is only opened, and the target has its name: lio_target_take()
 * follows. On failure nothing is left behind. -EINVAL, -ENOENT and -ENOTDIR: the path or the file
 * is unsuitable; everything else is a host error.
 */
__must_check int lio_target_create(struct lio_target *target, const struct lio *lio,
				   const struct image_options *image, unsigned index);

/*
 * As image_let_go() and image_take(). The target, which must not be an endpoint any more, is gone
 * in between. What cannot be removed is logged as a warning and left to a later lio_remove_stale().
 */
__must_check int lio_target_let_go(struct lio_target *target);
__must_check int lio_target_take(struct lio_target *target);

/* Removes the target in the same way, and closes the file. */
void lio_target_destroy(struct lio_target *target);

/* Removes the targets of processes that have ended. Failures are warnings. */
void lio_remove_stale(const struct lio *lio);

/* Describes them in words, for a host whose root folder is `root`; false if there are none. */
bool lio_describe_stale(const char *root, char *text, size_t len);

#endif
