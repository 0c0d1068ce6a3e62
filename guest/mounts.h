/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's file systems. What it cannot do without and cannot mount makes it give up.
 */
#ifndef KINGLET_GUEST_MOUNTS_H
#define KINGLET_GUEST_MOUNTS_H

/* What ports and messages need, where it is not in the way of the program's files. */
void mount_early(void);
/* The root becomes the virtio-fs of this tag, with an overlay for what is changed in it. */
void enter_live_root(const char *tag);
/*
 * The root becomes the virtio-fs of this tag, with the /dev that the kernel gives to a root that it
 * mounts by itself.
 */
void enter_root(const char *tag);
void enter_readonly_root(const char *tag);
/* What programs expect: /dev, /proc, /sys, /tmp. */
void mount_systems(void);
void mount_read_only(const char *path);

#endif
