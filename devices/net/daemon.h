/* SPDX-License-Identifier: Apache-2.0 */
/* A card whose frames a vhost-user daemon carries: a switch, or passt (backend/vhost_user.h). */
#ifndef KINGLET_NET_DAEMON_H
#define KINGLET_NET_DAEMON_H

#include "devices/net.h"

/* As device_kind.create. */
__must_check int net_daemon_create(struct virtio_dev **out, const struct virtio_env *env,
				   unsigned instance, const struct net_config *config);

#endif
