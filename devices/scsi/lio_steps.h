/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps in configfs that create a target and remove it. One thread at a time.
 */
#ifndef KINGLET_SCSI_LIO_STEPS_H
#define KINGLET_SCSI_LIO_STEPS_H

#include "lio.h"

#include <sys/stat.h>

/* The parts of a step's paths and texts. */
enum lio_place {
	NOTHING,
	HBA,	 /* core/fileio_18763 */
	STORE,	 /* core/fileio_18763/kinglet-... */
	FABRIC,	 /* vhost */
	TARGET,	 /* vhost/naa.... */
	GROUP,	 /* vhost/naa..../tpgt_1 */
	ACL,	 /* vhost/naa..../tpgt_1/acls/naa.... */
	INITIATOR,
	CONTROL, /* these two identify the file, and are empty for removal only */
	UDEV_PATH,
	PLACES,
};

struct lio_places {
	char text[PLACES][256];
};

/* For a backstore of this name: enough to undo the steps. */
void lio_places_init(struct lio_places *places, const char *name, bool block_device);
/* Adds its file, to do the steps. */
void lio_places_set_file(struct lio_places *places, const char *path, int fd,
			 const struct stat *st, bool readonly);

/*
 * Does all steps for `file`, its name in messages; on failure undoes all: -EIO after a logged line.
 */
__must_check int lio_steps_do(const char *file, const struct lio *lio,
			      const struct lio_places *places, bool readonly);
/* Stops with a warning at the first step that cannot be undone. */
void lio_steps_undo(const struct lio *lio, const struct lio_places *places);

#endif
