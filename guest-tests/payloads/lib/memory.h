/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAYLOAD_MEMORY_H
#define PAYLOAD_MEMORY_H

#include "guest.h"

/*
 * Maps the 2 MiB around a device's address beyond 4 GiB onto itself; what lies below is mapped from
 * the start. Once.
 */
void map_device(uint64_t address);

#endif
