/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAYLOAD_MEMORY_H
#define PAYLOAD_MEMORY_H

#include "guest.h"

/*
 * Identity-maps the 2 MiB around a device's address above 4 GiB; lower addresses are always mapped.
 * Call it once.
 */
void map_device(uint64_t address);

#endif
