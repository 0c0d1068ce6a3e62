/* SPDX-License-Identifier: Apache-2.0 */
/* Two states of one machine, perhaps of different versions, say the same. */
#ifndef KINGLET_TESTS_SAME_STATE_H
#define KINGLET_TESTS_SAME_STATE_H

/* A field whose value may be another one. */
struct moving_field {
	const char *table, *field; /* NULL ends a list */
};

/*
 * Compares the files: each section of the old one, in order, and of it each field that its version
 * of the table has. Fails the test where they differ.
 */
void same_state(const char *old_path, const char *new_path, const struct moving_field *moving);

#endif
