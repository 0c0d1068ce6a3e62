/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link watch: against the kernel, with the loopback interface of a separate network namespace;
 * and against a packet socket in place of the kernel.
 */
#include "fake_sys.h"
#include "host/link_watch.h"
#include "unit.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { INDEX = 1, NO_INDEX = 1000000, LOWER_UP = 1 << 16 /* IFF_LOWER_UP */ };

struct fixture {
	struct loop loop;
	struct link_watch watch;
	enum link_state told[64];
	unsigned count; /* of changes */
	int kernel;	/* the other end, when there is no kernel */
	unsigned fds;
};

static void changed(struct link_watch *watch)
{
	struct fixture *f = container_of(watch, struct fixture, watch);

	f->told[f->count++ % ARRAY_SIZE(f->told)] = watch->state;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->fds = fake_open_fds();
	assert_int_equal(loop_init(&f->loop), 0);
	f->watch.changed = changed;
	f->kernel = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	link_watch_stop(&f->watch);
	link_watch_stop(&f->watch);
	close_fd(&f->kernel);
	loop_destroy(&f->loop);
	assert_int_equal(fake_open_fds(), f->fds);
	test_free(f);
	return 0;
}

/* One turn of the loop; false when there is nothing to do. */
static bool turn(struct fixture *f)
{
	struct epoll_event event;
	int n = epoll_wait(f->loop.epoll_fd, &event, 1, 0);
	struct loop_event *ours = event.data.ptr;

	if (n < 1)
		return false;
	ours->fn(ours, event.events);
	return true;
}

static void dispatch(struct fixture *f)
{
	while (turn(f))
		;
}

/* --- The kernel --- */

static void set_loopback(bool up)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0 };

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
}

/* Once for all tests: a network where nothing happens by itself. */
static int own_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		print_message("no network namespace of our own here: %s\n", strerror(errno));
	else
		set_loopback(false);
	return 0;
}

static bool has_own_namespace(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo" };

	return !ioctl(fd, SIOCGIFFLAGS, &ifr) && !(ifr.ifr_flags & IFF_UP);
}

static void test_kernel_tells(void **state)
{
	struct fixture *f = *state;

	if (!has_own_namespace())
		skip();
	set_loopback(true);
	assert_int_equal(link_watch_start(&f->watch, &f->loop, INDEX), 0);
	assert_int_equal(f->watch.state, LINK_UP);
	assert_false(turn(f));
	for (unsigned i = 0; i < 10; i++)
		set_loopback(i % 2);
	set_loopback(false);
	dispatch(f);
	assert_int_equal(f->count, 11);
	for (unsigned i = 0; i < f->count; i++)
		assert_int_equal(f->told[i], i % 2 ? LINK_UP : LINK_DOWN);
	link_watch_stop(&f->watch);

	f->count = 0;
	assert_int_equal(link_watch_start(&f->watch, &f->loop, INDEX), 0);
	assert_int_equal(f->watch.state, LINK_DOWN);
	assert_int_equal(f->count, 0);
}

static void test_interface_that_is_not_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(link_watch_start(&f->watch, &f->loop, NO_INDEX), 0);
	assert_int_equal(f->watch.state, LINK_GONE);
	assert_int_equal(f->watch.event.fd, -1);
	assert_int_equal(f->count, 0);
}

/* More messages than fit into the socket: the state is queried. */
static void test_lost_messages(void **state)
{
	struct fixture *f = *state;
	int small = 1;

	if (!has_own_namespace())
		skip();
	assert_int_equal(link_watch_start(&f->watch, &f->loop, INDEX), 0);
	assert_int_equal(f->watch.state, LINK_DOWN);
	assert_int_equal(setsockopt(f->watch.event.fd, SOL_SOCKET, SO_RCVBUF, &small,
				    sizeof(small)), 0);
	/* One of them differs from the last message in the socket. */
	for (int last = LINK_UP; last >= LINK_DOWN; last--) {
		f->count = 0;
		for (unsigned i = 0; i < 200; i++)
			set_loopback(!(i % 2));
		set_loopback(last == LINK_UP);
		dispatch(f);
		assert_int_equal(f->watch.state, last);
		assert_in_range(f->count, 0, 100);
		assert_false(f->watch.stale);
		set_loopback(false);
		dispatch(f);
		assert_int_equal(f->watch.state, LINK_DOWN);
	}
}

struct news {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char more[600]; /* attributes */
};

static struct news news_of(uint16_t type, int index, unsigned flags)
{
	return (struct news){
		.header = { .nlmsg_len = sizeof(struct news), .nlmsg_type = type },
		.link = { .ifi_index = index, .ifi_flags = flags },
	};
}

