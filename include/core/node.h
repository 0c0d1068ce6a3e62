/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a device node does not open, and what to do. Any thread.
 */
#ifndef KINGLET_CORE_NODE_H
#define KINGLET_CORE_NODE_H

#include "core/sys.h"

struct device_node {
	const char *path;      /* "/dev/vhost-net" */
	const char *absent;    /* what to do when there is no driver for it */
	const char *forbidden; /* what to do without permission; NULL: nothing special */
};

/*
 * Writes the error of sys_open() of the node, or of a first ioctl on it: "No such file or directory
 * (modprobe vhost_net)". The caller adds what needed it.
 */
void node_reason(const struct device_node *node, struct sys *sys, int err, char *reason, size_t len);

/* The file of sysfs that has the number of a misc device's node, while its driver is loaded. */
void node_number_path(const char *node, char *path, size_t len);

#endif
