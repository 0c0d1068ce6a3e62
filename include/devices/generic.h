/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any virtio device that a vhost-user daemon is, also of kinds that Kinglet does not know: what it
 * does is between its driver and the daemon. Number of queues and length of the configuration space
 * come from the kind's name or from the user; what is in the space, from the daemon.
 */
#ifndef KINGLET_DEVICES_GENERIC_H
#define KINGLET_DEVICES_GENERIC_H

#include "devices/kind.h"

struct generic_config {
	const char *type;	/* a name, or an ID of virtio 1.2 §5 in decimal */
	const char *vhost_user; /* socket of the daemon; outlives the device */
	unsigned queues;	/* 1..256; 0 in the option: the name's */
	unsigned space;		/* bytes of configuration space, at most 256; set: the name's */
	unsigned reconnect;	/* to the daemon, in seconds */
	uint16_t id;		/* of the type */
};

extern const struct device_kind generic_kind;

#endif
