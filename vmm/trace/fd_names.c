/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/fd_names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FDS_MAX = 1 << 16 };

int fd_names_init(struct fd_names *names)
{
	*names = (struct fd_names){ 0 };
	return -pthread_mutex_init(&names->lock, NULL);
}

void fd_names_destroy(struct fd_names *names)
{
	free(names->names);
	names->names = NULL;
	names->count = 0;
	pthread_mutex_destroy(&names->lock);
}

static bool make_room(struct fd_names *names, int fd)
{
	int count = fd + 64;
	char(*grown)[FD_NAME_LEN];

	if (fd < 0 || fd >= FDS_MAX)
		return false;
	if (fd < names->count)
		return true;
	grown = realloc(names->names, (size_t)count * FD_NAME_LEN);
	if (!grown)
		return false;
	memset(grown + names->count, 0, (size_t)(count - names->count) * FD_NAME_LEN);
	names->names = grown;
	names->count = count;
	return true;
}

void fd_names_set(struct fd_names *names, int fd, const char *fmt, ...)
{
	va_list args;

	pthread_mutex_lock(&names->lock);
	if (make_room(names, fd)) {
		va_start(args, fmt);
		vsnprintf(names->names[fd], FD_NAME_LEN, fmt, args);
		va_end(args);
	}
	pthread_mutex_unlock(&names->lock);
}

void fd_names_add_bare(struct fd_names *names, int fd, struct text *out)
{
	pthread_mutex_lock(&names->lock);
	if (fd >= 0 && fd < names->count)
		text_add(out, "%s", names->names[fd]);
	pthread_mutex_unlock(&names->lock);
}

void fd_names_add(struct fd_names *names, int fd, struct text *out)
{
	char buf[FD_NAME_LEN];
	struct text name = text_of(buf, sizeof(buf));

	fd_names_add_bare(names, fd, &name);
	text_add(out, "fd %d", fd);
	if (name.len)
		text_add(out, " (%s)", buf);
}
