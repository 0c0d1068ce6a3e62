/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 6: a doorbell that is rung a thousand times, and no exit. */
#include "virtio.h"

enum { RINGS = 1000 };

int main(const void *handoff)
{
	struct virtio rng;

	(void)handoff;
	virtio_find(&rng, VIRTIO_RNG);

	/* Up to DRIVER_OK every register is an exit, and then the doorbell no longer is one. */
	virtio_start(&rng, 0);
	for (unsigned i = 0; i < RINGS; i++)
		virtio_kick(&rng, 0);

	/* From here on it is one again. */
	virtio_reset(&rng);
	virtio_kick(&rng, 0);
	return 0;
}
