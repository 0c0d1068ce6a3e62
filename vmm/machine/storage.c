/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"

#include "base/log.h"

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

int storage_take(struct vm *vm, bool last)
{
	unsigned taken = 0;
	int ret = 0;

	while (taken < vm->device_count && !ret)
		ret = own(vm->devices[taken++], true);
	if (ret == -EBUSY && !last)
		return ret;
	if (ret == -EBUSY)
		log_error("%s: its storage is in use by another program",
			  vm->devices[taken - 1]->name);
	if (ret)
		(void)!storage_let_go(vm);
	return ret;
}
