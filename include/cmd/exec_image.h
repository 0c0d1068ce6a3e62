/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest of `kinglet exec` gets, in two archives. The base is its initramfs: Kinglet's own
 * init (cmd/guest_init.h) and the kernel's modules, the same for every program. The program's image,
 * which that init receives and unpacks, has all else: a root, folders of the host, the program, and
 * how to run it. Main thread.
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
struct exec_base {
	const char *modules_folder; /* NULL without modules */
	const struct kernel_modules *modules;
	/* With --root: programs that may be its init, then NULL; or NULL. */
	const char *const *inits;
	bool readonly; /* the root */
};

/* All borrowed. */
struct exec_image {
	const char *root; /* folder, or NULL: the program is a static one of the host */
	bool live;	  /* the root is not copied: it is the virtio-fs GUEST_INIT_TAG */
	const struct exec_dir *dirs;
	unsigned dir_count;
	const char *folder; /* the program's working directory */
	char *const *env;   /* ends with NULL */
	char *const *args;  /* the program first; ends with NULL */
};

/*
 * Each fills an empty archive. 0, or a negative errno after one logged line with the file: -ENOMEM
 * is a host error, all others are usage errors.
 */
__must_check int exec_base_build(struct cpio *cpio, const struct exec_base *base);
__must_check int exec_image_build(struct cpio *cpio, const struct exec_image *image);

/*
 * A hash of a finished base: the same for the same init, modules and order of loading, whatever
 * their paths on the host. 0 or the errno of mmap(2).
 */
__must_check int exec_base_hash(const struct cpio *base, uint64_t *hash);

/*
 * The guest RAM in bytes needed to unpack both: the base is in RAM, and the files of both go to a
 * tmpfs that is limited to half of the rest, in pages and in files.
 */
uint64_t exec_image_memory(const struct cpio *base, const struct cpio *image);

#endif
