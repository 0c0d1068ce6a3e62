/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of objects under test: saved into a file without a name, changed, loaded.
 *
 * Fails the test on errors that are not the state's.
 */
#ifndef KINGLET_TESTS_SAVED_H
#define KINGLET_TESTS_SAVED_H

#include "core/state.h"

/* x_state() of a part, with its object. */
typedef int saved_fn(void *object, struct state *state);

struct saved {
	uint8_t *data; /* a state file */
	size_t len;
};

struct saved saved_take(saved_fn *fn, void *object);
void saved_free(struct saved *saved);
bool saved_equal(const struct saved *a, const struct saved *b);

/* All of it. Returns what was wrong, as fn does or state_end(). */
__must_check int saved_load(const struct saved *saved, saved_fn *fn, void *object);

/*
 * The payload of the section that is a `table` with this name, to be changed; the checksum follows
 * in saved_load(). Fields are as the table has them, without gaps.
 */
uint8_t *saved_section(struct saved *saved, const char *table, const char *name, size_t *len);
/* The place of the nth payload byte of all sections; NULL: there are not as many. */
uint8_t *saved_byte(struct saved *saved, size_t n);

#endif
