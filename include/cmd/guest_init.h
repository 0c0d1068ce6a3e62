/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static program guest/init.c, which this binary carries: the init of guests of `kinglet exec`.
 *
 * It does what GUEST_INIT_TODO in its initramfs says: strings, each ended by a NUL, whose first
 * byte is what they are: M a module's file, loaded in this order; R a path that becomes read-only;
 * C the working directory; E a variable of the environment; A an argument, the first of them the
 * program. Then it runs the program between the virtio-console ports kinglet.stdin, kinglet.stdout
 * and kinglet.stderr, and writes its exit status (128 + n after signal n) to kinglet.status.
 */
#ifndef KINGLET_CMD_GUEST_INIT_H
#define KINGLET_CMD_GUEST_INIT_H

#include <stdint.h>

/* A folder of the guest's for what Kinglet puts there; it is gone when the program starts. */
#define GUEST_INIT_FOLDER "/.kinglet"
#define GUEST_INIT_PATH GUEST_INIT_FOLDER "/init"
#define GUEST_INIT_TODO GUEST_INIT_FOLDER "/exec"

extern const uint8_t guest_init[];
extern const uint32_t guest_init_len; /* bytes */

#endif
