/* SPDX-License-Identifier: Apache-2.0 */
#include "lio.h"

#include "base/checked.h"
#include "base/log.h"
#include "host/file_lock.h"
#include "host/image_format.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/*
	 * LIO groups backstores by host adapters, which are folders with a number of the user's
	 * choice. This one all Kinglets share, so an empty one belongs to nobody else. (Nor does an
	 * empty folder "vhost": it stands for nothing but the module.)
	 */
	HBA_NUMBER = 18763,
	PATH_SIZE = 1024,
	SECTOR = 512,
	RETRIES = 16,
};

/* --- Configfs --------------------------------------------------------------------------------- */

static int real_mkdir(const struct lio *lio, const char *path)
{
	(void)lio;
	return mkdir(path, 0755) ? -errno : 0;
}

static int real_rmdir(const struct lio *lio, const char *path)
{
	(void)lio;
	return rmdir(path) ? -errno : 0;
}

static int real_symlink(const struct lio *lio, const char *target, const char *path)
{
	(void)lio;
	return symlink(target, path) ? -errno : 0;
}

static int real_unlink(const struct lio *lio, const char *path)
{
	(void)lio;
	return unlink(path) ? -errno : 0;
}

static int real_write(const struct lio *lio, const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)lio;
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static const struct lio_ops real_ops = {
	.mkdir = real_mkdir,
	.rmdir = real_rmdir,
	.symlink = real_symlink,
	.unlink = real_unlink,
	.write = real_write,
};

int lio_find(struct lio *lio, const char *mounts)
{
	FILE *list = setmntent(mounts, "re");
	const struct mntent *mount;
	int len = -1;

	if (!list)
		return -errno;
	lio->ops = &real_ops;
	while (len < 0 && (mount = getmntent(list)))
		if (strcmp(mount->mnt_type, "configfs") == 0)
			len = snprintf(lio->root, sizeof(lio->root), "%s/target", mount->mnt_dir);
	endmntent(list);
	if (len < 0)
		return -ENOENT;
	return (size_t)len < sizeof(lio->root) ? 0 : -ENAMETOOLONG;
}

void lio_log_not_found(int err)
{
	if (err == -ENOENT)
		log_error("scsi: configfs is not mounted (mount -t configfs configfs "
			  "/sys/kernel/config)");
	else
		log_error("scsi: configfs: %s", strerror(-err));
}

/* --- Owners ----------------------------------------------------------------------------------- */

/* A process, for good: pids come again, but not with the same start time. */
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
	/* The second field, in parentheses, may hold anything, also parentheses. */
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
	/* Nothing more, less or other than what we would have written. */
	return owner->pid > 0 && strcmp(name, again) == 0;
}

/*
 * NAA 5 ("registered") with the company id of LIO's own names, and 36 bits that follow from the
 * backstore's name: whoever finds the one knows the other. FNV-1a.
 */
static uint64_t naa_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	while (*name)
		hash = (hash ^ (uint8_t)*name++) * 0x100000001b3;
	return 0x5001405000000000 | (hash >> 28 & ~UINT64_C(1));
}

/* --- Steps ------------------------------------------------------------------------------------ */

/* What a step's paths and texts are made of. */
enum place {
	NOTHING,
	HBA,	 /* core/fileio_18763 */
	STORE,	 /* core/fileio_18763/kinglet-... */
	FABRIC,	 /* vhost */
	TARGET,	 /* vhost/naa.... */
	GROUP,	 /* vhost/naa..../tpgt_1 */
	ACL,	 /* vhost/naa..../tpgt_1/acls/naa.... */
	INITIATOR,
	CONTROL, /* these two say which file it is, and are empty when there is only to remove */
	UDEV_PATH,
	PLACE_COUNT,
};

struct places {
	char text[PLACE_COUNT][256];
};

enum action {
	SHARE, /* mkdir, or somebody has made it; removed when empty */
	MAKE,  /* mkdir */
	LINK,  /* symlink to a path below the root */
	WRITE, /* `undo` takes it back */
};

/*
 * From nothing to a target, in this order; back in reverse. A LUN can only be write-protected for
 * an initiator that is known by name, so a read-only one gets an access list, which has to be there
 * before the nexus, the session of vhost's one initiator.
 */
