/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --root of `kinglet run`: a folder of the host is the guest's root file system. It is a virtio-fs
 * by a virtiofsd, as that of --share; an initramfs as that of exec, with the modules for it, mounts
 * it and starts its init. Main thread.
 */
#ifndef KINGLET_CMD_ROOT_H
#define KINGLET_CMD_ROOT_H

#include "cli/options.h"
#include "cmd/cpio.h"
#include "devices/fs.h"

struct root_options {
	struct share_config share; /* no folder: there is no --root */
	const char *modules;	   /* folder of the kernel's modules; NULL: by its version */
	struct cpio base;	   /* the initramfs */
	char initrd[32];	   /* its path; empty before it is built */
};

struct run_options;

extern const struct option_list root_option_list;

/*
 * Adds the device, before the machine's options are checked. -EINVAL after one logged line when
 * other options say what the root is.
 */
__must_check int root_add(struct run_options *options);

/*
 * Builds the initramfs, when the kernel and its command line are known. Errors as of
 * exec_base_make().
 */
__must_check int root_build(struct run_options *options);

void root_destroy(struct root_options *root);

#endif
