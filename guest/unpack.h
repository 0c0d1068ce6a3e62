/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an archive, as the kernel does with an initramfs.
 */
#ifndef KINGLET_GUEST_UNPACK_H
#define KINGLET_GUEST_UNPACK_H

/*
 * Reads an archive in the "newc" form of cpio from `fd`, which blocks, up to its trailer, and
 * creates what it holds below the working directory. Entries replace earlier ones of their name;
 * those with an inode's number and several links share one file. What cannot be created is
 * complained about and left out, as by the kernel; gives up when there is no room, or when the
 * archive is damaged or ends too early.
 */
void unpack(int fd);

#endif
