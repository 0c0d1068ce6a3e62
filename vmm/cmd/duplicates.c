/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/duplicates.h"

#include "base/log.h"
#include "cli/files.h"
#include "host/image.h"

/* An image that cannot be identified is refused when it is opened. */
static const struct image_options *identify(const struct device_config *device, struct file_id *id)
{
	const struct image_options *image = (const void *)device->config;

	return device->kind->has_image && image->path && !file_identify(image->path, id) ? image :
											   NULL;
}

static bool is_only_read(const struct image_options *image)
{
	return image->readonly || image->copy;
}

static int check_images(const struct device_config *a, const struct device_config *b)
{
	struct file_id id_a, id_b;
	const struct image_options *of_a = identify(a, &id_a);
	const struct image_options *of_b = of_a && a != b ? identify(b, &id_b) : NULL;

	if (!of_b || (is_only_read(of_a) && is_only_read(of_b)) || !file_id_equal(&id_a, &id_b))
		return 0;
	log_error("--%s %.200s: is --%s %.200s, too; give it once, or readonly or copy both times",
		  a->kind->option.name, of_a->path, b->kind->option.name, of_b->path);
	return -EINVAL;
}

static int check_pair(const struct device_config *a, const struct device_config *b)
{
	int ret = check_images(a, b);

	if (!ret && a->kind == b->kind && a->kind->conflict)
		ret = a->kind->conflict(a->config, b->config);
	return ret;
}

int duplicates_check(const struct machine_config *config)
{
	const struct device_set *devices = &config->devices;
	int ret = 0;

	for (unsigned i = 0; i < devices->count; i++)
		for (unsigned j = 0; j <= i && !ret; j++)
			ret = check_pair(&devices->items[i], &devices->items[j]);
	return ret;
}
