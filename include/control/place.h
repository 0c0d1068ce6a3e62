/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control sockets of machines are, for those who listen there and those who connect. */
#ifndef KINGLET_CONTROL_PLACE_H
#define KINGLET_CONTROL_PLACE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

enum { CONTROL_NAME_MAX = 64, CONTROL_PROTOCOL = 1 };

/* 1 to CONTROL_NAME_MAX letters, digits and -_. without a dot at the start. */
bool control_is_name(const char *name);

/*
 * $XDG_RUNTIME_DIR/kinglet, and the socket of this name in it. -ENXIO: the variable names no folder
 * by an absolute path; -ENAMETOOLONG: *path has what fits.
 */
__must_check int control_folder(char *path, size_t len);
__must_check int control_path(char *path, size_t len, const char *name);

#endif
