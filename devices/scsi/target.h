/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets that SCSI devices of this process are on, by way of the configfs that is mounted.
 * Failures are logged. Machine's thread where not said otherwise.
 */
#ifndef KINGLET_SCSI_TARGET_H
#define KINGLET_SCSI_TARGET_H

#include "lio.h"
#include "devices/scsi.h"

/* One that is made for a device and goes with it. */
struct scsi_target {
	struct lio lio;
	struct lio_target made;
};

/* `index` tells several of one process apart. Errors of lio_target_create(); -EIO; -ENOMEM. */
__must_check int scsi_target_new(struct scsi_target **out, const struct image_options *image,
				 unsigned index);
/* NULL is none. */
void scsi_target_destroy(struct scsi_target *target);

/*
 * A target that exists is one that a device can be on: found out now and not at DRIVER_OK, if
 * configfs can be seen. -EIO.
 */
__must_check int scsi_target_check(const char *wwpn);

/*
 * The process ends and its devices are not destroyed: another is left that removes, after it, all
 * that it has made. False: there is no configfs. Any thread.
 */
bool scsi_targets_abandon(void);

/* Those of processes that have ended. Any thread. */
void scsi_targets_remove_stale(void);

#endif
