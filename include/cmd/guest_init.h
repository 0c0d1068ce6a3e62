/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static program guest/init.c, embedded in this binary: the init of guests of `kinglet exec`,
 * and of those of `kinglet run --root` until it becomes their folder's.
 *
 * It follows instructions: NUL-terminated strings, whose first byte is their kind. In its initramfs
 * GUEST_INIT_MODULES has M, a module's file, loaded in this order. With --root it also has W, or O
 * for read-only, the tag of a virtio-fs that becomes the root, and I, a program in it: the first that
 * can be executed replaces this one.
 *
 * For exec: if the virtio console has a port kinglet.snapshot, it writes the line "ready" there and
 * waits for a line: until then it depends on no program. After "restored SECONDS NANOSECONDS HEX" it
 * sets the time of day, and gives the 32 bytes to the kernel's random numbers; after any other line
 * it just goes on. It opens the other ports only now, reads a cpio archive from kinglet.files, unpacks it and follows the archive's
 * GUEST_INIT_TODO: L the tag of a virtio-fs that becomes the root, below an overlay; R a path that
 * becomes read-only; C the working directory; E a variable of the environment; A an argument, the
 * first of them the program. It runs the program between the ports kinglet.stdin, kinglet.stdout and
 * kinglet.stderr, and writes its exit status (128 + n after signal n) to kinglet.status.
 */
#ifndef KINGLET_CMD_GUEST_INIT_H
#define KINGLET_CMD_GUEST_INIT_H

#include <stdint.h>

/* The guest's folder for Kinglet's files; it is removed before the program starts. */
#define GUEST_INIT_FOLDER "/.kinglet"
#define GUEST_INIT_PATH GUEST_INIT_FOLDER "/init"
#define GUEST_INIT_MODULES GUEST_INIT_FOLDER "/modules"
#define GUEST_INIT_TODO GUEST_INIT_FOLDER "/exec"
#define GUEST_INIT_TAG "kinglet-root" /* of a root */

extern const uint8_t guest_init[];
extern const uint32_t guest_init_len; /* bytes */

#endif
