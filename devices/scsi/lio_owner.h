/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of backstores say which process has made them. Any thread.
 */
#ifndef KINGLET_SCSI_LIO_OWNER_H
#define KINGLET_SCSI_LIO_OWNER_H

#include "lio.h"

/* One of this process; `index` tells several apart. A negative errno where there is no /proc. */
__must_check int lio_name_new(char name[LIO_NAME_MAX], unsigned index);

/* It is such a name, and the process has ended. False when in doubt. */
bool lio_name_is_stale(const char *name);

#endif
