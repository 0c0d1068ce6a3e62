/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's kernels, for commands without a KERNEL argument. Main thread.
 */
#ifndef KINGLET_CMD_KERNELS_H
#define KINGLET_CMD_KERNELS_H

#include "cmd/kernel.h"

#include <stdio.h>
#include <sys/utsname.h>

/* /boot and /lib/modules, and the running kernel's version, stored in *host. */
void kernels_host_places(struct kernel_places *places, struct utsname *host);

/*
 * The file of the default kernel for `command`; the caller frees *path. -ENOENT after one logged
 * line when there is none, -ENOMEM.
 */
__must_check int kernels_default(const struct kernel_places *places, const char *command,
				 char **path);

/*
 * The initramfs installed with kernel .../vmlinuz-VERSION: initrd.img-VERSION in its folder. The
 * caller frees *initrd, which is NULL when there is none. 0 or -ENOMEM.
 */
__must_check int kernels_initrd(const char *kernel, char **initrd);

/*
 * The folder of a kernel's modules. `given` by the user: itself, or the VERSION of the kernel in it
 * or in its lib/modules; without it that of the host's places. The caller frees *folder, which is
 * NULL when the kernel has no version or no folder. -ENOENT after one logged line when there is
 * none in `given`, -ENOMEM.
 */
__must_check int kernels_modules_folder(const struct kernel_places *places, const char *kernel,
					const char *given, char **folder);

/* What `kinglet kernel list` prints; 0 or -ENOMEM. */
__must_check int kernels_print(FILE *out, const struct kernel_places *places);

#endif
