/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs of exec and of --root for a kernel and a machine. Main thread.
 */
#ifndef KINGLET_CMD_EXEC_BASE_H
#define KINGLET_CMD_EXEC_BASE_H

#include "cmd/exec_image.h"
#include "devices/kind.h"

enum { EXEC_NAMES_MAX = 33 };

/* All borrowed. */
struct exec_needs {
	const char *kernel;
	const char *modules;		  /* folder, as for kernels_modules_folder(); or NULL */
	const struct device_set *devices; /* whose drivers it has */
	const char *const *names;	  /* of more modules, EXEC_NAMES_MAX at most */
	unsigned name_count;
	const char *const *inits; /* as in struct exec_base */
	bool readonly;
};

/*
 * Finds the modules, and fills an empty archive. *without: there is no folder of modules for this
 * kernel, and the archive has none. Errors as of exec_base_build(); a module that the kernel lacks
 * is named.
 */
__must_check int exec_base_make(struct cpio *cpio, const struct exec_needs *needs, bool *without);

#endif
