/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of this process's SCSI devices, through the mounted configfs. Failures are logged.
 * Machine's thread unless stated otherwise.
 */
#ifndef KINGLET_SCSI_TARGET_H
#define KINGLET_SCSI_TARGET_H

#include "lio.h"
#include "devices/scsi.h"

/* A target created for a device and removed with it. */
struct scsi_target {
	struct lio lio;
	struct lio_target made;
};

/* `index` distinguishes several of one process. Errors of lio_target_create(); -EIO; -ENOMEM. */
__must_check int scsi_target_new(struct scsi_target **out, const struct image_options *image,
				 unsigned index);
/* As lio_target_let_go() and lio_target_take(). */
__must_check int scsi_target_let_go(struct scsi_target *target);
__must_check int scsi_target_take(struct scsi_target *target);
/* NULL is none. */
void scsi_target_destroy(struct scsi_target *target);

/*
 * Checks that a device can use an existing target: now rather than at DRIVER_OK, if configfs is
 * visible. -EIO.
 */
__must_check int scsi_target_check(const char *wwpn);

/*
 * The process ends without destroying its devices: starts another process that removes its targets
 * afterwards. False: there is no configfs. Any thread.
 */
bool scsi_targets_abandon(void);

/* Removes the targets of processes that have ended. Any thread. */
void scsi_targets_remove_stale(void);

#endif
