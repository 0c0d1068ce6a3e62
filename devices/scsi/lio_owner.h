/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of backstores identify the process that created them. Any thread.
 */
#ifndef KINGLET_SCSI_LIO_OWNER_H
#define KINGLET_SCSI_LIO_OWNER_H

#include "lio.h"

/* A name for this process; `index` distinguishes several. A negative errno without /proc. */
__must_check int lio_name_new(char name[LIO_NAME_MAX], unsigned index);

/* Whether it is such a name, and the process has ended. False when in doubt. */
bool lio_name_is_stale(const char *name);

#endif
