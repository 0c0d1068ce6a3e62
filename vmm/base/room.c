/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

bool room_wait(int fd, unsigned ms)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };
	struct timespec patience = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	sigset_t all;

	sigfillset(&all);
	return ppoll(&out, 1, &patience, &all) > 0;
}
