/* SPDX-License-Identifier: Apache-2.0 */
#include "lio_owner.h"
#include "lio_steps.h"

#include "base/log.h"
#include "host/image_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

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

/* --- Targets ---------------------------------------------------------------------------------- */

static int fail(const char *path, const char *what, int err)
{
	log_error("scsi %s: %s: %s", path, what, strerror(-err));
	return err;
}

int lio_check_image(const struct image_options *image)
{
	struct stat st;
	_cleanup_close_ int fd = image_file_open("scsi", image, &st);

	return fd < 0 ? fd : 0;
}

static int make(struct lio_target *target)
{
	const struct image_options *image = &target->image;
	struct lio_places places;
	struct stat st;

	if (fstat(target->fd, &st))
		return fail(image->path, "fstat", -errno);
	lio_places_init(&places, target->name, target->block_device);
	lio_places_set_file(&places, image->path, target->fd, &st, image->readonly);
	return lio_steps_do(image->path, target->lio, &places, image->readonly);
}

int lio_target_take(struct lio_target *target)
{
	int ret;

	if (target->taken)
		return 0;
	ret = image_file_lock("scsi", target->image.path, target->fd, target->image.readonly);
	if (ret)
		return ret;
	/* As in image_take(). */
	if (target->image.later)
		(void)!posix_fadvise(target->fd, 0, 0, POSIX_FADV_DONTNEED);
	ret = make(target);
	if (ret)
		image_file_unlock(target->fd);
	target->taken = !ret;
	return ret;
}

static void take_down(struct lio_target *target)
{
	struct lio_places places;

	if (!target->taken)
		return;
	lio_places_init(&places, target->name, target->block_device);
	lio_steps_undo(target->lio, &places);
	target->taken = false;
}

int lio_target_let_go(struct lio_target *target)
{
	int ret;

	/* Readers disturb no reader. */
	if (!target->taken || target->image.readonly)
		return 0;
	ret = fdatasync(target->fd) ? -errno : 0;
	if (ret)
		fail(target->image.path, "sync", ret);
	take_down(target);
	image_file_unlock(target->fd);
	target->image.later = true;
	return ret;
}

static int name(struct lio_target *target, unsigned index)
{
	struct lio_places places;

	if (lio_name_new(target->name, index)) {
		log_error("scsi %s: /proc: cannot be read", target->image.path);
		return -EIO;
	}
	lio_places_init(&places, target->name, target->block_device);
	snprintf(target->wwpn, sizeof(target->wwpn), "%s", strchr(places.text[TARGET], '/') + 1);
	return 0;
}

int lio_target_create(struct lio_target *target, const struct lio *lio,
		      const struct image_options *image, unsigned index)
{
	struct stat st;
	int ret;

	*target = (struct lio_target){ .lio = lio, .image = *image };
	target->fd = image_file_open("scsi", image, &st);
	if (target->fd < 0)
		return target->fd;
	target->block_device = S_ISBLK(st.st_mode);
	ret = name(target, index);
	if (!ret && !image->later)
		ret = lio_target_take(target);
	if (ret == -EBUSY)
		log_error("scsi %s: in use by another program or another disk of this machine",
			  image->path);
	if (ret)
		close_fd(&target->fd);
	return ret;
}

void lio_target_destroy(struct lio_target *target)
{
	take_down(target);
	close_fd(&target->fd);
}

/* Calls `fn` for each backstore whose process has ended. */
static void for_each_stale(const struct lio *lio, bool block_devices, void *arg,
			   void (*fn)(const struct lio *lio, const struct lio_places *places,
				      void *arg))
{
	struct lio_places places;
	char path[PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	lio_places_init(&places, "", block_devices);
	snprintf(path, sizeof(path), "%s/%s", lio->root, places.text[HBA]);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!lio_name_is_stale(entry->d_name))
			continue;
		lio_places_init(&places, entry->d_name, block_devices);
		fn(lio, &places, arg);
	}
	closedir(dir);
}

static void remove_stale(const struct lio *lio, const struct lio_places *places, void *arg)
{
	(void)arg;
	lio_steps_undo(lio, places);
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

static void note_stale(const struct lio *lio, const struct lio_places *places, void *arg)
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
