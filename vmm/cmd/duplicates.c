/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/duplicates.h"

#include "base/log.h"
#include "cli/files.h"

#include <string.h>

struct image_use {
	const char *option, *path;
	bool readonly;
	struct file_id id;
};

/* Images that cannot be identified are for those to refuse who open them. */
static void add_image(struct image_use *images, unsigned *count, struct image_use image)
{
	if (image.path && !file_identify(image.path, &image.id))
		images[(*count)++] = image;
}

static int check_images(const struct machine_config *config)
{
	struct image_use images[CONFIG_MAX_DISKS + CONFIG_MAX_SCSIS];
	unsigned count = 0;

	for (unsigned i = 0; i < config->disk_count; i++)
		add_image(images, &count,
			  (struct image_use){ .option = "disk", .path = config->disks[i].image.path,
					      .readonly = config->disks[i].image.readonly });
	for (unsigned i = 0; i < config->scsi_count; i++)
		add_image(images, &count,
			  (struct image_use){ .option = "scsi", .path = config->scsis[i].image.path,
					      .readonly = config->scsis[i].image.readonly });
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < i; j++) {
			const struct image_use *a = &images[i], *b = &images[j];

			if ((a->readonly && b->readonly) || !file_id_equal(&a->id, &b->id))
				continue;
			log_error("--%s %.200s: is --%s %.200s, too; give it once, or readonly both "
				  "times",
				  a->option, a->path, b->option, b->path);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_cards(const struct net_config *a, const struct net_config *b)
{
	if (a->tap && b->tap && strcmp(a->tap, b->tap) == 0)
		log_error("--net tap=%s: is given twice; each card needs a tap of its own", a->tap);
	else if (a->mac_set && b->mac_set && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0)
		log_error("--net: mac=%02x:%02x:%02x:%02x:%02x:%02x is given twice; each card needs "
			  "an address of its own",
			  a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]);
	else
		return 0;
	return -EINVAL;
}

static int check_nets(const struct machine_config *config)
{
	enum { FDS_MAX = CONFIG_MAX_NETS * 2 * FD_LIST_MAX };
	int fds[FDS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < config->net_count; i++) {
		const struct net_config *net = &config->nets[i];

		for (unsigned j = 0; j < i; j++)
			if (check_cards(net, &config->nets[j]))
				return -EINVAL;
		for (unsigned f = 0; f < net->fds.count; f++)
			fds[count++] = net->fds.fds[f];
		for (unsigned f = 0; f < net->vhost_fds.count; f++)
			fds[count++] = net->vhost_fds.fds[f];
	}
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (fds[i] != fds[j])
				continue;
			log_error("--net: fd %d is given twice; each queue needs one of its own",
				  fds[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_targets(const struct machine_config *config)
{
	for (unsigned i = 0; i < config->scsi_count; i++) {
		for (unsigned j = 0; j < i; j++) {
			const char *a = config->scsis[i].wwpn, *b = config->scsis[j].wwpn;

			if (!a || !b || strcmp(a, b) != 0)
				continue;
			log_error("--scsi wwpn=%s: is given twice; a target serves one host", a);
			return -EINVAL;
		}
	}
	return 0;
}

int duplicates_check(const struct machine_config *config)
{
	int ret = check_images(config);

	if (!ret)
		ret = check_nets(config);
	return ret ? ret : check_targets(config);
}
