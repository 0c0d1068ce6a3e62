/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vdpa.h"

#include "backend/vhost_vdpa_device.h"
#include "base/log.h"

#include <string.h>
#include <sys/stat.h>

enum { VDPA_NODE };

static const struct option vdpa_table[] = {
	[VDPA_NODE] = {
		.name = "node", .metavar = "NODE", .kind = OPTION_STRING, .min = 1, .max = 107,
		.file = FILE_INPUT,
		.help = "its node, /dev/vhost-vdpa-N",
		OPTION_FIELD(struct vdpa_config, node),
	},
};

static const char *vdpa_finish(void *item, uint64_t given)
{
	(void)item;
	return given >> VDPA_NODE & 1 ? NULL : "names no device; write --vdpa /dev/vhost-vdpa-0";
}

static const struct option_keys vdpa_keys = {
	.table = vdpa_table,
	.count = ARRAY_SIZE(vdpa_table),
	.finish = vdpa_finish,
};

static void vdpa_describe(FILE *out, const void *config)
{
	const struct vdpa_config *vdpa = config;

	fprintf(out, "the vDPA device at %s", vdpa->node);
}

/* It is not opened: another process may have it until the run. */
static int vdpa_check(const void *config, const struct device_ram *ram)
{
	const struct vdpa_config *vdpa = config;
	struct stat st;
	int ret = stat(vdpa->node, &st) ? -errno : S_ISCHR(st.st_mode) ? 0 : -EINVAL;

	(void)ram;
	if (ret == -EINVAL)
		log_error("--vdpa %s: is not a device node", vdpa->node);
	else if (ret)
		log_error("--vdpa %s: %s; see /sys/bus/vdpa/devices, and vdpa dev add", vdpa->node,
			  strerror(-ret));
	return ret;
}

static int vdpa_conflict(const void *config, const void *before)
{
	const struct vdpa_config *a = config, *b = before;

	if (a == b || strcmp(a->node, b->node) != 0)
		return 0;
	log_error("--vdpa %s: is given twice; a device serves one guest's device", a->node);
	return -EINVAL;
}

static int vdpa_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const void *config)
{
	const struct vdpa_config *vdpa = config;

	/* Any failure is a host error, even if its errno is ENOENT. */
	return vhost_vdpa_device_new(out, env, instance, vdpa->node) ? -EIO : 0;
}

/* A device of another process (VDUSE) maps the RAM; one of the kernel pins it, shared or not. */
static bool vdpa_shares_ram(const void *config)
{
	(void)config;
	return true;
}

static const char *vdpa_stays(const void *config)
{
	(void)config;
	return "what a vDPA device keeps is not known; a machine with --vdpa cannot be saved or moved";
}

static const struct host_need vdpa_needs[] = {
	{
		.name = "vhost-vdpa", .use = "--vdpa", .folder = "/sys/bus/vdpa/drivers/vhost_vdpa",
		.mount = "modprobe vhost_vdpa", .unmounted = "is not there",
		.modules = { "vhost_vdpa" }, .config = "CONFIG_VHOST_VDPA",
	},
	{ .name = NULL },
};

const struct device_kind vdpa_kind = {
	.option = {
		.name = "vdpa", .metavar = "NODE", .kind = OPTION_KEYS, .keys = &vdpa_keys,
		.help = "add a vDPA device of the host, whatever it is; needs the host's module "
			"vhost_vdpa",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.needs = vdpa_needs,
	.describe = vdpa_describe,
	.check = vdpa_check,
	.conflict = vdpa_conflict,
	.create = vdpa_create,
	.shares_ram = vdpa_shares_ram,
	.stays = vdpa_stays,
};
DEVICE_CONFIG_FITS(struct vdpa_config);
