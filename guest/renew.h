/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest that goes on from a snapshot must not share with others that do.
 */
#ifndef KINGLET_GUEST_RENEW_H
#define KINGLET_GUEST_RENEW_H

/*
 * By Kinglet's answer on the port kinglet.snapshot, a line without its end: after "restored SECONDS
 * NANOSECONDS HEX" sets the time of day, and gives the bytes to the kernel, whose random numbers
 * depend on them from now on. Gives up on failure: then Kinglet boots a guest instead.
 */
void renew(const char *answer);

#endif
