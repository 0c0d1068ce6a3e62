/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"

#include "base/log.h"
#include "core/sys.h"

#include <poll.h>

enum { RETRY_MS = 10 };

int storage_sync(struct vm *vm)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->device_count && !ret; i++) {
		struct virtio_dev *dev = vm->devices[i];

		if (!dev->model->sync)
			continue;
		pthread_mutex_lock(&dev->lock);
		ret = dev->model->sync(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	return ret;
}

static int own(struct virtio_dev *dev, bool here)
{
	int ret;

	if (!dev->model->own)
		return 0;
	pthread_mutex_lock(&dev->lock);
	ret = dev->model->own(dev, here);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int storage_let_go(struct vm *vm)
{
	int first = 0;

	for (unsigned i = 0; i < vm->device_count; i++) {
		int ret = own(vm->devices[i], false);

		first = first ? first : ret;
	}
	return first;
}

/* A process that is killed keeps its locks until the kernel has taken its machine down. */
static int take_in_time(struct virtio_dev *dev, uint64_t end_ns)
{
	for (;;) {
		int ret = own(dev, true);

		if (ret != -EBUSY)
			return ret;
		if (sys_now_ns() >= end_ns)
			break;
		poll(NULL, 0, RETRY_MS);
	}
	log_error("%s: its storage is in use by another program", dev->name);
	return -EBUSY;
}

int storage_take(struct vm *vm, unsigned patience_ms)
{
	uint64_t end_ns = sys_now_ns() + patience_ms * UINT64_C(1000000);
	int ret = 0;

	for (unsigned i = 0; i < vm->device_count && !ret; i++)
		ret = take_in_time(vm->devices[i], end_ns);
	if (ret)
		(void)!storage_let_go(vm);
	return ret;
}
