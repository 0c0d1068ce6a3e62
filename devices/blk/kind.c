/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk.h"

#include "backend/vhost_user_device.h"
#include "base/files.h"

#include <string.h>

#define DISK(member) OPTION_FIELD(struct disk_config, member)

static const struct option_word aio_words[] = {
	{ "uring", false },
	{ "threads", true },
	{ NULL, 0 },
};

static const struct option_word format_words[] = {
	{ "raw", true },
	{ NULL, 0 },
};

enum {
	DISK_PATH,
	DISK_READONLY,
	DISK_COPY,
	DISK_DIRECT,
	DISK_SERIAL,
	DISK_QUEUES,
	DISK_AIO,
	DISK_FORMAT,
	DISK_VHOST_USER,
	DISK_RECONNECT,
};

static const struct option disk_table[] = {
	[DISK_PATH] = {
		.name = "path", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "raw image or block device; a comma in its name is written twice",
		DISK(image.path),
	},
	[DISK_READONLY] = {
		.name = "readonly", .kind = OPTION_FLAG,
		.help = "open it read-only; the guest sees a read-only disk",
		DISK(image.readonly),
	},
	[DISK_COPY] = {
		.name = "copy", .kind = OPTION_FLAG,
		.help = "write to a copy of the image, in $TMPDIR or /var/tmp, that is gone at the end",
		DISK(image.copy),
	},
	[DISK_DIRECT] = {
		.name = "direct", .kind = OPTION_FLAG,
		.help = "bypass the host's page cache (O_DIRECT)",
		DISK(image.direct),
	},
	/* virtio 1.2 §5.2.6.1: VIRTIO_BLK_T_GET_ID returns 20 bytes. */
	[DISK_SERIAL] = {
		.name = "serial", .metavar = "TEXT", .kind = OPTION_STRING, .min = 1, .max = 20,
		.help = "serial number, at most 20 bytes: /dev/disk/by-id/virtio-TEXT",
		DISK(serial),
	},
	[DISK_QUEUES] = {
		.name = "queues", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 16,
		.initial = "1", .help = "request queues",
		DISK(queues),
	},
	[DISK_AIO] = {
		.name = "aio", .kind = OPTION_WORD, .words = aio_words, .initial = "uring",
		.help = "how requests reach the host's kernel; io_uring falls back to threads if "
			"the host refuses it",
		DISK(image.threads),
	},
	[DISK_FORMAT] = {
		.name = "format", .kind = OPTION_WORD, .words = format_words,
		.help = "treat it as raw even if a guest has made it look like an image of another "
			"format, which is otherwise refused",
		DISK(image.raw),
	},
	[DISK_VHOST_USER] = {
		.name = "vhost-user", .metavar = "SOCKET", .kind = OPTION_STRING, .min = 1,
		.max = 107, .file = FILE_INPUT,
		.help = "the disk of a vhost-user daemon that listens there, such as "
			"qemu-storage-daemon, with its queues; nothing else is given then",
		DISK(vhost_user),
	},
	[DISK_RECONNECT] = { VHOST_USER_RECONNECT, DISK(reconnect) },
};

static const char *disk_finish(void *item, uint64_t given)
{
	const struct disk_config *disk = item;
	const struct image_options *image = &disk->image;

	if (disk->vhost_user)
		return given & ~(1ULL << DISK_VHOST_USER | 1ULL << DISK_RECONNECT) ?
			       "has vhost-user and more; image and queues are the daemon's" : NULL;
	if (given >> DISK_RECONNECT & 1)
		return "has reconnect without vhost-user; an image does not go away";
	if (!(given >> DISK_PATH & 1))
		return "names no image; write --disk FILE";
	if (image->copy && (image->readonly || image->direct))
		return "has copy, and readonly or direct; a copy is written, by way of the page cache";
	return NULL;
}

static const struct option_keys disk_keys = {
	.table = disk_table,
	.count = ARRAY_SIZE(disk_table),
	.finish = disk_finish,
};

static void disk_describe(FILE *out, const void *config)
{
	const struct disk_config *disk = config;
	const struct image_options *image = &disk->image;

	if (disk->vhost_user) {
		fprintf(out, "of the vhost-user daemon at %s", disk->vhost_user);
		return;
	}
	file_describe(out, image->path);
	fprintf(out, ", %s, %u queue%s, %s%s%s%s",
		image->copy	? "written in a copy" :
		image->readonly ? "read-only" :
				  "writable",
		disk->queues, disk->queues == 1 ? "" : "s",
		image->threads ? "I/O threads" : "io_uring", image->direct ? ", direct" : "",
		disk->serial ? ", serial " : "", disk->serial ? disk->serial : "");
}

static int disk_check(const void *config, const struct device_ram *ram)
{
	const struct disk_config *disk = config;

	(void)ram;
	return disk->vhost_user ? vhost_user_check(disk->vhost_user) : image_check(&disk->image);
}

static int disk_conflict(const void *config, const void *before)
{
	const struct disk_config *a = config, *b = before;

	return a == b ? 0 : vhost_user_conflict(a->vhost_user, b->vhost_user);
}

/* As blk_state() has it of the image. */
static const char *disk_stays(const void *config)
{
	const struct image_options *image = config;

	return image->copy ? "a disk that is a copy is gone at the end; leave copy out" : NULL;
}

static bool disk_shares_ram(const void *config)
{
	const struct disk_config *disk = config;

	return disk->vhost_user;
}

static int disk_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const void *config)
{
	const struct disk_config *disk = config;
	const struct vhost_user_device_options daemon = {
		.model = "virtio-blk",
		.id = VIRTIO_ID_BLOCK,
		.pci_class = VIRTIO_BLK_PCI_CLASS,
		.path = disk->vhost_user,
		.reconnect = disk->reconnect,
		.queue_size = VIRTIO_BLK_QUEUE_SIZE,
		.config_len = VIRTIO_BLK_CONFIG_LEN,
		.queues_at = offsetof(struct virtio_blk_config, num_queues),
		.queues_feature = VIRTIO_BLK_F_MQ,
	};

	return disk->vhost_user ? vhost_user_device_new(out, env, instance, &daemon) :
				  virtio_blk_new(out, env, instance, disk);
}

const struct device_kind blk_kind = {
	.option = {
		.name = "disk", .metavar = "FILE", .kind = OPTION_KEYS, .keys = &disk_keys,
		.help = "add a virtio disk: /dev/vda, /dev/vdb and so on",
		.max_items = 16,
	},
	.needs_irqchip = true,
	.has_image = true,
	.guest_modules = { "virtio_blk" },
	.describe = disk_describe,
	.check = disk_check,
	.conflict = disk_conflict,
	.create = disk_create,
	.shares_ram = disk_shares_ram,
	.stays = disk_stays,
	.state_tables = virtio_blk_state_tables,
};
DEVICE_CONFIG_FITS(struct disk_config);
