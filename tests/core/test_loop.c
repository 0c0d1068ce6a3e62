/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loop.h"
#include "unit.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct source {
	struct loop_event event;
	struct loop *loop;
	unsigned seen;
};

static void seen(struct loop_event *event, uint32_t events)
{
	struct source *s = container_of(event, struct source, event);

	assert_true(events & EPOLLIN);
	eventfd_drain(event->fd);
	s->seen++;
	loop_stop(s->loop);
}

static struct source source(struct loop *loop)
{
	return (struct source){
		.event = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = seen },
		.loop = loop,
	};
}

static void test_event_reaches_its_callback(void **state)
{
	struct loop loop;
	struct source s;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	s = source(&loop);
	assert_int_equal(loop_add(&loop, &s.event, EPOLLIN), 0);
	assert_int_equal(loop_add(&loop, &s.event, EPOLLIN), -EEXIST);
	eventfd_signal(s.event.fd);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(s.seen, 1);
	loop_remove(&loop, &s.event);
	loop_remove(&loop, &s.event);
	close_fd(&s.event.fd);
	loop_destroy(&loop);
}

static void test_modified_to_nothing_is_silent(void **state)
{
	struct loop loop;
	struct source s;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	s = source(&loop);
	assert_int_equal(loop_add(&loop, &s.event, EPOLLIN), 0);
	assert_int_equal(loop_modify(&loop, &s.event, 0), 0);
	eventfd_signal(s.event.fd);
	loop_stop(&loop);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(s.seen, 0);
	close_fd(&s.event.fd);
	loop_destroy(&loop);
}

static void test_events_at_hand_are_served_before_a_stop(void **state)
{
	struct loop loop;
	struct source s;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	s = source(&loop);
	assert_int_equal(loop_add(&loop, &s.event, EPOLLIN), 0);
	loop_stop(&loop);
	eventfd_signal(s.event.fd);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(s.seen, 1);
	close_fd(&s.event.fd);
	loop_destroy(&loop);
}

static void *stop_from_elsewhere(void *loop)
{
	loop_stop(loop);
	return NULL;
}

static void test_stop_from_another_thread(void **state)
{
	struct loop loop;
	pthread_t thread;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	pthread_create(&thread, NULL, stop_from_elsewhere, &loop);
	assert_int_equal(loop_run(&loop), 0);
	pthread_join(thread, NULL);
	loop_destroy(&loop);
}

struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	unsigned fired;
};

static void fired(struct loop_timer *timer)
{
	struct alarm *a = container_of(timer, struct alarm, timer);

	a->fired++;
	loop_stop(a->loop);
}

static void test_timer_fires_once_and_disarms(void **state)
{
	struct loop loop;
	struct alarm first = { .timer.fn = fired, .loop = &loop };
	struct alarm never = { .timer.fn = fired, .loop = &loop };

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(loop_timer_add(&loop, &first.timer), 0);
	assert_int_equal(loop_timer_add(&loop, &never.timer), 0);
	loop_timer_set(&never.timer, 1);
	loop_timer_set(&never.timer, 0);
	loop_timer_set(&first.timer, 1000);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(first.fired, 1);
	assert_int_equal(never.fired, 0);
	loop_timer_remove(&loop, &first.timer);
	loop_timer_remove(&loop, &first.timer);
	loop_timer_remove(&loop, &never.timer);
	loop_destroy(&loop);
}

struct bell {
	struct loop_event event;
	struct loop *loop;
	unsigned rung;
};

static void rung(struct loop_event *event, uint32_t events)
{
	struct bell *bell = container_of(event, struct bell, event);

	(void)events;
	bell->rung += (unsigned)eventfd_drain(event->fd);
	loop_stop(bell->loop);
}

static void test_eventfd_in_the_loop_is_owned_and_removed(void **state)
{
	struct loop loop, none = { .epoll_fd = -1 };
	struct bell bell = { .event.fn = rung, .loop = &loop };

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(loop_eventfd_add(&loop, &bell.event), 0);
	eventfd_signal(bell.event.fd);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(bell.rung, 1);
	loop_eventfd_remove(&loop, &bell.event);
	assert_int_equal(bell.event.fd, -1);
	loop_eventfd_remove(&loop, &bell.event);
	loop_destroy(&loop);
	/* Nothing is left open when it cannot be added. */
	assert_int_equal(loop_eventfd_add(&none, &bell.event), -EBADF);
	assert_int_equal(bell.event.fd, -1);
}

static void test_eventfd_helpers(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_int_equal(eventfd_drain(fd), 0);
	eventfd_signal(fd);
	eventfd_signal(fd);
	assert_int_equal(eventfd_drain(fd), 2);
	assert_int_equal(eventfd_drain(fd), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_reaches_its_callback),
		cmocka_unit_test(test_modified_to_nothing_is_silent),
		cmocka_unit_test(test_events_at_hand_are_served_before_a_stop),
		cmocka_unit_test(test_stop_from_another_thread),
		cmocka_unit_test(test_timer_fires_once_and_disarms),
		cmocka_unit_test(test_eventfd_in_the_loop_is_owned_and_removed),
		cmocka_unit_test(test_eventfd_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
