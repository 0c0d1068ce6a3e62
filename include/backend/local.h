/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local backend: the event loop watches each queue's kick eventfd and calls model->serve.
 */
#ifndef KINGLET_BACKEND_LOCAL_H
#define KINGLET_BACKEND_LOCAL_H

#include "virtio/virtio.h"

/* Creates a backend for `dev` and binds the given queues to it. NULL when memory is short. */
struct backend *local_backend_new(struct virtio_dev *dev, unsigned first, unsigned count);

#endif
