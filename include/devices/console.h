/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (virtio 1.2 §5.3), for the local backend.
 *
 * Port 0 is the console, hvc0 in Linux. Port 1 is named kinglet.status: where udev runs it is
 * /dev/virtio-ports/kinglet.status, else /dev/vportNp1 (see /sys/class/virtio-ports/…/name). A line
 * written there, or what was written when it is closed, with a decimal number from 0 to 255 is the
 * guest's exit status. It has been reported when the guest's close(2) returns.
 *
 * Streams are further ports with names of their owner's, from VIRTIO_CONSOLE_FIRST_STREAM on: bytes
 * in both directions, with back-pressure in both, and an end that each side can close. Where Linux
 * tells a port's name, it knows as well whether our end is open.
 */
#ifndef KINGLET_DEVICES_CONSOLE_H
#define KINGLET_DEVICES_CONSOLE_H

#include "virtio/virtio.h"

enum {
	VIRTIO_CONSOLE_PORT = 0, /* the console */
	VIRTIO_CONSOLE_FIRST_STREAM = 2,
	VIRTIO_CONSOLE_MAX_STREAMS = 4,
	VIRTIO_CONSOLE_MAX_NAME = 32, /* bytes; the rest of a longer name is cut off */
};

/*
 * Called on the loop thread with the device's lock held, so they must not call any
 * virtio_console_*(): input_wanted() has the loop poll the terminal again, no more. `port` is the
 * console's number or a stream's.
 */
struct virtio_console_ops {
	/*
	 * The guest printed. `data` is guest RAM, valid during the call; the guest may change it.
	 * Returns how many bytes were taken; after less than all, virtio_console_output_ready() is
	 * owed, and the guest's buffer waits.
	 */
	size_t (*output)(void *owner, unsigned port, const uint8_t *data, size_t len);
	/* virtio_console_input() took less than it was given and may now take more. */
	void (*input_wanted)(void *owner, unsigned port);
	/* The guest set its exit status; may come several times. */
	void (*status)(void *owner, uint8_t status);
	/*
	 * After status(): the output() of every port has taken all that the guest wrote before. May
	 * be NULL.
	 */
	void (*drained)(void *owner);
};

struct virtio_console_options {
	const struct virtio_console_ops *ops; /* borrowed */
	void *owner;			      /* passed to ops */
	const char *const *streams;	      /* names, borrowed for the device's life */
	unsigned stream_count;		      /* at most VIRTIO_CONSOLE_MAX_STREAMS */
};

/*
 * For virtio_pci_add(); all its queues are for the local backend, which the caller binds. Logs on
 * failure. Machine's thread.
 */
__must_check int virtio_console_new(struct virtio_dev **out, const struct virtio_env *env,
				    unsigned instance, const struct virtio_console_options *options);

/*
 * Input for the console or a stream. Returns how many bytes the guest's buffers took: 0 while the
 * guest has not opened the port. The caller keeps the rest and waits for input_wanted(). Loop
 * thread, not locked.
 */
size_t virtio_console_input(struct virtio_dev *dev, unsigned port, const uint8_t *data, size_t len);

/* There is room for output again. Loop thread, not locked. */
void virtio_console_output_ready(struct virtio_dev *dev, unsigned port);

/*
 * Our end of a stream is closed, for good: the guest reads what it was sent, then the end of the
 * file; what it writes is dropped. Loop thread, not locked.
 */
void virtio_console_hang_up(struct virtio_dev *dev, unsigned port);

/* The terminal has this size now; 0 by 0: not known. Not locked. */
void virtio_console_resize(struct virtio_dev *dev, uint16_t cols, uint16_t rows);

#endif
