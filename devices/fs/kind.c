/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include "backend/vhost_user_device.h"
#include "base/log.h"

#include <endian.h>
#include <linux/virtio_fs.h>
#include <string.h>

#define FS(member) OPTION_FIELD(struct fs_config, member)

enum { FS_TAG, FS_VHOST_USER, FS_QUEUES };

static const struct option fs_table[] = {
	[FS_TAG] = {
		.name = "tag", .metavar = "NAME", .kind = OPTION_STRING,
		.min = 1, .max = VIRTIO_FS_TAG_MAX,
		.help = "what the guest mounts: mount -t virtiofs NAME DIR",
		FS(tag),
	},
	[FS_VHOST_USER] = {
		.name = "vhost-user", .metavar = "SOCKET", .kind = OPTION_STRING, .min = 1,
		.max = 107, .file = FILE_INPUT,
		.help = "where a virtiofsd listens, which has the folder",
		FS(vhost_user),
	},
	[FS_QUEUES] = {
		.name = "queues", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 16,
		.initial = "1", .help = "request queues; most daemons serve one",
		FS(queues),
	},
};

static const char *fs_finish(void *item, uint64_t given)
{
	(void)item;
	if (!(given >> FS_TAG & 1) || !(given >> FS_VHOST_USER & 1))
		return "names no tag or no daemon; write --fs NAME,vhost-user=SOCKET";
	return NULL;
}

static const struct option_keys fs_keys = {
	.table = fs_table,
	.count = ARRAY_SIZE(fs_table),
	.finish = fs_finish,
};

static void fs_describe(FILE *out, const void *config)
{
	const struct fs_config *fs = config;

	fprintf(out, "%s, of the vhost-user daemon at %s, %u queue%s", fs->tag, fs->vhost_user,
		fs->queues, fs->queues == 1 ? "" : "s");
}

static int fs_check(const void *config, const struct device_ram *ram)
{
	const struct fs_config *fs = config;

	(void)ram;
	return vhost_user_check(fs->vhost_user);
}

/* Linux takes the first of two with one tag, whichever that is. */
static int fs_conflict(const void *config, const void *before)
{
	const struct fs_config *a = config, *b = before;

	if (a == b)
		return 0;
	if (!strcmp(a->tag, b->tag)) {
		log_error("--fs tag=%s: is given twice; each has a tag of its own", a->tag);
		return -EINVAL;
	}
	return vhost_user_conflict(a->vhost_user, b->vhost_user);
}

static const char *fs_stays(const void *config)
{
	(void)config;
	return "the files that the guest has open are virtiofsd's; a machine with --fs cannot be "
	       "saved or moved";
}

static bool fs_shares_ram(const void *config)
{
	(void)config;
	return true;
}

int fs_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
	   const struct fs_config *fs, const struct fs_daemon *daemon)
{
	struct virtio_fs_config space = { .num_request_queues = htole32(fs->queues) };
	const struct vhost_user_device_options options = {
		.model = "virtio-fs",
		.id = VIRTIO_ID_FS,
		.pci_class = 0x018000, /* mass storage, other */
		.path = fs->vhost_user,
		.queues = fs->queues + 1,
		.queue_size = 128,
		.config = &space,
		.config_len = sizeof(space),
		/* It would put another queue before those of requests (§5.11.2). */
		.withheld = 1ULL << 0,
		.unsaved = daemon ? daemon->unsaved : fs_stays(fs),
		.final = daemon ? daemon->final : NULL,
		.fd = daemon ? daemon->fd : -1,
		.gone = daemon ? daemon->gone : NULL,
		.owner = daemon ? daemon->owner : NULL,
	};

	memcpy(space.tag, fs->tag, strnlen(fs->tag, sizeof(space.tag)));
	return vhost_user_device_new(out, env, instance, &options);
}

static int fs_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		     const void *config)
{
	return fs_new(out, env, instance, config, NULL);
}

const struct device_kind fs_kind = {
	.option = {
		.name = "fs", .metavar = "NAME,vhost-user=SOCKET", .kind = OPTION_KEYS,
		.keys = &fs_keys,
		.help = "add a folder of the host, by a virtiofsd that listens there",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.guest_modules = { "virtiofs" },
	.describe = fs_describe,
	.check = fs_check,
	.conflict = fs_conflict,
	.create = fs_create,
	.shares_ram = fs_shares_ram,
	.stays = fs_stays,
};
DEVICE_CONFIG_FITS(struct fs_config);
