/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI hosts: each runs in the kernel, on an existing target or on one created for it. */
#include "target.h"

#include "backend/vhost_worker.h"
#include "base/files.h"
#include "base/log.h"
#include "devices/vhost_scsi.h"

#include <string.h>

#define SCSI(member) OPTION_FIELD(struct scsi_config, member)

static const struct option_word format_words[] = {
	{ "raw", true },
	{ NULL, 0 },
};

enum { SCSI_PATH, SCSI_READONLY, SCSI_WWPN, SCSI_QUEUES, SCSI_WORKERS, SCSI_FORMAT };

static const struct option scsi_table[] = {
	[SCSI_PATH] = {
		.name = "path", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "raw image or block device; Kinglet creates a target for it, as root, and "
			"removes it at the end; after SIGKILL the next such run does, or kinglet "
			"doctor --fix",
		SCSI(image.path),
	},
	[SCSI_READONLY] = {
		.name = "readonly", .kind = OPTION_FLAG,
		.help = "with path=: refuse writes; the guest sees a read-only disk",
		SCSI(image.readonly),
	},
	/* struct vhost_scsi_target has 224 bytes for it. */
	[SCSI_WWPN] = {
		.name = "wwpn", .metavar = "NAME", .kind = OPTION_STRING, .min = 1, .max = 223,
		.help = "instead of path=: an existing target of vhost-scsi, naa. and 16 digits; "
			"its portal group tpgt_N is the guest's SCSI target N",
		SCSI(wwpn),
	},
	[SCSI_QUEUES] = {
		.name = "queues", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 16,
		.initial = "1", .help = "request queues",
		SCSI(queues),
	},
	[SCSI_WORKERS] = {
		.name = "workers", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 16,
		.initial = "1",
		.help = "threads of the host's kernel that run the request queues; more than one "
			"need Linux 6.5 on the host, and as many queues",
		SCSI(workers),
	},
	[SCSI_FORMAT] = {
		.name = "format", .kind = OPTION_WORD, .words = format_words,
		.help = "with path=: as for --disk",
		SCSI(image.raw),
	},
};

static const char *scsi_finish(void *item, uint64_t given)
{
	const struct scsi_config *scsi = item;
	bool has_path = given >> SCSI_PATH & 1;
	bool has_wwpn = given >> SCSI_WWPN & 1;

	if (has_path && has_wwpn)
		return "has both path= and wwpn=; give one of them";
	if (!has_path && !has_wwpn)
		return "names no disk; write --scsi path=FILE or --scsi wwpn=NAME";
	if (has_wwpn && scsi->image.raw)
		return "format goes with path=; leave it out";
	if (has_wwpn && scsi->image.readonly)
		return "readonly goes with path=; a target's owner decides what may be written";
	if (scsi->workers > scsi->queues)
		return "has more workers= than queues=, each of which has one at most";
	/* It becomes the name of a folder. */
	if (has_wwpn && (strchr(scsi->wwpn, '/') || scsi->wwpn[0] == '.'))
		return "wwpn is no name of a target; write it as in ls "
		       "/sys/kernel/config/target/vhost";
	return NULL;
}

static const struct option_keys scsi_keys = {
	.table = scsi_table,
	.count = ARRAY_SIZE(scsi_table),
	.finish = scsi_finish,
};

static void scsi_describe(FILE *out, const void *config)
{
	const struct scsi_config *scsi = config;

	if (scsi->image.path) {
		file_describe(out, scsi->image.path);
		fprintf(out, ", %s", scsi->image.readonly ? "read-only" : "writable");
	} else {
		fprintf(out, "target %s", scsi->wwpn);
	}
	fprintf(out, ", %u queue%s", scsi->queues, scsi->queues == 1 ? "" : "s");
	if (scsi->workers > 1)
		fprintf(out, ", %u workers", scsi->workers);
}

