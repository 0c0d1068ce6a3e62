/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loop.h"

#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

enum { LOOP_BATCH = 32 };

uint64_t eventfd_drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

void eventfd_signal(int fd)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full, so it is signalled. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

int loop_init(struct loop *loop)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.ptr = NULL };
	int ret;

	*loop = (struct loop){ .epoll_fd = -1, .stop_fd = -1 };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->stop_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &stop)) {
		ret = -errno;
		loop_destroy(loop);
		return ret;
	}
	return 0;
}

void loop_destroy(struct loop *loop)
{
	close_fd(&loop->stop_fd);
	close_fd(&loop->epoll_fd);
}

static int control(struct loop *loop, int op, struct loop_event *event, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = event };

	return epoll_ctl(loop->epoll_fd, op, event->fd, &ev) ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_event *event, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, event, events);
}

int loop_modify(struct loop *loop, struct loop_event *event, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, event, events);
}

void loop_remove(struct loop *loop, struct loop_event *event)
{
	/* ENOENT and EBADF both mean that it is not in the loop, which is fine. */
	if (event->fd >= 0)
		control(loop, EPOLL_CTL_DEL, event, 0);
}

static void timer_fired(struct loop_event *event, uint32_t events)
{
	struct loop_timer *timer = container_of(event, struct loop_timer, event);
	uint64_t expirations;

	(void)events;
	/* Nothing to read: it was re-armed or disarmed after epoll had reported it. */
	if (read(event->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
		timer->fn(timer);
}

int loop_timer_add(struct loop *loop, struct loop_timer *timer)
{
	int ret;

	timer->event.fn = timer_fired;
	timer->event.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->event.fd < 0)
		return -errno;
	ret = loop_add(loop, &timer->event, EPOLLIN);
	if (ret)
		close_fd(&timer->event.fd);
	return ret;
}

void loop_timer_set(struct loop_timer *timer, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(ns / 1000000000U),
			      .tv_nsec = (long)(ns % 1000000000U) },
	};

	timerfd_settime(timer->event.fd, 0, &spec, NULL);
}

void loop_timer_remove(struct loop *loop, struct loop_timer *timer)
{
	loop_remove(loop, &timer->event);
	close_fd(&timer->event.fd);
}

int loop_eventfd_add(struct loop *loop, struct loop_event *event)
{
	int ret;

	event->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event->fd < 0)
		return -errno;
	ret = loop_add(loop, event, EPOLLIN);
	if (ret)
		close_fd(&event->fd);
	return ret;
}

void loop_eventfd_remove(struct loop *loop, struct loop_event *event)
{
	loop_remove(loop, event);
	close_fd(&event->fd);
}

int loop_run(struct loop *loop)
{
	struct epoll_event batch[LOOP_BATCH];
	bool stopped = false;

	while (!stopped) {
		int n = epoll_wait(loop->epoll_fd, batch, LOOP_BATCH, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct loop_event *event = batch[i].data.ptr;

			if (event)
				event->fn(event, batch[i].events);
			else
				stopped = true;
		}
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	eventfd_signal(loop->stop_fd);
}
