/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernel.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char prefix[] = "vmlinuz-";

static int is_kernel(const struct dirent *entry)
{
	const char *version = entry->d_name + strlen(prefix);

	return strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && *version;
}

/* Newest first: 6.10 before 6.9. */
static int newer(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*b)->d_name, (*a)->d_name);
}

static char *join(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static int fill(struct kernel *kernel, const struct kernel_places *places, const char *name)
{
	_cleanup_free_ char *path = join(places->boot, name);
	_cleanup_free_ char *version = strdup(name + strlen(prefix));
	_cleanup_free_ char *modules = join(places->modules, name + strlen(prefix));

	if (!path || !version || !modules)
		return -ENOMEM;
	kernel->readable = access(path, R_OK) == 0;
	kernel->running = strcmp(version, places->running) == 0;
	kernel->path = steal_ptr(path);
	kernel->version = steal_ptr(version);
	kernel->modules = access(modules, F_OK) ? NULL : steal_ptr(modules);
	return 0;
}

int kernel_list_init(struct kernel_list *list, const struct kernel_places *places)
{
	struct dirent **names;
	int count = scandir(places->boot, &names, is_kernel, newer);
	int ret = 0;

	list->count = 0;
	if (count < 0)
		return errno == ENOMEM ? -ENOMEM : 0;
	for (int i = 0; i < count; i++) {
		if (!ret && i < KERNEL_LIST_MAX)
			ret = fill(&list->kernels[i], places, names[i]->d_name);
		if (!ret && i < KERNEL_LIST_MAX)
			list->count++;
		free(names[i]);
	}
	free(names);
	return ret;
}

void kernel_list_destroy(struct kernel_list *list)
{
	while (list->count) {
		struct kernel *kernel = &list->kernels[--list->count];

		free(kernel->path);
		free(kernel->version);
		free(kernel->modules);
	}
}

const struct kernel *kernel_list_default(const struct kernel_list *list)
{
	const struct kernel *best = NULL;

	for (unsigned i = 0; i < list->count; i++) {
		const struct kernel *kernel = &list->kernels[i];

		if (kernel->readable && (kernel->running || !best))
			best = kernel;
	}
	return best;
}
