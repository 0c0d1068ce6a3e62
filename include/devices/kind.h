/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of devices: everything that the rest of Kinglet knows about blk, net and so on. Each is
 * const and defined in the device's folder; devices/kinds.c lists them, and options, --dry-run,
 * doctor, the modules of exec's guests and the machine use the list (docs/adding-a-device.md).
 */
#ifndef KINGLET_DEVICES_KIND_H
#define KINGLET_DEVICES_KIND_H

#include "base/option.h"
#include "core/state.h"
#include "virtio/virtio.h"

#include <stdio.h>

/*
 * Largest size of a device's config in bytes; largest number of devices of a machine; of modules of
 * a driver.
 */
enum { DEVICE_CONFIG_MAX = 320, DEVICES_MAX = 80, DEVICE_MODULES_MAX = 2 };

/* What a device needs of the host: a row of kinglet doctor. */
struct host_need {
	const char *name;	/* of the row, one word */
	const char *use;	/* what it is for: "--net vhost=on" */
	const char *program;	/* that child_find() finds; NULL: a node or a folder */
	const char *install;	/* with program: the command that installs it */
	const char *node;	/* a misc device's node that must open; NULL: a folder */
	const char *folder;	/* that must be there, once a file system is mounted */
	const char *mount;	/* with folder: the command that mounts it */
	const char *unmounted;	/* with folder: what to say without the mount */
	const char *modules[4]; /* that bring the node or the folder */
	const char *config;	/* kernel configuration with these modules */
	const char *users;	/* with folder: what users other than root are told; or NULL */
	/*
	 * Whether killed runs have left something there, on the host whose root folder is `root`;
	 * then one line about it. NULL: nothing can be left.
	 */
	bool (*find_leftovers)(const char *root, char *text, size_t len);
	void (*remove_leftovers)(void);
};

/* The guest's RAM, as far as a device's config may conflict with it. */
struct device_ram {
	uint64_t size; /* bytes */
	bool hugepages;
};

/* Functions get the config that the option has filled. */
struct device_kind {
	/*
	 * The option that adds one; its name is also the device's. Fields are relative to the
	 * config. Without max_items a machine has at most one; with `initial` it has one by
	 * default.
	 */
	struct option option;
	bool needs_irqchip; /* refused with --irqchip off: no driver could run it */
	bool has_image;	    /* the config begins with a struct image_options; its path may be NULL */
	/* What Linux's driver is in; ends with NULL. */
	const char *guest_modules[DEVICE_MODULES_MAX + 1];
	const struct host_need *needs; /* ends with a nameless one; or NULL */
	/* For --dry-run: the row's text. */
	void (*describe)(FILE *out, const void *config);
	/* Checks before a run: 0, or an errno after one logged line. May be NULL. */
	int (*check)(const void *config, const struct device_ram *ram);
	/*
	 * -EINVAL after one logged line when this one and one given before want something that can
	 * be had only once; both may be the same one. Images are compared elsewhere. May be NULL.
	 */
	int (*conflict)(const void *config, const void *before);
	/*
	 * Creates device number `instance` of its kind; NULL in *out: the config disables it. The
	 * first queues may be bound to backends; the others run in this process. Logs on failure;
	 * -EINVAL, -ENOENT and -ENOTDIR: the config is wrong, everything else is a host error.
	 */
	int (*create)(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const void *config);
	/* Of virtio_model.state; ends with NULL. NULL: it keeps nothing. */
	const struct state_table *const *state_tables;
	/* Another process maps the guest's RAM, so it is shared memory. NULL: none does. */
	bool (*shares_ram)(const void *config);
	/*
	 * Why a machine with such a device can be neither saved nor moved, in one line; NULL: it
	 * can. NULL for the function: it always can.
	 */
	const char *(*stays)(const void *config);
	/*
	 * The process ends and the device is not destroyed: sees to what would outlive it. True when
	 * that is done for all of this kind. Any thread; the other functions are called by the main
	 * thread, create by the machine's. May be NULL.
	 */
	bool (*abandon)(const void *config);
};

/* In their order on the bus; ends with NULL. */
extern const struct device_kind *const device_kinds[];

#define DEVICE_CONFIG_FITS(type)                                                                   \
	_Static_assert(sizeof(type) <= DEVICE_CONFIG_MAX, #type " in struct device_config")

struct device_config {
	const struct device_kind *kind;
	unsigned instance; /* among those of its kind, from 0 */
	/* Filled by the kind's option, by value: strings in it are borrowed. */
	_Alignas(uint64_t) unsigned char config[DEVICE_CONFIG_MAX];
};

/* The devices of a machine, in the order of device_kinds, and of the command line within a kind. */
struct device_set {
	struct device_config items[DEVICES_MAX];
	unsigned count;
};

/*
 * The zeroed config of a new device, valid until the next one is added. If there can be only one,
 * it replaces the old one. NULL: there is no room.
 */
void *device_set_add(struct device_set *set, const struct device_kind *kind);

/*
 * The first device, in `name`, with which a machine can be neither saved nor moved, and why; NULL:
 * there is none.
 */
const char *device_set_stays(const struct device_set *set, const char **name);

/* Whether one of them needs RAM that another process maps. */
bool device_set_shares_ram(const struct device_set *set);

/* The config of a device, or NULL. */
const void *device_set_get(const struct device_set *set, const struct device_kind *kind,
			   unsigned instance);

#endif
