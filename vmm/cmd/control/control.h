/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kinglet list`, `info` and `stats` print. Main thread; errors of the stream stay in it.
 */
#ifndef KINGLET_CMD_CONTROL_CONTROL_H
#define KINGLET_CMD_CONTROL_CONTROL_H

#include "base/cleanup.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* Text for people, without anything that a terminal would obey, and blanks up to `width`. */
void control_print_text(FILE *out, const char *text, unsigned width);

/* The same for a value, of which NULL becomes "-"; one called memory is one of bytes. */
void control_print_value(FILE *out, const cJSON *value, unsigned width);

/*
 * An answer, member by member, whatever its members are: what a later Kinglet adds is shown, too.
 */
void control_print_answer(FILE *out, const cJSON *answer);

/*
 * The machines that answer on the sockets of this user, one a line, or a JSON array of what info
 * answers; each is waited for at most `patience_ms`. 0, -ENOMEM, or a negative errno of
 * control_folder() or scandir(3).
 */
__must_check int control_print_list(FILE *out, bool json, unsigned patience_ms);

struct control_client;

/*
 * The client's console has been asked for: shows it on the terminal until Ctrl-A x, the end of the
 * machine, or a signal, which stays blocked. The exit status; logs on failure.
 */
int control_view_console(struct control_client *client);

#endif
