/* SPDX-License-Identifier: Apache-2.0 */
/* What checks read of the host, and what they say of it. */
#include "cmd/doctor.h"

#include "cmd/kernel.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct finding doctor_find(enum finding_state state, const char *fix, const char *fmt, ...)
{
	struct finding finding = { .state = state };
	va_list args;

	snprintf(finding.fix, sizeof(finding.fix), "%s", fix);
	va_start(args, fmt);
	vsnprintf(finding.text, sizeof(finding.text), fmt, args);
	va_end(args);
	return finding;
}

static void full_path(const struct doctor *doctor, const char *path, char *full, size_t len)
{
	snprintf(full, len, "%s%s", doctor->root, path);
}

int doctor_read(const struct doctor *doctor, const char *path, char *text, size_t len)
{
	_cleanup_close_ int fd = -1;
	char full[512];
	size_t used = 0;
	ssize_t got;

	*text = '\0';
	full_path(doctor, path, full, sizeof(full));
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used + 1 < len) {
		got = read(fd, text + used, len - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	if (used && text[used - 1] == '\n')
		used--;
	text[used] = '\0';
	return (int)used;
}

bool doctor_exists(const struct doctor *doctor, const char *path)
{
	char full[512];

	full_path(doctor, path, full, sizeof(full));
	return access(full, F_OK) == 0;
}

/* A line of /etc/group: name:password:number:members. */
static bool is_group(const char *line, gid_t gid)
{
	const char *number = strchr(line, ':');
	char *end;

	number = number ? strchr(number + 1, ':') : NULL;
	return number && strtoul(number + 1, &end, 10) == gid && end > number + 1 && *end == ':';
}

/* The name of group `gid`, or an empty text. */
static void group_name(const struct doctor *doctor, gid_t gid, char *name, size_t len)
{
	char *line = NULL;
	char full[512];
	size_t room = 0;
	FILE *in;

	*name = '\0';
	full_path(doctor, "/etc/group", full, sizeof(full));
	in = fopen(full, "re");
	if (!in)
		return;
	while (!*name && getline(&line, &room, in) >= 0)
		if (is_group(line, gid))
			snprintf(name, len, "%.*s", (int)strcspn(line, ":"), line);
	free(line);
	fclose(in);
}

void doctor_permission_fix(const struct doctor *doctor, const char *path, char *fix, size_t len)
{
	char full[512], group[64] = "";
	struct stat st;

	full_path(doctor, path, full, sizeof(full));
	/* Never suggest joining the group root. */
	if (stat(full, &st) == 0 && st.st_gid && st.st_mode & S_IWGRP)
		group_name(doctor, st.st_gid, group, sizeof(group));
	if (*group)
		snprintf(fix, len, "usermod -aG %s %s # then log in anew", group, doctor->user);
	else
		snprintf(fix, len, "chown %s %s", doctor->user, path);
}

enum module_state doctor_module(const struct doctor *doctor, const char *name)
{
	char path[128], folder[512];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (doctor_exists(doctor, path))
		return MODULE_THERE;
	snprintf(path, sizeof(path), "/lib/modules/%s", doctor->release);
	full_path(doctor, path, folder, sizeof(folder));
	if (kernel_module_is_listed(folder, "modules.builtin", name))
		return MODULE_THERE;
	return kernel_module_is_listed(folder, "modules.dep", name) ? MODULE_LOADABLE :
								     MODULE_ABSENT;
}
