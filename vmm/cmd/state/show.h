/* SPDX-License-Identifier: Apache-2.0 */
/* A saved state for people and programs. Main thread; errors of the stream stay in it. */
#ifndef KINGLET_CMD_STATE_SHOW_H
#define KINGLET_CMD_STATE_SHOW_H

#include "core/state.h"

#include <stdio.h>

/*
 * One section, with the fields of its table; NULL: as bytes, in hexadecimal digits. Bytes that are all
 * printable are shown as text.
 */
void state_show_text(FILE *out, const struct state_view *view, const struct state_table *table);
/* The same as a JSON object, in one line; bytes always as hexadecimal digits. */
void state_show_json(FILE *out, const struct state_view *view, const struct state_table *table);

#endif
