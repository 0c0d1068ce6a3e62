/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs (virtio 1.2 §5.11), a folder of the host, by a vhost-user daemon such as virtiofsd. The
 * daemon has the folder; tag and number of queues are said here, since it gives no configuration
 * space. The guest mounts it by its tag: mount -t virtiofs TAG DIR.
 */
#ifndef KINGLET_DEVICES_FS_H
#define KINGLET_DEVICES_FS_H

#include "devices/kind.h"

enum { VIRTIO_FS_TAG_MAX = 36 }; /* bytes, §5.11.4 */

struct fs_config {
	const char *tag;	/* of 1 to VIRTIO_FS_TAG_MAX bytes; copied */
	const char *vhost_user; /* socket of the daemon; outlives the device */
	unsigned queues;	/* of requests, 1..16; there is one more for urgent ones */
};

extern const struct device_kind fs_kind;

/* What virtiofsd lets the guest rely on. */
enum share_cache { SHARE_CACHE_AUTO, SHARE_CACHE_ALWAYS, SHARE_CACHE_NONE };
extern const struct option_word share_cache_words[];

/* A folder by a virtiofsd that Kinglet starts. */
struct share_config {
	const char *folder;
	const char *tag;   /* as above */
	enum share_cache cache;
	bool readonly;
};

extern const struct device_kind share_kind;

#endif
