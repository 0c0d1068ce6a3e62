/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register block of arch/debug.h, as gdb finds its way in it: by the target description.
 */
#ifndef KINGLET_TESTS_DEBUG_BLOCK_H
#define KINGLET_TESTS_DEBUG_BLOCK_H

#include <stddef.h>

/* Where the register that the description calls so is in the block. Fails the test without one. */
size_t offset_of(const char *name);

/* A test: gdb adds up the sizes that it reads in the description, and gets the same places. */
void the_description_is_of_the_block(void **state);

#endif
