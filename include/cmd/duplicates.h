/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts between a machine's devices. Main thread.
 */
#ifndef KINGLET_CMD_DUPLICATES_H
#define KINGLET_CMD_DUPLICATES_H

#include "machine/config.h"

/*
 * -EINVAL after one logged line when two devices want the same: an image that one of them may write,
 * or what their kind says.
 */
__must_check int duplicates_check(const struct machine_config *config);

#endif
