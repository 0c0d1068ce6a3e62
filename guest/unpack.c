/* SPDX-License-Identifier: Apache-2.0 */
/* The format: Documentation/driver-api/early-userspace/buffer-format.rst. */
#include "unpack.h"

#include "log.h"
#include "memory.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <linux/time_types.h>
#include <sys/stat.h>

enum { HEADER_LEN = 110, FIELD_LEN = 8, PATH_LEN = 4096, BUCKETS = 64, NOTES_LEN = 65536 };

/* What a header tells, eight hexadecimal digits each, after the magic number. */
enum {
	INO, MODE, UID, GID, LINKS, MTIME, SIZE, DEV_MAJOR, DEV_MINOR, NODE_MAJOR, NODE_MINOR,
	NAME_LEN, CHECKSUM, FIELDS
};

/* A path that is needed again. */
struct note {
	struct note *next;
	uint32_t number;
	char path[];
};

struct unpacking {
	int fd;
	char data[32768]; /* of the archive: [at, len) is to be used */
	size_t at, len;
	/* The entry: */
	uint32_t fields[FIELDS];
	char path[PATH_LEN], target[PATH_LEN + 1];
	/* Of all so far: */
	struct note *links[BUCKETS]; /* files with several links, by the inode's number */
	struct note *folders;	     /* and their times, which later entries change */
	char *notes;		     /* where the next note goes */
	size_t notes_left;
};

/* --- Bytes ------------------------------------------------------------------------------------ */

static void refuse(const char *why)
{
	give_up("the program's files", why, 0);
}

/* The next bytes of the archive, at most sizeof(u->data), valid until the next call. */
static const char *take(struct unpacking *u, size_t len)
{
	const char *bytes;

	if (u->len - u->at < len) {
		copy(u->data, u->data + u->at, u->len - u->at);
		u->len -= u->at;
		u->at = 0;
	}
	while (u->len < len) {
		long n = sys_read(u->fd, u->data + u->len, sizeof(u->data) - u->len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			refuse("the archive ends too early");
		u->len += (size_t)n;
	}
	bytes = u->data + u->at;
	u->at += len;
	return bytes;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Each part of an entry ends at a multiple of four. */
static size_t padding(size_t len)
{
	return -len & 3;
}

static void skip(struct unpacking *u, size_t len)
{
	for (size_t n; len; len -= n) {
		n = smaller(len, sizeof(u->data));
		take(u, n);
	}
}

static uint32_t number(const char *digits)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < FIELD_LEN; i++) {
		char c = digits[i];
		bool decimal = c >= '0' && c <= '9';
		char letter = (char)(c | 0x20);

		if (!decimal && (letter < 'a' || letter > 'f'))
			refuse("the archive is damaged");
		value = value << 4 | (uint32_t)(decimal ? c - '0' : letter - 'a' + 10);
	}
	return value;
}

/* False for the trailer. */
static bool read_entry(struct unpacking *u)
{
	static const char magic[] = "070701";
	const char *at = take(u, HEADER_LEN);
	size_t len;

	if (!begins_with(at, magic))
		refuse("the archive is damaged");
	at += sizeof(magic) - 1;
	for (unsigned i = 0; i < FIELDS; i++)
		u->fields[i] = number(at + i * FIELD_LEN);
	len = u->fields[NAME_LEN];
	if (len < 2 || len > PATH_LEN)
		refuse("the archive is damaged");
	copy(u->path, take(u, len), len);
	skip(u, padding(HEADER_LEN + len));
	if (u->path[len - 1] || length(u->path) != len - 1)
		refuse("the archive is damaged");
	return !equal(u->path, "TRAILER!!!");
}

/* --- Paths ------------------------------------------------------------------------------------ */

static void remember(struct unpacking *u, struct note **list, uint32_t value)
{
	size_t len = (sizeof(struct note) + length(u->path) + 1 + 7) & ~(size_t)7;
	struct note *note;

	if (u->notes_left < len) {
		u->notes = allocate(NOTES_LEN);
		u->notes_left = NOTES_LEN;
	}
	note = (void *)u->notes;
	u->notes += len;
	u->notes_left -= len;
	note->next = *list;
	note->number = value;
	copy(note->path, u->path, length(u->path) + 1);
	*list = note;
}

/* `ret` is of the call that should have made the entry. */
static bool made(const struct unpacking *u, long ret)
{
	/* In the kernel's words, which Kinglet looks for. */
	if (ret == -ENOSPC || ret == -ENOMEM)
		give_up("Initramfs unpacking failed: write error", u->path, (int)-ret);
	if (ret < 0)
		complain("cannot unpack", u->path, (int)-ret);
	return ret >= 0;
}

