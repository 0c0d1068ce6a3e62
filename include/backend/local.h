/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local backend: the event loop watches each queue's kick eventfd and calls model->serve.
 */
#ifndef KINGLET_BACKEND_LOCAL_H
#define KINGLET_BACKEND_LOCAL_H

#include "virtio/virtio.h"

/* Creates a backend for `dev`, which owns it, and binds the given queues to it. -ENOMEM. */
__must_check int local_backend_bind(struct virtio_dev *dev, unsigned first, unsigned count);

#endif
