/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a virtio device without a transport: core, queues and model.
 *
 *	virtio_freeze(dev);
 *	device_save(&saved, dev);
 *	…
 *	assert_int_equal(device_load(&saved, fresh), 0);
 *	virtio_thaw(fresh);
 *	saved_free(&saved);
 */
#ifndef KINGLET_TESTS_DEVICE_SAVED_H
#define KINGLET_TESTS_DEVICE_SAVED_H

#include "saved.h"
#include "virtio/virtio.h"

void device_save(struct saved *saved, struct virtio_dev *dev);
/* 0, or -EBADMSG. */
__must_check int device_load(const struct saved *saved, struct virtio_dev *dev);
/* After the thaw: model->restored. */
void device_restored(struct virtio_dev *dev);

/* What the device would save now is this. */
void device_expect_same(const struct saved *saved, struct virtio_dev *dev);

/* Sets an element of a field in the only section of this table. */
void device_set(struct saved *saved, const struct virtio_dev *dev, const struct state_table *table,
		const char *field, unsigned index, uint64_t value);
/* It is refused, and the one line about that says `why`. */
void device_expect_refused(const struct saved *saved, struct virtio_dev *dev, const char *why);

#endif