static const struct step {
	enum action action;
	enum place at; /* the path: this and the suffix */
	char suffix[24];
	enum place with; /* what is written or linked to: this and the text */
	char text[16];
	const char *undo;
	bool readonly;	  /* only for a read-only LUN */
	const char *hint; /* which modules may be missing */
} steps[] = {
	{ .action = SHARE, .at = HBA,
	  .hint = " (modprobe -a target_core_mod target_core_file target_core_iblock)" },
	{ .action = MAKE, .at = STORE },
	{ .action = WRITE, .at = STORE, .suffix = "/control", .with = CONTROL },
	{ .action = WRITE, .at = STORE, .suffix = "/udev_path", .with = UDEV_PATH },
	{ .action = WRITE, .at = STORE, .suffix = "/enable", .text = "1" },
	{ .action = SHARE, .at = FABRIC, .hint = " (modprobe vhost_scsi)" },
	{ .action = MAKE, .at = TARGET },
	{ .action = MAKE, .at = GROUP },
	{ .action = MAKE, .at = ACL, .readonly = true },
	{ .action = WRITE, .at = GROUP, .suffix = "/nexus", .with = INITIATOR, .undo = "NULL" },
	{ .action = MAKE, .at = GROUP, .suffix = "/lun/lun_0" },
	{ .action = LINK, .at = GROUP, .suffix = "/lun/lun_0/disk", .with = STORE },
	{ .action = MAKE, .at = ACL, .suffix = "/lun_0", .readonly = true },
	{ .action = LINK, .at = ACL, .suffix = "/lun_0/disk", .with = GROUP, .text = "/lun/lun_0",
	  .readonly = true },
	{ .action = WRITE, .at = ACL, .suffix = "/lun_0/write_protect", .text = "1",
	  .readonly = true },
};

static void __printf(3, 4) place_set(struct places *places, enum place place, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(places->text[place], sizeof(places->text[place]), fmt, args);
	va_end(args);
}

static void places_init(struct places *places, const char *name, bool block_device)
{
	uint64_t naa = naa_of(name);

	*places = (struct places){ 0 };
	place_set(places, HBA, "core/%s_%d", block_device ? "iblock" : "fileio", HBA_NUMBER);
	place_set(places, STORE, "core/%s_%d/%s", block_device ? "iblock" : "fileio", HBA_NUMBER,
		  name);
	place_set(places, FABRIC, "vhost");
	place_set(places, TARGET, "vhost/naa.%016" PRIx64, naa);
	place_set(places, GROUP, "vhost/naa.%016" PRIx64 "/tpgt_%d", naa, LIO_TARGET);
	place_set(places, ACL, "vhost/naa.%016" PRIx64 "/tpgt_%d/acls/naa.%016" PRIx64, naa,
		  LIO_TARGET, naa | 1);
	place_set(places, INITIATOR, "naa.%016" PRIx64, naa | 1);
}

static void step_path(const struct lio *lio, const struct places *places, const struct step *step,
		      char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s%s", lio->root, places->text[step->at],
		 step->suffix);
}

static int step_do(const struct lio *lio, const struct places *places, const struct step *step)
{
	const char *what = places->text[step->with];
	char path[PATH_SIZE], text[PATH_SIZE];
	int ret = 0;

	step_path(lio, places, step, path);
	switch (step->action) {
	case SHARE:
		ret = lio->ops->mkdir(lio, path);
		return ret == -EEXIST ? 0 : ret;
	case MAKE:
		return lio->ops->mkdir(lio, path);
	case LINK:
		snprintf(text, sizeof(text), "%s/%s%s", lio->root, what, step->text);
		return lio->ops->symlink(lio, text, path);
	case WRITE:
		snprintf(text, sizeof(text), "%s%s", what, step->text);
		return lio->ops->write(lio, path, text);
	}
	return ret;
}

/* Whatever is not there any more, or was not there yet, is undone. */
static int step_undo(const struct lio *lio, const struct places *places, const struct step *step)
{
	char path[PATH_SIZE];
	int ret = 0;

	step_path(lio, places, step, path);
	switch (step->action) {
	case SHARE:
		/* Others may have something in it. */
		(void)!lio->ops->rmdir(lio, path);
		return 0;
	case MAKE:
		ret = lio->ops->rmdir(lio, path);
		break;
	case LINK:
		ret = lio->ops->unlink(lio, path);
		break;
	case WRITE:
		if (step->undo)
			ret = lio->ops->write(lio, path, step->undo);
		if (ret == -ENODEV)
			ret = 0;
		break;
	}
	return ret == -ENOENT ? 0 : ret;
}

/*
 * Undoes the first `count` steps. Stops at the first that cannot be undone: with a nexus that is
 * in use, the kernel would wait for its end when the access list is removed.
 */
static void undo(const struct lio *lio, const struct places *places, unsigned count)
{
	char path[PATH_SIZE];

	while (count--) {
		int ret = step_undo(lio, places, &steps[count]);

		if (ret) {
			step_path(lio, places, &steps[count], path);
			log_warning("scsi: %s cannot be removed: %s (a later start of Kinglet "
				    "tries again)",
				    path, strerror(-ret));
			return;
		}
	}
}

