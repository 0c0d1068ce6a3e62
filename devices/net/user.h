/* SPDX-License-Identifier: Apache-2.0 */
/* The user network: passt(1) carries a guest's connections as those of an ordinary process. */
#ifndef KINGLET_NET_USER_H
#define KINGLET_NET_USER_H

#include "devices/net.h"

/* Whether forwards and dns of the config are well-formed: NULL, or what is wrong with them. */
const char *net_user_finish(const struct net_config *config);
/* For --dry-run: the row's text up to the MAC address. */
void net_user_describe(FILE *out, const struct net_config *config);
/* 0, or -ENOENT after one logged line: passt is not installed. */
__must_check int net_user_check(void);
/* As device_kind.create. */
__must_check int net_user_create(struct virtio_dev **out, const struct virtio_env *env,
				 unsigned instance, const struct net_config *config);

#endif
