/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and their modules as they are installed on the host. Any thread; nothing is logged: the
 * caller knows what the kernel is for.
 */
#ifndef KINGLET_CMD_KERNEL_H
#define KINGLET_CMD_KERNEL_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

enum { KERNEL_VERSION_MAX = 128 }; /* with its NUL; Linux: 64 */

/*
 * The release that a kernel's file names ("6.1.0-25-cloud-amd64"): in a bzImage the header's
 * kernel_version (Documentation/x86/boot.rst), in any that is not packed its banner. -ENODATA when
 * it names none; errors of open(2), mmap(2).
 */
__must_check int kernel_version(const char *path, char version[KERNEL_VERSION_MAX]);

/* Files of modules, relative to their kernel's folder, in the order in which they are loaded. */
enum { KERNEL_MODULES_MAX = 256 };
struct kernel_modules {
	char *files[KERNEL_MODULES_MAX]; /* owned */
	unsigned count;
};

/*
 * What must be loaded for `names` to be there ("virtio_pci"; `-` is as `_`), by the modules.dep and
 * modules.builtin of `folder` (/lib/modules/VERSION). -ENOENT: the folder has no modules.dep.
 * -ENODATA: it knows nothing of a name, which is put into *missing (may be NULL). -E2BIG. Pair with
 * kernel_modules_destroy(), also on failure.
 */
__must_check int kernel_modules_find(const char *folder, const char *const *names, unsigned count,
				     struct kernel_modules *modules, const char **missing);
void kernel_modules_destroy(struct kernel_modules *modules);

/* Where kernels are installed. All borrowed. */
struct kernel_places {
	const char *boot;    /* "/boot": has vmlinuz-VERSION */
	const char *modules; /* "/lib/modules": has VERSION */
	const char *running; /* the host's own version, as by uname(2) */
};

struct kernel {
	char *path, *version; /* owned */
	char *modules;	      /* folder, owned; NULL: there is none */
	bool readable;
	bool running; /* the host runs on this one */
};

enum { KERNEL_LIST_MAX = 64 };
struct kernel_list {
	struct kernel kernels[KERNEL_LIST_MAX]; /* newest first */
	unsigned count;
};

/* 0 with as many as there are, perhaps none, or -ENOMEM. Pair with kernel_list_destroy(). */
__must_check int kernel_list_init(struct kernel_list *list, const struct kernel_places *places);
void kernel_list_destroy(struct kernel_list *list);

/* The one to take where none is named: that of the host, else the newest; readable. Or NULL. */
const struct kernel *kernel_list_default(const struct kernel_list *list);

#endif
