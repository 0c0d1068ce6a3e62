/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (virtio 1.2 §5.3), for the local backend.
 *
 * Port 0 is the console, hvc0 in Linux. Port 1 is named kinglet.status: with udev it is
 * /dev/virtio-ports/kinglet.status, else /dev/vportNp1 (see /sys/class/virtio-ports/…/name). A line
 * written there, or the text before it is closed, with a decimal number from 0 to 255 sets the
 * guest's exit status. When the guest's close(2) returns, the status has been reported.
 *
 * Streams are further ports with names set by their owner, numbered from
 * VIRTIO_CONSOLE_FIRST_STREAM: bytes in both directions, with back-pressure in both; each side can
 * close its end. When Linux shows a port's name, it already knows whether our end is open.
 */
#ifndef KINGLET_DEVICES_CONSOLE_H
#define KINGLET_DEVICES_CONSOLE_H

#include "virtio/virtio.h"

enum {
	VIRTIO_CONSOLE_PORT = 0, /* the console */
	VIRTIO_CONSOLE_FIRST_STREAM = 2,
	VIRTIO_CONSOLE_MAX_STREAMS = 6,
	VIRTIO_CONSOLE_MAX_NAME = 32, /* bytes; the rest of a longer name is cut off */
};

/*
 * Called on the loop thread with the device's lock held, so they must not call any
 * virtio_console_*(): input_wanted() only makes the loop poll the terminal again. `port` is the
 * console's number or a stream's.
 */
struct virtio_console_ops {
	/*
	 * The guest printed. `data` is guest RAM, valid during the call; the guest may change it.
	 * Returns how many bytes were taken; after a partial take, the owner must call
	 * virtio_console_output_ready() later, and the guest's buffer waits.
	 */
	size_t (*output)(void *owner, unsigned port, const uint8_t *data, size_t len);
	/* virtio_console_input() took only a part and may now take more. */
	void (*input_wanted)(void *owner, unsigned port);
	/* The guest set its exit status; may be called several times. */
	void (*status)(void *owner, uint8_t status);
	/*
	 * After status(): the output() of every port has taken everything that the guest wrote
	 * before. May be NULL.
	 */
	void (*drained)(void *owner);
};

extern const struct state_table *const virtio_console_state_tables[];

struct virtio_console_options {
	const struct virtio_console_ops *ops; /* borrowed */
	void *owner;			      /* passed to ops */
	const char *const *streams;	      /* names, borrowed for the device's life */
	unsigned stream_count;		      /* at most VIRTIO_CONSOLE_MAX_STREAMS */
	unsigned bulk;			      /* the port of a stream with long input, or 0 */
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
 * Closes our end of a stream permanently: the guest reads what was sent, then end of file; what it
 * writes is dropped. Loop thread, not locked.
 */
void virtio_console_hang_up(struct virtio_dev *dev, unsigned port);

/* Sets the terminal's size; 0 by 0: unknown. Not locked. */
void virtio_console_resize(struct virtio_dev *dev, uint16_t cols, uint16_t rows);

#endif