/* Makes the path another link of the entry's inode. False: it is the first. */
static bool linked(struct unpacking *u)
{
	uint32_t ino = u->fields[INO];
	struct note **list = &u->links[ino % BUCKETS];

	if (u->fields[LINKS] < 2)
		return false;
	for (struct note *at = *list; at; at = at->next) {
		if (at->number != ino)
			continue;
		SYS(unlinkat, AT_FDCWD, u->path, 0, 0, 0);
		made(u, SYS(linkat, AT_FDCWD, at->path, AT_FDCWD, u->path, 0));
		return true;
	}
	remember(u, list, ino);
	return false;
}

static void set_times(const char *path, int fd, uint32_t seconds)
{
	const struct __kernel_timespec times[2] = { { .tv_sec = seconds }, { .tv_sec = seconds } };

	SYS(utimensat, fd, path, times, path ? AT_SYMLINK_NOFOLLOW : 0, 0);
}

/* Of what was not opened. */
static void set_owner(const struct unpacking *u)
{
	SYS(fchownat, AT_FDCWD, u->path, u->fields[UID], u->fields[GID], AT_SYMLINK_NOFOLLOW);
}

static void set_mode(const struct unpacking *u)
{
	SYS(fchmodat, AT_FDCWD, u->path, u->fields[MODE] & 07777, 0, 0);
}

/* Removes what is of another type. */
static void make_way(const struct unpacking *u)
{
	struct stat st;

	if (SYS(newfstatat, AT_FDCWD, u->path, &st, AT_SYMLINK_NOFOLLOW, 0) < 0 ||
	    ((st.st_mode ^ u->fields[MODE]) & S_IFMT) == 0)
		return;
	SYS(unlinkat, AT_FDCWD, u->path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0, 0, 0);
}

/* --- Entries ---------------------------------------------------------------------------------- */

static bool write_all(const struct unpacking *u, int fd, const char *data, size_t len)
{
	while (len) {
		long n = sys_write(fd, data, len);

		if (n == -EINTR)
			continue;
		if (!made(u, n))
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static void make_file(struct unpacking *u)
{
	size_t left = u->fields[SIZE];
	int fd;

	/* The content stands with one of the links. */
	if (linked(u) && !left)
		return;
	fd = (int)SYS(openat, AT_FDCWD, u->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600, 0);
	if (!made(u, fd)) {
		skip(u, left);
		return;
	}
	SYS(fchown, fd, u->fields[UID], u->fields[GID], 0, 0);
	SYS(fchmod, fd, u->fields[MODE] & 07777, 0, 0, 0);
	while (left) {
		size_t len = smaller(left, sizeof(u->data));
		const char *data = take(u, len);

		left -= len;
		if (!write_all(u, fd, data, len))
			break;
	}
	skip(u, left);
	set_times(NULL, fd, u->fields[MTIME]);
	sys_close(&fd);
}

static void make_folder(struct unpacking *u)
{
	long ret = SYS(mkdirat, AT_FDCWD, u->path, 0700, 0, 0);

	if (ret != -EEXIST && !made(u, ret))
		return;
	set_owner(u);
	set_mode(u);
	remember(u, &u->folders, u->fields[MTIME]);
}

static void make_symlink(struct unpacking *u)
{
	size_t len = u->fields[SIZE];

	if (!len || len > PATH_LEN)
		refuse("the archive is damaged");
	copy(u->target, take(u, len), len);
	u->target[len] = '\0';
	SYS(unlinkat, AT_FDCWD, u->path, 0, 0, 0);
	if (!made(u, SYS(symlinkat, u->target, AT_FDCWD, u->path, 0, 0)))
		return;
	set_owner(u);
	set_times(u->path, AT_FDCWD, u->fields[MTIME]);
}

static void make_node(struct unpacking *u)
{
	uint32_t major = u->fields[NODE_MAJOR], minor = u->fields[NODE_MINOR];
	uint32_t dev = (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
	long ret;

	if (linked(u))
		return;
	ret = SYS(mknodat, AT_FDCWD, u->path, u->fields[MODE], dev, 0);
	if (ret != -EEXIST && !made(u, ret))
		return;
	set_owner(u);
	set_mode(u);
	set_times(u->path, AT_FDCWD, u->fields[MTIME]);
}

static void make_entry(struct unpacking *u)
{
	uint32_t type = u->fields[MODE] & S_IFMT;

	make_way(u);
	if (type == S_IFREG) {
		make_file(u);
	} else if (type == S_IFLNK) {
		make_symlink(u);
	} else {
		if (type == S_IFDIR)
			make_folder(u);
		else
			make_node(u);
		skip(u, u->fields[SIZE]);
	}
	skip(u, padding(u->fields[SIZE]));
}

void unpack(int fd)
{
	struct unpacking *u = allocate(sizeof(*u));

	u->fd = fd;
	while (read_entry(u))
		make_entry(u);
	for (struct note *at = u->folders; at; at = at->next)
		set_times(at->path, AT_FDCWD, at->number);
}
