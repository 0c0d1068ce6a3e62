/* SPDX-License-Identifier: Apache-2.0 */
#include "mounts.h"

#include "log.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <sys/mount.h>

static void make_folder(const char *path, int mode)
{
	if (SYS(mkdirat, AT_FDCWD, path, mode, 0, 0) == 0)
		SYS(fchmodat, AT_FDCWD, path, mode, 0, 0); /* independent of the umask */
}

void mount_early(void)
{
	static const char *const systems[][2] = {
		{ "devtmpfs", EARLY_DEV }, /* first: it has the node for messages */
		{ "sysfs", EARLY_SYS },
	};

	/* The kernel creates the root writable for everyone. */
	SYS(fchmodat, AT_FDCWD, "/", 0755, 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(systems); i++) {
		const char *type = systems[i][0], *path = systems[i][1];
		long ret;

		make_folder(path, 0755);
		ret = SYS(mount, type, path, type, 0, 0);
		if (ret < 0)
			give_up("mount", path, (int)-ret);
	}
}

void mount_systems(void)
{
	static const struct {
		const char *type, *path;
		int mode; /* of the folder, if it must be created */
		const char *early; /* where it is mounted, or NULL */
		bool needed;
	} systems[] = {
		{ "devtmpfs", "/dev", 0755, EARLY_DEV, true },
		{ "proc", "/proc", 0555, NULL, true },
		{ "sysfs", "/sys", 0555, EARLY_SYS, true },
		{ "devpts", "/dev/pts", 0755, NULL, false },
		{ "tmpfs", "/dev/shm", 01777, NULL, false },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(systems); i++) {
		const char *from = systems[i].early ? systems[i].early : systems[i].type;
		long ret;

		make_folder(systems[i].path, systems[i].mode);
		ret = SYS(mount, from, systems[i].path, systems[i].type,
			  systems[i].early ? MS_MOVE : 0, 0);
		if (ret < 0 && ret != -EBUSY && systems[i].needed)
			give_up("mount", systems[i].path, (int)-ret);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(links); i++)
		SYS(symlinkat, links[i][0], AT_FDCWD, links[i][1], 0, 0);
	make_folder("/tmp", 01777);
}

void mount_read_only(const char *path)
{
	long ret = SYS(mount, path, path, NULL, MS_BIND, NULL);

	if (ret == 0)
		ret = SYS(mount, NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	if (ret < 0)
		give_up("read-only", path, (int)-ret);
}

/* --- A folder of the host as the root --------------------------------------------------------- */

#define LOWER FOLDER "/live"
#define CHANGES FOLDER "/changes"
#define ROOT FOLDER "/root"

static void mount_at(const char *path, const char *type, const char *from, unsigned long flags,
		     const char *options)
{
	long ret;

	make_folder(path, 0755);
	ret = SYS(mount, from, path, type, flags, options);
	if (ret < 0)
		give_up(type ? type : "mount", path, (int)-ret);
}

/* To what is mounted at ROOT. */
static void switch_root(const char *tag)
{
	long ret = SYS(chdir, ROOT, 0, 0, 0, 0);

	if (ret == 0)
		ret = SYS(mount, ".", "/", NULL, MS_MOVE, NULL);
	if (ret == 0)
		ret = SYS(chroot, ".", 0, 0, 0, 0);
	if (ret < 0)
		give_up("root", tag, (int)-ret);
}

static void enter(const char *tag, unsigned long flags)
{
	long ret;

	mount_at(ROOT, "virtiofs", tag, flags, NULL);
	ret = SYS(mount, EARLY_DEV, ROOT "/dev", NULL, MS_MOVE, NULL);
	if (ret < 0)
		complain("mount", "/dev", (int)-ret);
	switch_root(tag);
}

void enter_root(const char *tag)
{
	enter(tag, 0);
}

void enter_readonly_root(const char *tag)
{
	enter(tag, MS_RDONLY);
}

void enter_live_root(const char *tag)
{
	mount_at(LOWER, "virtiofs", tag, MS_RDONLY, NULL);
	mount_at(CHANGES, "tmpfs", "tmpfs", 0, "mode=755");
	make_folder(CHANGES "/upper", 0755);
	make_folder(CHANGES "/work", 0755);
	mount_at(ROOT, "overlay", "overlay", 0,
		 "lowerdir=" LOWER ",upperdir=" CHANGES "/upper,workdir=" CHANGES "/work");
	make_folder(ROOT FOLDER, 0755);
	mount_at(ROOT EARLY_DEV, NULL, EARLY_DEV, MS_MOVE, NULL);
	mount_at(ROOT EARLY_SYS, NULL, EARLY_SYS, MS_MOVE, NULL);
	switch_root(tag);
}
