/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows one network interface of the host: whether it carries frames, and whether it still exists
 * (rtnetlink(7)). A socket filter drops messages about other interfaces, so nothing else on the
 * host wakes the loop.
 */
#ifndef KINGLET_HOST_LINK_WATCH_H
#define KINGLET_HOST_LINK_WATCH_H

#include "core/loop.h"

enum link_state {
	LINK_DOWN, /* `ip link set down`, or without a carrier */
	LINK_UP,
	LINK_GONE, /* removed, or moved to another network namespace; final */
};

struct link_watch {
	/* The state has changed. Set before link_watch_start(). Loop thread. */
	void (*changed)(struct link_watch *watch);
	enum link_state state;
	unsigned ifindex;
	struct loop *loop;	 /* borrowed */
	struct loop_event event; /* its socket, owned; -1 when stopped */
	bool stale;		 /* messages were lost: the state must be queried */
};

/*
 * From this call on, `state` is that of interface `ifindex` in this process's network namespace.
 * `changed` is not called for the initial state. Errors of socket(2) and epoll_ctl(2). Machine's
 * thread.
 */
__must_check int link_watch_start(struct link_watch *watch, struct loop *loop, unsigned ifindex);

/* Idempotent; also after a start that failed. Loop thread, or when the loop does not run. */
void link_watch_stop(struct link_watch *watch);

#endif
