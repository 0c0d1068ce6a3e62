/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device (virtio 1.2 §5.4): one queue, whose buffers are filled from getrandom(2).
 */
#ifndef KINGLET_DEVICES_RNG_H
#define KINGLET_DEVICES_RNG_H

#include "devices/kind.h"

struct rng_config {
	bool on;
};

extern const struct device_kind rng_kind;

/*
 * Creates device number `instance`; its queue is for the local backend, which the caller binds.
 * The transport owns the device from virtio_pci_add() on. Logs on failure. Machine's thread.
 */
__must_check int virtio_rng_new(struct virtio_dev **out, const struct virtio_env *env,
				unsigned instance);

#endif
