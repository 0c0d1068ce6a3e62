/* SPDX-License-Identifier: Apache-2.0 */
#include "host/kernel.h"

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

static int fill(struct kernel *kernel, const struct kernel_places *places, const char *name)
{
	kernel->version = strdup(name + strlen(prefix));
	if (asprintf(&kernel->path, "%s/%s", places->boot, name) < 0)
		kernel->path = NULL;
	if (asprintf(&kernel->modules, "%s/%s", places->modules, name + strlen(prefix)) < 0)
		kernel->modules = NULL;
	if (!kernel->version || !kernel->path || !kernel->modules)
		return -ENOMEM;
	if (access(kernel->modules, F_OK)) {
		free(kernel->modules);
		kernel->modules = NULL;
	}
	kernel->readable = access(kernel->path, R_OK) == 0;
	kernel->running = strcmp(kernel->version, places->running) == 0;
	return 0;
}

int kernel_list_init(struct kernel_list *list, const struct kernel_places *places)
{
	struct dirent **names;
	int count = scandir(places->boot, &names, is_kernel, newer);
	int ret = 0;

	*list = (struct kernel_list){ 0 };
	if (count < 0)
		return errno == ENOMEM ? -ENOMEM : 0;
	list->kernels = calloc((size_t)count + 1, sizeof(*list->kernels));
	if (!list->kernels)
		ret = -ENOMEM;
	for (int i = 0; i < count; i++) {
		if (!ret)
			ret = fill(&list->kernels[list->count++], places, names[i]->d_name);
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
	free(list->kernels);
	list->kernels = NULL;
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
