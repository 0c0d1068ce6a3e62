/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/exec_base.h"

#include "base/log.h"
#include "cmd/kernels.h"

#include <string.h>

enum { ALL_NAMES_MAX = EXEC_NEEDED_MODULES + DEVICES_MAX * DEVICE_MODULES_MAX + EXEC_NAMES_MAX };

static unsigned name_modules(const struct exec_needs *needs, const char *names[ALL_NAMES_MAX])
{
	const struct device_set *devices = needs->devices;
	unsigned count = 0;

	for (unsigned i = 0; i < EXEC_NEEDED_MODULES; i++)
		names[count++] = exec_needed_modules[i];
	for (unsigned i = 0; i < devices->count; i++) {
		const char *const *name = devices->items[i].kind->guest_modules;

		while (*name && !devices->items[i].instance)
			names[count++] = *name++;
	}
	for (unsigned i = 0; i < needs->name_count; i++)
		names[count++] = needs->names[i];
	return count;
}

static int find_modules(const struct exec_needs *needs, const char *folder,
			struct kernel_modules *modules)
{
	const char *names[ALL_NAMES_MAX], *missing;
	int ret = kernel_modules_find(folder, names, name_modules(needs, names), modules, &missing);

	if (ret == -ENODATA)
		log_error("%.200s: has no module %.63s, nor is it built in; another kernel is needed, "
			  "or its folder as %s",
			  folder, missing, needs->inits ? "modules=DIR of --root" : "--modules DIR");
	else if (ret)
		log_error("%.200s: %s", folder, strerror(-ret));
	return ret;
}

int exec_base_make(struct cpio *cpio, const struct exec_needs *needs, bool *without)
{
	_cleanup_free_ char *folder = NULL;
	struct kernel_modules modules = { 0 };
	struct exec_base base = {
		.modules = &modules, .inits = needs->inits, .readonly = needs->readonly
	};
	struct kernel_places places;
	struct utsname host;
	int ret;

	kernels_host_places(&places, &host);
	ret = kernels_modules_folder(&places, needs->kernel, needs->modules, &folder);
	if (!ret && folder)
		ret = find_modules(needs, folder, &modules);
	base.modules_folder = folder;
	*without = !folder;
	if (!ret)
		ret = exec_base_build(cpio, &base);
	kernel_modules_destroy(&modules);
	return ret;
}
