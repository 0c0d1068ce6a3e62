/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of objects under test: saved into a file without a name, changed, loaded.
 *
 *	saved = saved_take(x_state, x);
 *	…
 *	assert_int_equal(saved_load(&saved, x_state, fresh), 0);
 *	saved_free(&saved);
 *
 * Fails the test on errors that are not the state's.
 */
#ifndef KINGLET_TESTS_SAVED_H
#define KINGLET_TESTS_SAVED_H

#include "core/state.h"
#include "virtio/virtio.h"

/* x_state() of a part, with its object. */
typedef int saved_fn(void *object, struct state *state);

struct saved {
	uint8_t *data; /* a state file */
	size_t len;
};

struct saved saved_take(saved_fn *fn, void *object);
void saved_free(struct saved *saved);

/* All of it. Returns what was wrong, as fn does or state_end(). */
__must_check int saved_load(const struct saved *saved, saved_fn *fn, void *object);
/* It is refused, with a line that says `why`. */
void saved_refused(const struct saved *saved, saved_fn *fn, void *object, const char *why);
/* What the object would save now is this. */
void saved_expect_same(const struct saved *saved, saved_fn *fn, void *object);
/* What is saved of one object is loaded into another of the same kind, which then saves the same. */
void saved_move(saved_fn *fn, void *object, void *other);

/*
 * The payload of the section that is a `table` with this name, to be changed; the checksum follows
 * in saved_load(). Fields are as the table has them, without gaps.
 */
uint8_t *saved_section(struct saved *saved, const char *table, const char *name, size_t *len);
/* The place of the nth payload byte of all sections; NULL: there are not as many. */
uint8_t *saved_byte(struct saved *saved, size_t n);

/* --- A virtio device without a transport: core, queues and model; frozen ----------------------- */

void device_save(struct saved *saved, struct virtio_dev *dev);
/* 0, or -EBADMSG. */
__must_check int device_load(const struct saved *saved, struct virtio_dev *dev);
/* After the thaw: model->restored. */
void device_restored(struct virtio_dev *dev);
/* As saved_expect_same() and saved_refused(). */
void device_expect_same(const struct saved *saved, struct virtio_dev *dev);
void device_expect_refused(const struct saved *saved, struct virtio_dev *dev, const char *why);
/* Sets an element of a field in the only section of this table. */
void device_set(struct saved *saved, const struct virtio_dev *dev, const struct state_table *table,
		const char *field, unsigned index, uint64_t value);

#endif
