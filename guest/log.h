/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this program has to say: lines in the kernel's log, at a level that a quiet console shows.
 */
#ifndef KINGLET_GUEST_LOG_H
#define KINGLET_GUEST_LOG_H

/* "what: name: error"; name may be NULL, error 0. */
void complain(const char *what, const char *name, int error);
/* And ends: the guest panics. */
void give_up(const char *what, const char *name, int error);

#endif
