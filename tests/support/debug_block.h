/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register block of arch/debug.h, as gdb interprets it: by the target description.
 */
#ifndef KINGLET_TESTS_DEBUG_BLOCK_H
#define KINGLET_TESTS_DEBUG_BLOCK_H

#include <stddef.h>

/* The offset of the register with this name. Fails the test if there is none. */
size_t offset_of(const char *name);

/* A test: the sizes in the description add up to the same offsets. */
void the_description_is_of_the_block(void **state);

#endif
