/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of one object, in a file in memory. Fails the test on errors.
 */
#ifndef KINGLET_TESTS_SAVED_FILE_H
#define KINGLET_TESTS_SAVED_FILE_H

#include "core/state.h"

/* An object's x_state(). */
typedef int saved_fn(void *object, struct state *state);

/* The file; the caller closes it. */
int saved_file_of(saved_fn *fn, void *object);
/* Loads all of it: 0, or -EBADMSG. */
int saved_file_load(int fd, saved_fn *fn, void *object);
/* Loading is refused, with one line that has `part` in it. */
void saved_file_refused(int fd, saved_fn *fn, void *object, const char *part);
bool saved_file_equal(int a, int b);

/*
 * What is saved of `object` is loaded into `other`, one of the same configuration: this one then
 * saves the same.
 */
void saved_file_move(saved_fn *fn, void *object, void *other);

#endif
