/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of devices, which are short shell scripts here. The loop is turned by hand. */
#include "host/child.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct fixture {
	struct child child;
	struct loop loop;
	int wire, theirs;
	char why[240], how[240];
	unsigned ends;
};

static void ended(struct child *child, const char *how)
{
	struct fixture *f = container_of(child, struct fixture, child);

	snprintf(f->how, sizeof(f->how), "%s", how);
	f->ends++;
}

static int setup(void **state)
{
	static struct fixture f;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f = (struct fixture){ .child.ended = ended, .wire = fds[0], .theirs = fds[1] };
	assert_int_equal(loop_init(&f.loop), 0);
	*state = &f;
	return 0;
}

/* After each test there is neither a child nor a zombie. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	child_stop(&f->child);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	loop_destroy(&f->loop);
	close_fd(&f->wire);
	close_fd(&f->theirs);
	return 0;
}

static int start(struct fixture *f, const char *script, unsigned seconds)
{
	int ret = child_start(&f->child, (const char *[]){ "sh", "-c", script, NULL }, f->theirs,
			      seconds, f->why, sizeof(f->why));

	close_fd(&f->theirs);
	return ret;
}

static void turn(struct fixture *f)
{
	struct epoll_event event;
	struct loop_event *to;

	assert_int_equal(epoll_wait(f->loop.epoll_fd, &event, 1, 10000), 1);
	to = event.data.ptr;
	to->fn(to, event.events);
}

static void turn_until_it_ends(struct fixture *f)
{
	assert_int_equal(child_watch(&f->child, &f->loop), 0);
	while (!f->ends)
		turn(f);
}

static void it_has_a_session_and_its_descriptors(void **state)
{
	struct fixture *f = *state;
	char text[8];

	assert_int_equal(start(f, "echo ready; read line <&3; echo $line >&3; exec sleep 100", 10),
			 0);
	assert_int_equal(getsid(f->child.pid), f->child.pid);
	assert_int_equal(write(f->wire, "hello\n", 6), 6);
	assert_int_equal(read(f->wire, text, sizeof(text)), 6);
	assert_memory_equal(text, "hello\n", 6);
}

static void one_that_does_not_become_ready_says_why(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "echo one >&2; printf 'no \\033 port\\n\\n' >&2; exit 3", 10), -EIO);
	assert_string_equal(f->why, "exit status 3: no \xef\xbf\xbd port");
	assert_int_equal(f->child.pid, 0);
}

static void one_that_is_not_there_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(child_start(&f->child, (const char *[]){ "/nonexistent", NULL }, -1, 1,
				     f->why, sizeof(f->why)),
			 -ENOENT);
}

static void one_that_says_nothing_is_waited_for_no_longer(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "exec sleep 100", 1), -ETIMEDOUT);
	assert_int_equal(f->child.pid, 0);
}

static void its_end_is_told_with_its_last_line(void **state)
{
	struct fixture *f = *state;

	/* More than a pipe holds: somebody reads it. */
	assert_int_equal(start(f, "echo r; read l <&3; seq 30000 >&2; exit 7", 10), 0);
	assert_int_equal(write(f->wire, "\n", 1), 1);
	turn_until_it_ends(f);
	assert_string_equal(f->how, "exit status 7: 30000");
	child_stop(&f->child);
	assert_int_equal(f->ends, 1);
}

static void a_signal_that_killed_it_is_named(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "echo r; exec sleep 100", 10), 0);
	assert_int_equal(kill(f->child.pid, SIGSEGV), 0);
	turn_until_it_ends(f);
	assert_string_equal(f->how, "killed by SIGSEGV");
}

static void one_that_has_closed_its_errors_lives_on(void **state)
{
	struct fixture *f = *state;
	struct epoll_event event;

	assert_int_equal(start(f, "exec 2>&-; echo r; read l <&3; exit 0", 10), 0);
	assert_int_equal(child_watch(&f->child, &f->loop), 0);
	turn(f);
	/* Its loop does not spin. */
	assert_int_equal(epoll_wait(f->loop.epoll_fd, &event, 1, 0), 0);
	assert_int_equal(write(f->wire, "\n", 1), 1);
	turn(f);
	assert_string_equal(f->how, "exit status 0");
}

/* It ignores all signals that it can, and has a child of its own with its standard error. */
static void the_stop_needs_no_consent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "trap '' HUP INT TERM; (exec 3>&-; exec sleep 1) & echo r; "
				  "while :; do sleep 100; done", 10), 0);
	child_stop(&f->child);
	assert_int_equal(f->ends, 0);
}

static void one_that_says_nothing_need_not_be_waited_for(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "read l <&3; echo bye >&2; exit 4", 0), 0);
	assert_int_equal(write(f->wire, "\n", 1), 1);
	turn_until_it_ends(f);
	assert_string_equal(f->how, "exit status 4: bye");
}

static void one_that_has_lost_its_socket_may_end_by_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "cat <&3; echo bye >&2; exit 4", 0), 0);
	close_fd(&f->wire);
	child_let_end(&f->child, f->how, sizeof(f->how));
	assert_string_equal(f->how, "exit status 4: bye");
	child_let_end(&f->child, f->how, sizeof(f->how));
	assert_string_equal(f->how, "");
}

static void one_that_does_not_end_by_itself_is_killed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "exec sleep 100", 0), 0);
	child_let_end(&f->child, f->how, sizeof(f->how));
	assert_string_equal(f->how, "killed by SIGKILL");
}

static void a_program_is_found_in_path(void **state)
{
	char path[100], before[1000];

	(void)state;
	snprintf(before, sizeof(before), "%s", getenv("PATH"));
	setenv("PATH", "/nonexistent:/bin::", 1);
	assert_int_equal(child_find("", "sh", path, sizeof(path)), 0);
	assert_string_equal(path, "/bin/sh");
	assert_int_equal(child_find("", "no-such-program", path, sizeof(path)), -ENOENT);
	assert_int_equal(child_find("", "sh", path, 5), -ENOENT);
	unsetenv("PATH");
	assert_int_equal(child_find("", "sh", path, sizeof(path)), -ENOENT);
	setenv("PATH", before, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_has_a_session_and_its_descriptors),
		TEST(one_that_does_not_become_ready_says_why),
		TEST(one_that_is_not_there_is_an_error),
		TEST(one_that_says_nothing_is_waited_for_no_longer),
		TEST(its_end_is_told_with_its_last_line),
		TEST(a_signal_that_killed_it_is_named),
		TEST(one_that_has_closed_its_errors_lives_on),
		TEST(the_stop_needs_no_consent),
		TEST(one_that_says_nothing_need_not_be_waited_for),
		TEST(one_that_has_lost_its_socket_may_end_by_itself),
		TEST(one_that_does_not_end_by_itself_is_killed),
		TEST(a_program_is_found_in_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
