/* SPDX-License-Identifier: Apache-2.0 */
#include "lio_owner.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Identifies a process uniquely: PIDs are reused, but not with the same start time. */
struct owner {
	uint64_t pid_namespace; /* inode number: configfs is shared with processes we cannot see */
	int pid;
	uint64_t start; /* clock ticks since boot */
};

/* Fields 3 and 22 of /proc/PID/stat. */
static int read_stat(int pid, char *run_state, uint64_t *start)
{
	_cleanup_close_ int fd = -1;
	char path[32], text[1024];
	const char *field;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -EIO;
	text[len] = '\0';
	/* The second field, in parentheses, may contain anything, including parentheses. */
	field = strrchr(text, ')');
	for (unsigned n = 3; field && n <= 22; n++) {
		field = strchr(field + 1, ' ');
		if (field && n == 3)
			*run_state = field[1];
	}
	if (!field)
		return -EIO;
	*start = strtoull(field + 1, NULL, 10);
	return 0;
}

static int pid_namespace(uint64_t *inode)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st))
		return -errno;
	*inode = st.st_ino;
	return 0;
}

static int owner_self(struct owner *owner)
{
	char run_state;

	*owner = (struct owner){ .pid = getpid() };
	return pid_namespace(&owner->pid_namespace) ?:
	       read_stat(owner->pid, &run_state, &owner->start);
}

/* False when in doubt. */
static bool owner_is_dead(const struct owner *owner)
{
	uint64_t here = 0, start = 0;
	char run_state = 0;

	if (pid_namespace(&here) || here != owner->pid_namespace)
		return false;
	if (kill(owner->pid, 0) && errno == ESRCH)
		return true;
	if (read_stat(owner->pid, &run_state, &start))
		return false;
	return start != owner->start || run_state == 'Z' || run_state == 'X';
}

static void name_format(char name[LIO_NAME_MAX], const struct owner *owner, unsigned index)
{
	snprintf(name, LIO_NAME_MAX, "kinglet-%" PRIu64 "-%d-%" PRIu64 "-%u", owner->pid_namespace,
		 owner->pid, owner->start, index);
}

static bool name_parse(const char *name, struct owner *owner)
{
	const char *rest = name;
	static const char prefix[] = "kinglet-";
	unsigned long long numbers[4] = { 0 };
	char again[LIO_NAME_MAX];

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	rest += strlen(prefix);
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		char *end;

		numbers[i] = strtoull(rest, &end, 10);
		rest = *end ? end + 1 : end;
	}
	*owner = (struct owner){
		.pid_namespace = numbers[0],
		.pid = (int)numbers[1],
		.start = numbers[2],
	};
	name_format(again, owner, (unsigned)numbers[3]);
	/* Exactly the name that we would have written. */
	return owner->pid > 0 && strcmp(name, again) == 0;
}

int lio_name_new(char name[LIO_NAME_MAX], unsigned index)
{
	struct owner self;
	int ret = owner_self(&self);

	if (!ret)
		name_format(name, &self, index);
	return ret;
}

bool lio_name_is_stale(const char *name)
{
	struct owner owner;

	return name_parse(name, &owner) && owner_is_dead(&owner);
}
