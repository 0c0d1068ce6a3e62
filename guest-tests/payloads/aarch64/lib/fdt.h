/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAYLOAD_FDT_H
#define PAYLOAD_FDT_H

#include "guest.h"

/*
 * A property of a child of the root, such as "reg" of "memory@40000000" (the node may be named
 * without its address): its value, *len bytes; NULL when there is none. len may be NULL.
 */
const void *fdt_property(const void *fdt, const char *node, const char *name, uint32_t *len);

/* A big-endian number of two cells. */
uint64_t fdt_u64(const void *cells);

#endif
