/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of devices: all that the rest of Kinglet knows of blk, net and so on. Each is const and
 * stands in the device's own folder; devices/kinds.c lists them, and options, --dry-run, doctor, the
 * modules of exec's guests and the machine follow from the list (docs/adding-a-device.md).
 */
#ifndef KINGLET_DEVICES_KIND_H
#define KINGLET_DEVICES_KIND_H

#include "base/option.h"
#include "virtio/virtio.h"

#include <stdio.h>

/* Bytes of a device's config; devices that a machine may be given; modules of a driver. */
enum { DEVICE_CONFIG_MAX = 192, DEVICES_MAX = 40, DEVICE_MODULES_MAX = 2 };

/* Of the host, for kinglet doctor: a row. */
struct host_need {
	const char *name; /* one word */
	const char *use;  /* what it is for: "--net vhost=on" */
	/* A device node that is to open; NULL: a folder that is to be there. */
	const char *node;
	const char *number; /* file with its number, major:minor, while the module is loaded */
	const char *folder;
	const char *mount;	/* the command that brings it, with the modules loaded, */
	const char *unmounted;	/* and what to say without it */
	const char *modules[4]; /* which bring node or folder; the kernel has them with */
	const char *config;	/* this configuration */
	const char *users;	/* what those who are not root cannot do */
	/*
	 * What killed runs have left there, below the root folder `root`: false, or one line.
	 * NULL: nothing can be left.
	 */
	bool (*find_leftovers)(const char *root, char *text, size_t len);
	void (*remove_leftovers)(void);
};

/* Functions get the config as the option has filled it, after its `finish`. Machine's thread. */
struct device_kind {
	/*
	 * What makes one: its name is the device's, too. Fields are relative to the config. Without
	 * max_items a machine has one at most; with `initial` it has one unasked.
	 */
	struct option option;
	bool needs_irqchip; /* it is given for drivers; so not with --irqchip off */
	bool has_image; /* the config begins with a struct image_options, whose path may be NULL */
	/* What Linux's driver is in; ends with NULL. */
	const char *guest_modules[DEVICE_MODULES_MAX + 1];
	const struct host_need *needs; /* ends with a nameless one; or NULL */
	/* For --dry-run: the row's text. */
	void (*describe)(FILE *out, const void *config);
	/* What can be known before a run: 0, or an errno after one logged line. May be NULL. */
	int (*check)(const void *config);
	/*
	 * -EINVAL after one logged line when this one and one given before, or itself, want
	 * something that can be had once only. Images are compared elsewhere. May be NULL.
	 */
	int (*conflict)(const void *config, const void *before);
	/*
	 * Makes the device with number `instance` of its kind; NULL in *out: the config says that
	 * there is none. Queues from the first on may be bound to backends; those that are not run
	 * in this process. Logs on failure; -EINVAL, -ENOENT and -ENOTDIR say that the config is
	 * wrong, everything else is trouble of the host.
	 */
	int (*create)(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const void *config);
	/*
	 * The process ends and the device is not destroyed: sees to what would outlive it. True when
	 * that is done for all of this kind. Any thread. May be NULL.
	 */
	bool (*abandon)(const void *config);
};

/* In the order in which they come onto the bus; ends with NULL. */
extern const struct device_kind *const device_kinds[];

#define DEVICE_CONFIG_FITS(type)                                                                   \
	_Static_assert(sizeof(type) <= DEVICE_CONFIG_MAX, #type " in struct device_config")

struct device_config {
	const struct device_kind *kind;
	unsigned instance; /* among those of its kind, from 0 on */
	/* What the kind's option sets, by value: strings in it are borrowed. */
	_Alignas(uint64_t) unsigned char config[DEVICE_CONFIG_MAX];
};

/* The devices of a machine, in the order of device_kinds, each kind's as they were given. */
struct device_set {
	struct device_config items[DEVICES_MAX];
	unsigned count;
};

/*
 * The zeroed config of one more device, valid until the next one is added. Where there can be one
 * only, it takes the old one's place. NULL: there is no room.
 */
void *device_set_add(struct device_set *set, const struct device_kind *kind);

/* The config of a device, or NULL. */
const void *device_set_get(const struct device_set *set, const struct device_kind *kind,
			   unsigned instance);

#endif
