/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory without a C library.
 */
#ifndef KINGLET_GUEST_MEMORY_H
#define KINGLET_GUEST_MEMORY_H

#include <stddef.h>

/* Zeroed, and never freed; gives up when there is none. */
void *allocate(size_t len);

#endif
