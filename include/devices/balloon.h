/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traditional memory balloon (virtio 1.2 §5.5): the driver names pages that the guest does
 * without, and they go back to the host at once.
 *
 *   inflation     pages that the guest keeps in its balloon, to the size that the device asks for
 *   reporting     pages that are free at the moment; the guest takes them again without a word
 *   statistics    what the guest says of its memory, each time that it is asked
 *
 * Pages that are taken out of the balloon need nothing: the host gives memory at the next touch. So
 * VIRTIO_BALLOON_F_MUST_TELL_HOST is not offered. Neither is PAGE_POISON, since what was given back
 * reads as zero: a guest whose free pages hold something then does without reporting (§5.5.3.1).
 */
#ifndef KINGLET_DEVICES_BALLOON_H
#define KINGLET_DEVICES_BALLOON_H

#include "devices/kind.h"

#include <linux/virtio_balloon.h>

struct balloon_config {
	uint64_t size; /* bytes that the guest is to do without; a multiple of 4096 */
	bool deflate_on_oom; /* it may take them rather than run out of memory */
	bool free_page_reporting;
	uint64_t stats_interval; /* ns from an answer to the next question; 0: there is none */
};

extern const struct device_kind balloon_kind;
extern const struct state_table *const virtio_balloon_state_tables[];

/* For the report at the end, too, when the driver has gone: what it said last stays. */
struct virtio_balloon_stats {
	uint64_t target, actual; /* size of the balloon in bytes: asked for; as the driver says */
	uint64_t inflated, reported; /* bytes given back so far; a page counts each time */
	uint64_t guest[VIRTIO_BALLOON_S_NR]; /* its latest answer, by tag, §5.5.6.4; else 0 */
};

/*
 * The kind's check, of a struct balloon_config. -EINVAL: the guest's RAM is too small for it, or of
 * huge pages, which are not given back.
 */
__must_check int virtio_balloon_check(const void *config, const struct device_ram *ram);

/*
 * Makes the device; all its queues are for the local backend, which the caller binds. The transport
 * owns it from virtio_pci_add() on. Logs on failure. Not locked. Errors of the check, too.
 */
__must_check int virtio_balloon_new(struct virtio_dev **out, const struct virtio_env *env,
				    unsigned instance,
				    const struct balloon_config *config);

/* Any thread; takes the device's lock. */
void virtio_balloon_get_stats(struct virtio_dev *dev, struct virtio_balloon_stats *stats);

#endif
