/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/generic.h"

#include "backend/vhost_user_device.h"

#include <string.h>

#define GENERIC(member) OPTION_FIELD(struct generic_config, member)

enum { GENERIC_TYPE, GENERIC_VHOST_USER, GENERIC_QUEUES, GENERIC_CONFIG, GENERIC_RECONNECT };

/* Those with a fixed number of queues; virtio 1.2 §5 has queues and spaces. */
static const struct known {
	const char *name;
	uint16_t id;
	uint16_t queues, space;
} known[] = {
	{ "rng", VIRTIO_ID_RNG, 1, 0 },
	{ "input", VIRTIO_ID_INPUT, 2, 136 },
	{ "vsock", VIRTIO_ID_VSOCK, 3, 8 },
	{ "sound", VIRTIO_ID_SOUND, 4, 12 },
	{ "i2c", VIRTIO_ID_I2C_ADAPTER, 1, 0 },
	{ "gpio", VIRTIO_ID_GPIO, 2, 8 },
};

static const struct option generic_table[] = {
	[GENERIC_TYPE] = {
		.name = "type", .metavar = "NAME|ID", .kind = OPTION_STRING, .min = 1, .max = 16,
		.help = "rng, input, vsock, sound, i2c, gpio, or a number of virtio 1.2, section 5",
		GENERIC(type),
	},
	[GENERIC_VHOST_USER] = {
		.name = "vhost-user", .metavar = "SOCKET", .kind = OPTION_STRING, .min = 1,
		.max = 107, .file = FILE_INPUT,
		.help = "where the daemon listens",
		GENERIC(vhost_user),
	},
	[GENERIC_QUEUES] = {
		.name = "queues", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 256,
		.help = "of the device; needed with a number",
		GENERIC(queues),
	},
	[GENERIC_CONFIG] = {
		.name = "config", .metavar = "BYTES", .kind = OPTION_NUMBER, .max = 256,
		.help = "length of its configuration space",
		GENERIC(space),
	},
	[GENERIC_RECONNECT] = { VHOST_USER_RECONNECT, GENERIC(reconnect) },
};

static const struct known *find_known(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	return NULL;
}

static const char *generic_finish(void *item, uint64_t given)
{
	struct generic_config *generic = item;
	const struct known *type;
	unsigned long number;
	char *end;

	if (!(given >> GENERIC_TYPE & 1) || !(given >> GENERIC_VHOST_USER & 1))
		return "names no type or no daemon; write --device rng,vhost-user=SOCKET";
	type = find_known(generic->type);
	number = strtoul(generic->type, &end, 10);
	if (!type && (*end || !number || number > 63))
		return "has a type that is neither a name (see --help) nor a number from 1 to 63";
	generic->id = type ? type->id : (uint16_t)number;
	if (!type && !generic->queues)
		return "has a number as its type, and no queues=N";
	if (type && !generic->queues)
		generic->queues = type->queues;
	if (type && !(given >> GENERIC_CONFIG & 1))
		generic->space = type->space;
	return NULL;
}

static const struct option_keys generic_keys = {
	.table = generic_table,
	.count = ARRAY_SIZE(generic_table),
	.finish = generic_finish,
};

static void generic_describe(FILE *out, const void *config)
{
	const struct generic_config *generic = config;

	fprintf(out, "virtio device %u, of the vhost-user daemon at %s, %u queue%s, %u bytes of "
		     "configuration", generic->id, generic->vhost_user, generic->queues,
		generic->queues == 1 ? "" : "s", generic->space);
}

static int generic_check(const void *config, const struct device_ram *ram)
{
	const struct generic_config *generic = config;

	(void)ram;
	return vhost_user_check(generic->vhost_user);
}

static int generic_conflict(const void *config, const void *before)
{
	const struct generic_config *a = config, *b = before;

	return a == b ? 0 : vhost_user_conflict(a->vhost_user, b->vhost_user);
}

static bool generic_shares_ram(const void *config)
{
	(void)config;
	return true;
}

static const char *generic_stays(const void *config)
{
	(void)config;
	return "what a daemon of --device keeps is not known; a machine with one cannot be saved or "
	       "moved";
}

static int generic_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			  const void *config)
{
	const struct generic_config *generic = config;
	const struct vhost_user_device_options options = {
		.model = "virtio-device",
		.id = generic->id,
		.pci_class = 0xff0000, /* no PCI class is known for it */
		.path = generic->vhost_user,
		.reconnect = generic->reconnect,
		.queues = generic->queues,
		.queue_size = 128,
		.config_len = generic->space,
		.unsaved = generic_stays(generic),
	};

	return vhost_user_device_new(out, env, instance, &options);
}

const struct device_kind generic_kind = {
	.option = {
		.name = "device", .metavar = "TYPE,vhost-user=SOCKET", .kind = OPTION_KEYS,
		.keys = &generic_keys,
		.help = "add any virtio device, by a daemon that listens there",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.describe = generic_describe,
	.check = generic_check,
	.conflict = generic_conflict,
	.create = generic_create,
	.shares_ram = generic_shares_ram,
	.stays = generic_stays,
};
DEVICE_CONFIG_FITS(struct generic_config);
