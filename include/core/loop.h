/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: epoll over fds and timers, run by one thread.
 *
 * Callbacks run on the loop thread without any lock held; they take their device's lock. Adding,
 * changing and removing is allowed from any thread. A callback may still run once after another
 * thread has removed its event, so event structs must live until loop_run() has returned, and a
 * callback must check its device's state under the device's lock.
 */
#ifndef KINGLET_CORE_LOOP_H
#define KINGLET_CORE_LOOP_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_event {
	int fd; /* borrowed */
	/* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP … (epoll_ctl(2)), level triggered */
	void (*fn)(struct loop_event *event, uint32_t events);
};

struct loop {
	int epoll_fd; /* owned */
	int stop_fd;  /* eventfd, owned */
};

struct loop_timer {
	struct loop_event event; /* event.fd: timerfd, owned */
	void (*fn)(struct loop_timer *timer);
};

__must_check int loop_init(struct loop *loop);
void loop_destroy(struct loop *loop);

/* events: EPOLLIN and so on. -EEXIST when the fd is in the loop already; others of epoll_ctl(2). */
__must_check int loop_add(struct loop *loop, struct loop_event *event, uint32_t events);
/* 0 events: keeps the fd but reports only errors. */
__must_check int loop_modify(struct loop *loop, struct loop_event *event, uint32_t events);
/* Does nothing if it is not in the loop. Does not close the fd. */
void loop_remove(struct loop *loop, struct loop_event *event);

/*
 * A timer that fires once, `ns` nanoseconds after loop_timer_set(), which cannot fail; 0 disarms.
 * Set timer->fn first. A timer that is not in the loop is not armed.
 */
__must_check int loop_timer_add(struct loop *loop, struct loop_timer *timer);
void loop_timer_set(struct loop_timer *timer, uint64_t ns);
/* Removes it and closes its timerfd. Idempotent. */
void loop_timer_remove(struct loop *loop, struct loop_timer *timer);

/*
 * An event for other threads: event->fd becomes an eventfd that is in the loop, for
 * eventfd_signal(). Set event->fn first, which begins with eventfd_drain(). On failure the fd is -1.
 */
__must_check int loop_eventfd_add(struct loop *loop, struct loop_event *event);
/* Removes it and closes its eventfd. Idempotent; does nothing when the fd is -1. */
void loop_eventfd_remove(struct loop *loop, struct loop_event *event);

/* Serves events until loop_stop(). 0, or the negative errno of epoll_wait(2). */
__must_check int loop_run(struct loop *loop);

/*
 * Makes loop_run() return after the current events are served; stays set. Any thread,
 * async-signal-safe.
 */
void loop_stop(struct loop *loop);

/* Reads an eventfd's count and clears it; 0 when it was not signalled. The fd is non-blocking. */
uint64_t eventfd_drain(int fd);
/* Adds one to an eventfd. Any thread; cannot block or fail. */
void eventfd_signal(int fd);

#endif
