/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and their modules installed on the host. Any thread; does not log: the caller knows what
 * the kernel is for.
 */
#ifndef KINGLET_CMD_KERNEL_H
#define KINGLET_CMD_KERNEL_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

enum { KERNEL_VERSION_MAX = 128 }; /* with its NUL; Linux: 64 */

/*
 * The release in a kernel's file ("6.1.0-25-cloud-amd64"): in a bzImage the header's kernel_version
 * (Documentation/x86/boot.rst), in any uncompressed one its banner. -ENODATA when it has none;
 * errors of open(2), mmap(2).
 */
__must_check int kernel_version(const char *path, char version[KERNEL_VERSION_MAX]);

/* Whether the list `modules.dep` or `modules.builtin` of a folder has the module; `-` equals `_`. */
bool kernel_module_is_listed(const char *folder, const char *list, const char *name);

/* Module files, relative to their kernel's folder, in load order. */
enum { KERNEL_MODULES_MAX = 256 };
struct kernel_modules {
	char *files[KERNEL_MODULES_MAX]; /* owned */
	unsigned count;
};

/*
 * The modules to load for `names` ("virtio_pci"; `-` equals `_`), by the modules.dep and
 * modules.builtin of `folder` (/lib/modules/VERSION). -ENOENT: the folder has no modules.dep.
 * -ENODATA: a name is unknown, and put into *missing (may be NULL). -E2BIG. Pair with
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
	bool running; /* the host is running this one */
};

enum { KERNEL_LIST_MAX = 64 };
struct kernel_list {
	struct kernel kernels[KERNEL_LIST_MAX]; /* newest first */
	unsigned count;
};

/* 0, even if there is none, or -ENOMEM. Pair with kernel_list_destroy(). */
__must_check int kernel_list_init(struct kernel_list *list, const struct kernel_places *places);
void kernel_list_destroy(struct kernel_list *list);

/* The default kernel: that of the host, else the newest; readable. Or NULL. */
const struct kernel *kernel_list_default(const struct kernel_list *list);

#endif