/* --- Targets ---------------------------------------------------------------------------------- */

static int fail(const char *path, const char *what, int err)
{
	log_error("scsi %s: %s: %s", path, what, strerror(-err));
	return err;
}

static int refuse(const char *path, const char *reason)
{
	log_error("scsi %s: %s", path, reason);
	return -EINVAL;
}

static int check_kind(const char *path, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return refuse(path, "is a directory, not an image");
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return refuse(path, "is neither a file nor a block device");
	return 0;
}

static int check_size(const char *path, const struct stat *st)
{
	if (S_ISREG(st->st_mode) && !st->st_size)
		return refuse(path, "is empty");
	if (S_ISREG(st->st_mode) && st->st_size % SECTOR)
		return refuse(path, "its size is not a multiple of 512 bytes");
	return 0;
}

/* *st is that of the open file. */
static int open_file(const struct image_options *image, struct stat *st)
{
	_cleanup_close_ int fd = -1;
	const char *path = image->path;
	int ret;

	/* Before open(2), which may wait (a FIFO) or act (a tape). */
	if (stat(path, st))
		return fail(path, "open", -errno);
	ret = check_kind(path, st);
	if (ret)
		return ret;
	fd = open(path, O_CLOEXEC | (image->readonly ? O_RDONLY : O_RDWR));
	if (fd < 0)
		return fail(path, image->readonly ? "open" : "open for writing", -errno);
	if (fstat(fd, st))
		return fail(path, "fstat", -errno);
	ret = check_kind(path, st);
	if (!ret && !image->raw)
		ret = image_refuse_foreign("scsi", path, fd);
	if (!ret)
		ret = check_size(path, st);
	return ret ? ret : steal_fd(&fd);
}

static int lock_file(const struct image_options *image, int fd)
{
	int ret = file_lock(fd, image->readonly);

	if (ret == -EBUSY) {
		log_error("scsi %s: in use by another program or another disk of this machine",
			  image->path);
		return ret;
	}
	if (ret)
		log_warning("scsi %s: lock: %s; nothing keeps others from writing to it", image->path,
			    strerror(-ret));
	return 0;
}

int lio_check_image(const struct image_options *image)
{
	struct stat st;
	_cleanup_close_ int fd = open_file(image, &st);

	return fd < 0 ? fd : 0;
}

/*
 * LIO opens the file in our name while we write to `enable`, so it can be told our fd: whatever the
 * file's name has in it, it is the one that was checked and locked. udev_path is for people.
 */
static void describe_file(struct places *places, const char *path, int fd, const struct stat *st,
			  bool readonly)
{
	_cleanup_free_ char *whole = realpath(path, NULL);

	if (S_ISBLK(st->st_mode))
		place_set(places, CONTROL, "udev_path=/proc/self/fd/%d,readonly=%d", fd, readonly);
	else
		/* A write cache, which the guest flushes, instead of O_DSYNC for each write. */
		place_set(places, CONTROL,
			  "fd_dev_name=/proc/self/fd/%d,fd_dev_size=%lld,fd_buffered_io=1", fd,
			  (long long)st->st_size);
	place_set(places, UDEV_PATH, "%s", whole ? whole : path);
}

static void log_step_error(const char *file, const struct lio *lio, const struct places *places,
			   const struct step *step, int err)
{
	const char *hint = step->hint ? step->hint : "";
	char path[PATH_SIZE];

	step_path(lio, places, step, path);
	if (err == -EACCES || err == -EPERM)
		hint = " (making a target takes root; one that exists: --scsi wwpn=naa...)";
	else if (err == -EROFS)
		hint = " (LIO opens files for writing, also for a read-only disk)";
	log_error("scsi %s: %s: %s%s", file, path, strerror(-err), hint);
}

static int do_steps(const char *file, const struct lio *lio, const struct places *places,
		    bool readonly)
{
	unsigned retries = RETRIES, i = 0;

	while (i < ARRAY_SIZE(steps)) {
		int ret = steps[i].readonly && !readonly ? 0 : step_do(lio, places, &steps[i]);

		/* Another Kinglet has just removed the shared folder, which was empty. */
		if (ret == -ENOENT && i && steps[i - 1].action == SHARE && retries--) {
			i--;
			continue;
		}
		if (ret) {
			log_step_error(file, lio, places, &steps[i], ret);
			undo(lio, places, i);
			return -EIO;
		}
		i++;
	}
	return 0;
}

