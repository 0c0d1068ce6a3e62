/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of taps share: tap.c (queues), tap_interface.c (the interface they belong to). */
#ifndef KINGLET_DEVICES_HOST_TAP_INTERNAL_H
#define KINGLET_DEVICES_HOST_TAP_INTERNAL_H

#include "host/tap.h"

/*
 * Fills in optional facts about the interface if it is in this process's network namespace: ifindex
 * and mtu; warns when it is down. `inherited`: it may be in another. Fails silently.
 */
void tap_find_interface(struct tap *tap, bool inherited);

/* Whether this namespace has an interface of this name; true if unknown. */
bool tap_interface_exists(struct sys *sys, const char *name);

#endif
