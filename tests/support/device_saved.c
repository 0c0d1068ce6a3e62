/* SPDX-License-Identifier: Apache-2.0 */
#include "device_saved.h"

#include "base/le.h"
#include "capture.h"
#include "unit.h"

#include <string.h>

static int locked_state(void *object, struct state *state)
{
	struct virtio_dev *dev = object;
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = virtio_state(dev, state);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

void device_save(struct saved *saved, struct virtio_dev *dev)
{
	*saved = saved_take(locked_state, dev);
}

int device_load(const struct saved *saved, struct virtio_dev *dev)
{
	return saved_load(saved, locked_state, dev);
}

void device_restored(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->model->restored)
		dev->model->restored(dev);
	pthread_mutex_unlock(&dev->lock);
}

void device_expect_same(const struct saved *saved, struct virtio_dev *dev)
{
	struct saved now;

	device_save(&now, dev);
	assert_int_equal(now.len, saved->len);
	assert_memory_equal(now.data, saved->data, saved->len);
	saved_free(&now);
}

void device_set(struct saved *saved, const struct virtio_dev *dev, const struct state_table *table,
		const char *field, unsigned index, uint64_t value)
{
	size_t len;
	uint8_t *at = saved_section(saved, table->name, dev->name, &len);
	const struct state_field *f = table->fields;

	for (; strcmp(f->name, field) != 0; f++) {
		at += (size_t)f->size * f->count;
		assert_non_null(f[1].name);
	}
	assert_true(index < f->count);
	put_le_bytes(at + (size_t)index * f->size, value, f->size);
}

void device_expect_refused(const struct saved *saved, struct virtio_dev *dev, const char *why)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = device_load(saved, dev);
	capture_expect(&capture, why);
	assert_int_equal(ret, -EBADMSG);
}
