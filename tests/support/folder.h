/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the tests of one file, empty at first: $D in their scripts. */
#ifndef KINGLET_TESTS_FOLDER_H
#define KINGLET_TESTS_FOLDER_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

/* Runs the script, for what is to be in it. Its path is *state, until folder_remove(). */
static inline int folder_make(void **state, const char *name, const char *script)
{
	char *folder = test_malloc(64);

	snprintf(folder, 64, "/tmp/%s.XXXXXX", name);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(setenv("D", folder, 1), 0);
	assert_int_equal(system(script), 0);
	*state = folder;
	return 0;
}

static inline int folder_remove(void **state)
{
	assert_int_equal(system("rm -rf $D"), 0);
	test_free(*state);
	return 0;
}

#endif