static int scsi_check(const void *config, const struct device_ram *ram)
{
	const struct scsi_config *scsi = config;

	(void)ram;
	return scsi->image.path ? lio_check_image(&scsi->image) : 0;
}

static int scsi_conflict(const void *config, const void *before)
{
	const struct scsi_config *a = config, *b = before;

	if (a == b || !a->wwpn || !b->wwpn || strcmp(a->wwpn, b->wwpn) != 0)
		return 0;
	log_error("--scsi wwpn=%s: is given twice; a target serves one host", a->wwpn);
	return -EINVAL;
}

static bool scsi_abandon(const void *config)
{
	const struct scsi_config *scsi = config;

	return scsi->image.path && scsi_targets_abandon();
}

static int bind(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		struct vhost *vhost, struct virtio_scsi_options *options, unsigned workers)
{
	struct virtio_dev *dev;
	int ret;

	options->features = vhost_scsi_features(vhost);
	ret = virtio_scsi_new(&dev, env, instance, options);
	if (ret) {
		vhost_free(vhost);
		return ret;
	}
	ret = vhost_bind(vhost, dev, 0, dev->queue_count);
	if (ret) {
		dev->model->destroy(dev);
		return ret;
	}
	/* The request queues are the last ones. */
	vhost_spread(vhost, dev->queue_count - options->request_queues, dev->queue_count, workers);
	*out = dev;
	return 0;
}

static int scsi_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const void *config)
{
	const struct scsi_config *scsi = config;
	struct virtio_scsi_options options = {
		.request_queues = scsi->queues,
		.max_target = scsi->image.path ? LIO_TARGET : VIRTIO_SCSI_MAX_TARGET,
	};
	struct image_options image = scsi->image;
	const char *wwpn = scsi->wwpn;
	struct vhost *vhost;
	int ret;

	image.later = env->arrives && !image.readonly;
	if (wwpn)
		ret = scsi_target_check(wwpn);
	else
		ret = scsi_target_new(&options.target, &image, instance);
	if (ret)
		return ret;
	ret = vhost_scsi_open(&vhost, env->sys, wwpn ? wwpn : options.target->made.wwpn,
			      env->arrives);
	if (!ret)
		return bind(out, env, instance, vhost, &options, scsi->workers);
	scsi_target_destroy(options.target);
	return -EIO;
}

/* Targets are folders in configfs; support for files and block devices is in separate modules. */
static const struct host_need scsi_needs[] = {
	{
		.name = "vhost-scsi", .use = "--scsi", .node = "/dev/vhost-scsi",
		.modules = { "vhost_scsi" }, .config = "CONFIG_VHOST_SCSI",
	},
	{
		.name = "lio", .use = "--scsi path=FILE", .folder = "/sys/kernel/config/target",
		.mount = "mount -t configfs configfs /sys/kernel/config",
		.unmounted = "configfs is not mounted",
		.modules = { "configfs", "target_core_mod", "target_core_file",
			     "target_core_iblock" },
		.config = "CONFIG_TARGET_CORE and CONFIG_CONFIGFS_FS",
		.users = "only root can create targets; --scsi wwpn=NAME uses one that root has "
			 "created",
		.find_leftovers = lio_describe_stale,
		.remove_leftovers = scsi_targets_remove_stale,
	},
	{ .name = NULL },
};

const struct device_kind scsi_kind = {
	.option = {
		.name = "scsi", .metavar = "path=FILE", .kind = OPTION_KEYS, .keys = &scsi_keys,
		.help = "add a SCSI host with a disk served by the host's kernel (modules "
			"vhost_scsi and target_core_mod): /dev/sda and so on",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.has_image = true,
	.guest_modules = { "virtio_scsi", "sd_mod" },
	.needs = scsi_needs,
	.describe = scsi_describe,
	.check = scsi_check,
	.conflict = scsi_conflict,
	.create = scsi_create,
	.state_tables = virtio_scsi_state_tables,
	.abandon = scsi_abandon,
};
DEVICE_CONFIG_FITS(struct scsi_config);
