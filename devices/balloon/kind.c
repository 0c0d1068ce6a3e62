/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/balloon.h"

#include <inttypes.h>

enum { MIB = 1 << 20, NS_PER_MS = 1000000 };

static const struct option balloon_table[] = {
	{
		.name = "size", .metavar = "SIZE", .kind = OPTION_SIZE, .initial = "0",
		.max = 4ULL << 40,
		.help = "memory to take from the guest",
		OPTION_FIELD(struct balloon_config, size),
	},
	{
		.name = "deflate-on-oom", .kind = OPTION_WORD, .words = option_on_off,
		.initial = "off",
		.help = "let the guest take it back before it runs out of memory",
		OPTION_FIELD(struct balloon_config, deflate_on_oom),
	},
	{
		.name = "free-page-reporting", .kind = OPTION_WORD, .words = option_on_off,
		.initial = "on",
		.help = "have the guest report free memory",
		OPTION_FIELD(struct balloon_config, free_page_reporting),
	},
	{
		.name = "stats", .metavar = "TIME", .kind = OPTION_DURATION, .initial = "1s",
		.max = 3600ULL * 1000 * NS_PER_MS,
		.help = "how often to update the guest's memory statistics for --stats; 0: once",
		OPTION_FIELD(struct balloon_config, stats_interval),
	},
};

static const char *balloon_finish(void *item, uint64_t given)
{
	const struct balloon_config *config = item;

	(void)given;
	return config->size % MIB ? "size is not a whole number of MiB" : NULL;
}

static const struct option_keys balloon_keys = {
	.table = balloon_table,
	.count = ARRAY_SIZE(balloon_table),
	.finish = balloon_finish,
};

static void balloon_describe(FILE *out, const void *item)
{
	const struct balloon_config *config = item;

	fprintf(out, "%" PRIu64 " MiB%s%s, statistics every %" PRIu64 " ms", config->size / MIB,
		config->deflate_on_oom ? ", deflates on OOM" : "",
		config->free_page_reporting ? ", free page reporting" : "",
		config->stats_interval / NS_PER_MS);
}

static int balloon_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			  const void *config)
{
	return virtio_balloon_new(out, env, instance, config);
}

const struct device_kind balloon_kind = {
	.option = {
		.name = "balloon", .metavar = "SIZE", .kind = OPTION_KEYS, .keys = &balloon_keys,
		.help = "return guest memory to the host: SIZE of it at once, and free memory",
	},
	.needs_irqchip = true,
	.guest_modules = { "virtio_balloon" },
	.describe = balloon_describe,
	.check = virtio_balloon_check,
	.create = balloon_create,
	.state_tables = virtio_balloon_state_tables,
};
DEVICE_CONFIG_FITS(struct balloon_config);
