/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernels.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

void kernels_host_places(struct kernel_places *places, struct utsname *host)
{
	*places = (struct kernel_places){
		.boot = "/boot",
		.modules = "/lib/modules",
		.running = uname(host) ? "" : host->release,
	};
}

int kernels_default(const struct kernel_places *places, const char *command, char **path)
{
	const struct kernel *kernel;
	struct kernel_list list;
	int ret = kernel_list_init(&list, places);

	*path = NULL;
	kernel = ret ? NULL : kernel_list_default(&list);
	if (kernel) {
		*path = strdup(kernel->path);
		ret = *path ? 0 : -ENOMEM;
	} else if (!ret && list.count) {
		ret = -ENOENT;
		log_error("no kernel is given, and %s cannot be read; write kinglet %s KERNEL, or as "
			  "root: chmod +r %s",
			  list.kernels[0].path, command, list.kernels[0].path);
	} else if (!ret) {
		ret = -ENOENT;
		log_error("no kernel is given, and %s has no vmlinuz-*; write kinglet %s KERNEL, or "
			  "install one (Debian: apt-get install linux-image-cloud-amd64)",
			  places->boot, command);
	}
	kernel_list_destroy(&list);
	return ret;
}

/* A module folder contains their list. */
static int take_if_there(char *folder, char **found)
{
	_cleanup_free_ char *owned = folder;
	_cleanup_free_ char *list = NULL;

	if (!folder || asprintf(&list, "%s/modules.dep", folder) < 0) {
		list = NULL;
		return -ENOMEM;
	}
	if (!access(list, F_OK))
		*found = steal_ptr(owned);
	return 0;
}

static char *join(const char *first, const char *second, const char *third)
{
	char *path;

	return asprintf(&path, "%s%s%s", first, second, third) < 0 ? NULL : path;
}

/* The VERSION of .../vmlinuz-VERSION, or NULL. */
static const char *installed_version(const char *kernel)
{
	static const char prefix[] = "/vmlinuz-";
	const char *slash = strrchr(kernel, '/');

	return slash && !strncmp(slash, prefix, strlen(prefix)) ? slash + strlen(prefix) : NULL;
}

int kernels_initrd(const char *kernel, char **initrd)
{
	const char *version = installed_version(kernel);
	_cleanup_free_ char *path = NULL;

	*initrd = NULL;
	if (!version)
		return 0;
	if (asprintf(&path, "%.*s/initrd.img-%s", (int)(strrchr(kernel, '/') - kernel), kernel,
		     version) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!access(path, F_OK))
		*initrd = steal_ptr(path);
	return 0;
}

/* From its content; for a compressed one, from its installed file name. */
static bool find_version(const char *kernel, char version[KERNEL_VERSION_MAX])
{
	const char *installed = installed_version(kernel);

	if (!kernel_version(kernel, version))
		return true;
	if (installed)
		snprintf(version, KERNEL_VERSION_MAX, "%s", installed);
	return installed;
}

int kernels_modules_folder(const struct kernel_places *places, const char *kernel,
			   const char *given, char **folder)
{
	char version[KERNEL_VERSION_MAX];
	bool named = find_version(kernel, version);
	int ret = 0;

	*folder = NULL;
	if (!given)
		return named ? take_if_there(join(places->modules, "/", version), folder) : 0;
	ret = take_if_there(strdup(given), folder);
	if (!ret && !*folder && named)
		ret = take_if_there(join(given, "/", version), folder);
	if (!ret && !*folder && named)
		ret = take_if_there(join(given, "/lib/modules/", version), folder);
	if (ret || *folder)
		return ret;
	log_error("modules %.80s: has no modules.dep, nor has %s%s in it; give the folder that "
		  "modprobe uses, or run depmod",
		  given, named ? version : "a folder VERSION", named ? "" : " (the kernel names none)");
	return -ENOENT;
}
