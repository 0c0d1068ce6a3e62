/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a migration, as text: "unix:PATH", "tcp:HOST:PORT", "exec:COMMAND", whose
 * standard input and output it is, or to wait for, "fd=N". Main thread. Both functions log.
 */
#ifndef KINGLET_HOST_ENDPOINT_H
#define KINGLET_HOST_ENDPOINT_H

#include "base/cleanup.h"

/*
 * Connects to it: a stream socket, which the caller owns; waits as long as the host does. -EINVAL:
 * it is none of these forms; -ENXIO: there is no such host; errno of socket(2), connect(2) and
 * posix_spawn(3).
 */
__must_check int endpoint_connect(const char *text);

/*
 * Waits for one that connects; a UNIX socket is made there for that, and removed then. Errors as
 * above, and -EADDRINUSE: there is a file, or another listener; -ENOTSOCK, -EBADF: fd=N is not an
 * inherited socket. fd=0 becomes another descriptor: standard input and output are /dev/null then.
 */
__must_check int endpoint_accept(const char *text);

#endif
