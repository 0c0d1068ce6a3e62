/* SPDX-License-Identifier: Apache-2.0 */
#include "lio_steps.h"

#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	/*
	 * LIO groups backstores by host adapters, which are folders with a number chosen by the
	 * user. All Kinglets share this one, so an empty one can be removed. (So can an empty
	 * folder "vhost", which only represents the module.)
	 */
	HBA_NUMBER = 18763,
	PATH_SIZE = 1024,
	RETRIES = 16,
};

enum action {
	SHARE, /* mkdir, or exists already; removed when empty */
	MAKE,  /* mkdir */
	LINK,  /* symlink to a path below the root */
	WRITE, /* `undo` is written to undo it */
};

/*
 * Creates a target in this order; undone in reverse. A LUN can only be write-protected for a named
 * initiator, so a read-only one gets an access list, which must exist before the nexus, the session
 * of vhost's only initiator.
 */
static const struct step {
	enum action action;
	enum lio_place at; /* the path: this and the suffix */
	char suffix[24];
	enum lio_place with; /* what is written or linked to: this and the text */
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

/*
 * NAA 5 ("registered") with the company ID of LIO's own names, and 36 bits derived from the
 * backstore's name.
 */
static uint64_t naa_of(const char *name)
{
	return 0x5001405000000000 | (text_hash(name) >> 28 & ~UINT64_C(1));
}

static void __printf(3, 4) place_set(struct lio_places *places, enum lio_place place,
				     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(places->text[place], sizeof(places->text[place]), fmt, args);
	va_end(args);
}

void lio_places_init(struct lio_places *places, const char *name, bool block_device)
{
	uint64_t naa = naa_of(name);

	*places = (struct lio_places){ 0 };
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

static void step_path(const struct lio *lio, const struct lio_places *places,
		      const struct step *step, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s%s", lio->root, places->text[step->at],
		 step->suffix);
}

static int step_do(const struct lio *lio, const struct lio_places *places, const struct step *step)
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

/* What no longer exists, or did not exist yet, counts as undone. */
static int step_undo(const struct lio *lio, const struct lio_places *places,
		     const struct step *step)
{
	char path[PATH_SIZE];
	int ret = 0;

	step_path(lio, places, step, path);
	switch (step->action) {
	case SHARE:
		/* Others may use it. */
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
 * Undoes the first `count` steps. Stops at the first that cannot be undone: with a nexus in use,
 * the kernel would wait for its end when the access list is removed.
 */
static void undo(const struct lio *lio, const struct lio_places *places, unsigned count)
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

void lio_steps_undo(const struct lio *lio, const struct lio_places *places)
{
	undo(lio, places, ARRAY_SIZE(steps));
}

/*
 * LIO opens the file in our context while we write to `enable`, so it can be given our fd as a
 * path: independent of the file's name, it is the file that was checked and locked. udev_path is
 * informational.
 */
void lio_places_set_file(struct lio_places *places, const char *path, int fd,
			 const struct stat *st, bool readonly)
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

static void log_step_error(const char *file, const struct lio *lio, const struct lio_places *places,
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

int lio_steps_do(const char *file, const struct lio *lio, const struct lio_places *places,
		 bool readonly)
{
	unsigned retries = RETRIES, i = 0;

	while (i < ARRAY_SIZE(steps)) {
		int ret = steps[i].readonly && !readonly ? 0 : step_do(lio, places, &steps[i]);

		/* Another Kinglet has just removed the empty shared folder. */
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
