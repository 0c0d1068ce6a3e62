/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernel.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char suffix[] = ".ko";

static bool same_letter(char a, char b)
{
	return (a == '-' ? '_' : a) == (b == '-' ? '_' : b);
}

/* "kernel/drivers/virtio/virtio_pci.ko.xz" is the file of virtio-pci. */
static bool is_file_of(const char *file, size_t len, const char *name)
{
	const char *base = memrchr(file, '/', len);

	if (base) {
		base++;
		len -= (size_t)(base - file);
		file = base;
	}
	while (len && *name && same_letter(*file, *name)) {
		len--;
		file++;
		name++;
	}
	return !*name && len >= strlen(suffix) && memcmp(file, suffix, strlen(suffix)) == 0;
}

static FILE *open_list(const char *folder, const char *list)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, list) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(path, "re");
}

/* The line of a list whose first word is the file of `name`. The caller frees *line. */
static bool find_line(FILE *list, const char *name, char **line)
{
	size_t room = 0;

	*line = NULL;
	rewind(list);
	while (getline(line, &room, list) > 0)
		if (is_file_of(*line, strcspn(*line, ":\n"), name))
			return true;
	return false;
}

bool kernel_module_is_listed(const char *folder, const char *list, const char *name)
{
	_cleanup_free_ char *line = NULL;
	FILE *in = open_list(folder, list);
	bool found;

	if (!in)
		return false;
	found = find_line(in, name, &line);
	fclose(in);
	return found;
}

static int add(struct kernel_modules *modules, const char *file)
{
	char *copy;

	for (unsigned i = 0; i < modules->count; i++)
		if (strcmp(modules->files[i], file) == 0)
			return 0;
	if (modules->count == KERNEL_MODULES_MAX)
		return -E2BIG;
	copy = strdup(file);
	if (!copy)
		return -ENOMEM;
	modules->files[modules->count++] = copy;
	return 0;
}

/*
 * "module: its dependencies, direct and indirect", each before its own dependencies: to be loaded
 * from the last to the first.
 */
static int add_line(struct kernel_modules *modules, char *line)
{
	int ret = 0;

	line[strcspn(line, "\n")] = '\0';
	while (!ret) {
		char *space = strrchr(line, ' ');
		char *file = space ? space + 1 : line;

		if (!space)
			file[strcspn(file, ":")] = '\0';
		if (*file)
			ret = add(modules, file);
		if (!space)
			break;
		*space = '\0';
	}
	return ret;
}

int kernel_modules_find(const char *folder, const char *const *names, unsigned count,
			struct kernel_modules *modules, const char **missing)
{
	FILE *list = open_list(folder, "modules.dep");
	int ret = 0;

	modules->count = 0;
	if (!list)
		return -errno;
	for (unsigned i = 0; i < count && !ret; i++) {
		_cleanup_free_ char *line = NULL;

		if (find_line(list, names[i], &line))
			ret = add_line(modules, line);
		else if (!kernel_module_is_listed(folder, "modules.builtin", names[i]))
			ret = -ENODATA;
		if (ret == -ENODATA && missing)
			*missing = names[i];
	}
	fclose(list);
	return ret;
}

void kernel_modules_destroy(struct kernel_modules *modules)
{
	while (modules->count)
		free(modules->files[--modules->count]);
}
