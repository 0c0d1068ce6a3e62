/* SPDX-License-Identifier: Apache-2.0 */
#include "control/place.h"

#include <stdio.h>
#include <string.h>

bool control_is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	return *name && *name != '.' && strlen(name) <= CONTROL_NAME_MAX &&
	       !name[strspn(name, allowed)];
}

static int in_runtime_folder(char *path, size_t len, const char *slash, const char *name,
			     const char *end)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (!runtime || *runtime != '/')
		return -ENXIO;
	n = snprintf(path, len, "%s/kinglet%s%s%s", runtime, slash, name, end);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

int control_folder(char *path, size_t len)
{
	return in_runtime_folder(path, len, "", "", "");
}

int control_path(char *path, size_t len, const char *name)
{
	return in_runtime_folder(path, len, "/", name, ".sock");
}