/* Messages from other senders are ignored; other interfaces do not even wake us. */
static void test_messages_of_others(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_nl to;
	socklen_t len = sizeof(to);
	struct news news = news_of(RTM_NEWLINK, NO_INDEX, LOWER_UP);
	int liar;

	if (!has_own_namespace())
		skip();
	liar = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	assert_int_equal(link_watch_start(&f->watch, &f->loop, INDEX), 0);
	assert_int_equal(f->watch.state, LINK_DOWN);
	assert_int_equal(getsockname(f->watch.event.fd, (struct sockaddr *)&to, &len), 0);
	to.nl_groups = 0;
	assert_int_equal(sendto(liar, &news, sizeof(news), 0, (struct sockaddr *)&to, len),
			 sizeof(news));
	assert_false(turn(f));
	news.link.ifi_index = INDEX;
	assert_int_equal(sendto(liar, &news, sizeof(news), 0, (struct sockaddr *)&to, len),
			 sizeof(news));
	close_fd(&liar);
	assert_true(turn(f));
	assert_int_equal(f->watch.state, LINK_DOWN);
	assert_int_equal(f->count, 0);
}

/* --- No kernel --- */

/* From here on messages come from f->kernel. */
static void start_without_kernel(struct fixture *f)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	f->kernel = fds[1];
	assert_int_equal(link_watch_start(&f->watch, &f->loop, INDEX), 0);
	f->watch.state = LINK_UP;
	loop_remove(&f->loop, &f->watch.event);
	close_fd(&f->watch.event.fd);
	f->watch.event.fd = fds[0];
	assert_int_equal(loop_add(&f->loop, &f->watch.event, EPOLLIN), 0);
}

static void tell_cut(struct fixture *f, struct news news, size_t len)
{
	assert_int_equal(send(f->kernel, &news, len, 0), len);
	dispatch(f);
}

static void tell(struct fixture *f, struct news news)
{
	tell_cut(f, news, sizeof(news));
}

static void test_what_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct news port = news_of(RTM_DELLINK, INDEX, 0);

	start_without_kernel(f);
	tell(f, news_of(RTM_NEWLINK, INDEX + 1, 0));
	tell(f, news_of(RTM_NEWADDR, INDEX, 0));
	/* A bridge lost a port. */
	port.link.ifi_family = AF_BRIDGE;
	tell(f, port);
	/* Cut short. */
	for (size_t len = 1; len < offsetof(struct news, more); len++)
		tell_cut(f, news_of(RTM_NEWLINK, INDEX, 0), len);
	assert_int_equal(f->count, 0);
	tell_cut(f, news_of(RTM_NEWLINK, INDEX, 0), offsetof(struct news, more));
	assert_int_equal(f->count, 1);
	assert_int_equal(f->watch.state, LINK_DOWN);
	/* Up, but without the cable. */
	tell(f, news_of(RTM_NEWLINK, INDEX, IFF_UP | IFF_RUNNING));
	assert_int_equal(f->count, 1);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = { .header = { .nlmsg_len = sizeof(answer), .nlmsg_type = NLMSG_ERROR },
		     .error.error = -ENOBUFS };

	start_without_kernel(f);
	assert_int_equal(send(f->kernel, &answer, sizeof(answer), 0), sizeof(answer));
	dispatch(f);
	assert_int_equal(f->count, 0);
	answer.error.error = -ENODEV;
	assert_int_equal(send(f->kernel, &answer, sizeof(answer.header), 0), sizeof(answer.header));
	dispatch(f);
	assert_int_equal(f->count, 0);
	assert_int_equal(send(f->kernel, &answer, sizeof(answer), 0), sizeof(answer));
	dispatch(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->watch.state, LINK_GONE);
}

/* Another interface may get the number: messages about it are ignored. */
static void test_gone_stays_gone(void **state)
{
	struct fixture *f = *state;

	start_without_kernel(f);
	tell(f, news_of(RTM_DELLINK, INDEX, 0));
	assert_int_equal(f->watch.state, LINK_GONE);
	assert_int_equal(f->watch.event.fd, -1);
	assert_int_equal(send(f->kernel, "", 1, MSG_NOSIGNAL), -1);
	assert_false(turn(f));
	assert_int_equal(f->count, 1);
}

static void test_flapping_takes_turns(void **state)
{
	struct fixture *f = *state;
	unsigned turns = 0;

	start_without_kernel(f);
	for (unsigned i = 0; i < 70; i++) {
		struct news news = news_of(RTM_NEWLINK, INDEX, i % 2 ? LOWER_UP : 0);

		assert_int_equal(send(f->kernel, &news, sizeof(news), 0), sizeof(news));
	}
	while (turn(f))
		turns++;
	assert_int_equal(turns, 3);
	assert_int_equal(f->count, 70);
}

static void test_failed_start_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct loop closed = { .epoll_fd = -1, .stop_fd = -1 };

	assert_int_equal(link_watch_start(&f->watch, &closed, INDEX), -EBADF);
	assert_int_equal(f->watch.event.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kernel_tells),
		TEST(test_interface_that_is_not_there),
		TEST(test_lost_messages),
		TEST(test_messages_of_others),
		TEST(test_what_says_nothing),
		TEST(test_errors),
		TEST(test_gone_stays_gone),
		TEST(test_flapping_takes_turns),
		TEST(test_failed_start_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, own_namespace, NULL);
}
