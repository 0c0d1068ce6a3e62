/* SPDX-License-Identifier: Apache-2.0 */
#include "core/node.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

void node_number_path(const char *node, char *path, size_t len)
{
	snprintf(path, len, "/sys/class/misc%s/dev", strrchr(node, '/'));
}

/* If sysfs has the device, the driver is loaded, and only this /dev lacks the node. */
static bool driver_loaded(const struct device_node *node, struct sys *sys)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	node_number_path(node->path, path, sizeof(path));
	fd = sys_open(sys, path, O_RDONLY);
	return fd >= 0;
}

static const char *remedy(const struct device_node *node, struct sys *sys, int err)
{
	switch (err) {
	case -ENOENT:
		if (driver_loaded(node, sys))
			return "the module is loaded, but this /dev has no node of it";
		return node->absent;
	case -ENODEV:
	case -ENXIO:
		return node->absent;
	case -EACCES:
	case -EPERM:
		return node->forbidden ? node->forbidden : "needs read and write permission on it";
	default:
		return NULL;
	}
}

void node_reason(const struct device_node *node, struct sys *sys, int err, char *reason, size_t len)
{
	const char *what_to_do = remedy(node, sys, err);
	struct text text = text_of(reason, len);

	text_add(&text, "%s", strerror(-err));
	if (what_to_do)
		text_add(&text, " (%s)", what_to_do);
}