int lio_target_create(struct lio_target *target, const struct lio *lio,
		      const struct image_options *image, unsigned index)
{
	_cleanup_close_ int fd = -1;
	const char *path = image->path;
	struct places places;
	struct owner owner;
	struct stat st;
	int ret;

	fd = open_file(image, &st);
	if (fd < 0)
		return fd;
	ret = lock_file(image, fd);
	if (ret)
		return ret;
	if (owner_self(&owner)) {
		log_error("scsi %s: /proc: cannot be read", path);
		return -EIO;
	}
	*target = (struct lio_target){ .lio = lio, .fd = -1, .block_device = S_ISBLK(st.st_mode) };
	name_format(target->name, &owner, index);
	places_init(&places, target->name, target->block_device);
	snprintf(target->wwpn, sizeof(target->wwpn), "%s", strchr(places.text[TARGET], '/') + 1);
	describe_file(&places, path, fd, &st, image->readonly);
	ret = do_steps(path, lio, &places, image->readonly);
	if (!ret)
		target->fd = steal_fd(&fd);
	return ret;
}

void lio_target_destroy(struct lio_target *target)
{
	struct places places;

	places_init(&places, target->name, target->block_device);
	undo(target->lio, &places, ARRAY_SIZE(steps));
	close_fd(&target->fd);
}

/* Calls `fn` for each backstore that a process made which has ended. */
static void for_each_stale(const struct lio *lio, bool block_devices, void *arg,
			   void (*fn)(const struct lio *lio, const struct places *places, void *arg))
{
	struct places places;
	char path[PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	places_init(&places, "", block_devices);
	snprintf(path, sizeof(path), "%s/%s", lio->root, places.text[HBA]);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct owner owner;

		if (!name_parse(entry->d_name, &owner) || !owner_is_dead(&owner))
			continue;
		places_init(&places, entry->d_name, block_devices);
		fn(lio, &places, arg);
	}
	closedir(dir);
}

static void remove_stale(const struct lio *lio, const struct places *places, void *arg)
{
	(void)arg;
	undo(lio, places, ARRAY_SIZE(steps));
}

void lio_remove_stale(const struct lio *lio)
{
	for_each_stale(lio, false, NULL, remove_stale);
	for_each_stale(lio, true, NULL, remove_stale);
}

struct stale {
	unsigned count;
	char file[128]; /* the first one's */
};

static void note_stale(const struct lio *lio, const struct places *places, void *arg)
{
	struct stale *stale = arg;
	char path[PATH_SIZE];
	_cleanup_close_ int fd = -1;
	ssize_t len;

	if (stale->count++)
		return;
	snprintf(path, sizeof(path), "%s/%s/udev_path", lio->root, places->text[STORE]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, stale->file, sizeof(stale->file) - 1);
	if (len > 0)
		stale->file[strcspn(stale->file, "\n")] = '\0';
	else
		snprintf(stale->file, sizeof(stale->file), "a file that is not named");
}

bool lio_describe_stale(const char *root, char *text, size_t len)
{
	struct stale stale = { 0 };
	struct lio lio = { .ops = NULL };

	snprintf(lio.root, sizeof(lio.root), "%s/sys/kernel/config/target", root);
	for_each_stale(&lio, false, &stale, note_stale);
	for_each_stale(&lio, true, &stale, note_stale);
	snprintf(text, len, "%u target%s left by runs that were killed, of %s%s", stale.count,
		 stale.count == 1 ? "" : "s", stale.file, stale.count == 1 ? "" : " and others");
	return stale.count;
}

/* --- Targets of others ------------------------------------------------------------------------ */

static bool has_nexus(const char *group)
{
	char path[PATH_SIZE], text[2];
	_cleanup_close_ int fd = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s/nexus", group) >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* -ENODEV without one. */
	return fd >= 0 && read(fd, text, sizeof(text)) > 0;
}

int lio_check_target(const struct lio *lio, const char *wwpn)
{
	char path[PATH_SIZE], group[PATH_SIZE];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/vhost/%s", lio->root, wwpn);
	dir = opendir(path);
	if (!dir) {
		log_error("scsi %s: no such target: %s: %s", wwpn, path, strerror(errno));
		return -ENODEV;
	}
	while (!found && (entry = readdir(dir))) {
		int len = snprintf(group, sizeof(group), "%s/%s", path, entry->d_name);

		found = strncmp(entry->d_name, "tpgt_", 5) == 0 && (size_t)len < sizeof(group) &&
			has_nexus(group);
	}
	closedir(dir);
	if (!found) {
		log_error("scsi %s: no portal group of this target has a nexus "
			  "(echo naa... >%s/tpgt_1/nexus)",
			  wwpn, path);
		return -ENODEV;
	}
	return 0;
}
