/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs of `kinglet exec`: a root, folders of the host, one program, the kernel's modules,
 * and Kinglet's own init with its instructions (cmd/guest_init.h). Main thread.
 */
#ifndef KINGLET_CMD_EXEC_IMAGE_H
#define KINGLET_CMD_EXEC_IMAGE_H

#include "cmd/cpio.h"
#include "cmd/kernel.h"

#include <stdbool.h>

/* Modules that every guest of exec needs. */
enum { EXEC_NEEDED_MODULES = 2 };
extern const char *const exec_needed_modules[EXEC_NEEDED_MODULES];

struct exec_dir {
	const char *host, *guest;
	bool readonly;
};

/* All borrowed. */
struct exec_image {
	const char *root; /* folder, or NULL: the program is a static one of the host */
	const struct exec_dir *dirs;
	unsigned dir_count;
	const char *modules_folder;	     /* NULL without modules */
	const struct kernel_modules *modules;
	const char *folder; /* the program's working directory */
	char *const *env;   /* ends with NULL */
	char *const *args;  /* the program first; ends with NULL */
};

/*
 * Fills an empty archive. 0, or a negative errno after one logged line with the file: -ENOMEM is a
 * host error, all others are usage errors.
 */
__must_check int exec_image_build(struct cpio *cpio, const struct exec_image *image);

/*
 * The guest RAM in bytes needed to unpack the archive: the archive is in RAM, and its files go to a
 * tmpfs that is limited to half of the rest, in pages and in files.
 */
uint64_t exec_image_memory(const struct cpio *cpio);

#endif
