/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static program guest/init.c, embedded in this binary: the init of guests of `kinglet exec`.
 *
 * It follows GUEST_INIT_TODO in its initramfs: NUL-terminated strings, whose first byte is their
 * kind: M a module's file, loaded in this order; R a path that becomes read-only; C the working
 * directory; E a variable of the environment; A an argument, the first of them the program. Then it
 * runs the program between the virtio-console ports kinglet.stdin, kinglet.stdout and
 * kinglet.stderr, and writes its exit status (128 + n after signal n) to kinglet.status.
 */
#ifndef KINGLET_CMD_GUEST_INIT_H
#define KINGLET_CMD_GUEST_INIT_H

#include <stdint.h>

/* The guest's folder for Kinglet's files; it is removed before the program starts. */
#define GUEST_INIT_FOLDER "/.kinglet"
#define GUEST_INIT_PATH GUEST_INIT_FOLDER "/init"
#define GUEST_INIT_TODO GUEST_INIT_FOLDER "/exec"

extern const uint8_t guest_init[];
extern const uint32_t guest_init_len; /* bytes */

#endif
