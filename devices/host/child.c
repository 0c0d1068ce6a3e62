/* SPDX-License-Identifier: Apache-2.0 */
#include "host/child.h"

#include "base/text.h"
#include "base/utf8.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

enum { END_MS = 500 }; /* for an end by itself */

static int set_attributes(posix_spawnattr_t *attributes, bool session)
{
	sigset_t none, ignored;
	int ret;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	sigaddset(&ignored, SIGXFSZ);
	ret = posix_spawnattr_setsigmask(attributes, &none);
	if (!ret)
		ret = posix_spawnattr_setsigdefault(attributes, &ignored);
	if (!ret)
		ret = posix_spawnattr_setflags(attributes,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						       (session ? POSIX_SPAWN_SETSID : 0));
	return ret;
}

int child_spawn(pid_t *pid, const char *const argv[], const int fds[CHILD_FDS], bool session)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int ret = posix_spawn_file_actions_init(&actions);

	if (ret)
		return -ret;
	posix_spawnattr_init(&attributes);
	ret = set_attributes(&attributes, session);
	for (int n = 0; n < CHILD_FDS && !ret; n++)
		if (fds[n] >= 0)
			ret = posix_spawn_file_actions_adddup2(&actions, fds[n], n);
	/* It does not write to the strings. */
	if (!ret)
		ret = posix_spawnp(pid, argv[0], &actions, &attributes,
				   (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

static bool is_runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* Looks into each folder of a list with colons. */
static int find_in(const char *root, const char *folders, const char *program, char *path,
		   size_t len)
{
	for (size_t n; folders && *folders; folders += n + (folders[n] == ':')) {
		n = strcspn(folders, ":");
		if (snprintf(path, len, "%s%.*s/%s", root, (int)n, folders, program) < (int)len &&
		    n && is_runnable(path))
			return 0;
	}
	return -ENOENT;
}

int child_find(const char *root, const char *program, char *path, size_t len)
{
	int ret = find_in(root, getenv("PATH"), program, path, len);

	return ret ? find_in(root, "/usr/libexec:/usr/lib/qemu", program, path, len) : 0;
}

/* --- What it says ----------------------------------------------------------------------------- */

/* Reads what there is, at most one buffer. False: there is no more. */
static bool hear(struct child *child)
{
	char text[512];
	ssize_t len = read(child->text.fd, text, sizeof(text));

	for (ssize_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			child->line_ended = true;
			continue;
		}
		if (child->line_ended)
			child->line_len = 0;
		child->line_ended = false;
		if (child->line_len < sizeof(child->line))
			child->line[child->line_len++] = text[i];
	}
	return len > 0 || (len < 0 && errno != EAGAIN);
}

/* Waits for its end, which has come or is about to, and says how it was. */
static void reap(struct child *child, char *how, size_t len)
{
	char line[sizeof(child->line) + 1];
	struct text text = text_of(how, len);
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
	if (WIFSIGNALED(status))
		text_add(&text, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		text_add(&text, "exit status %d", WEXITSTATUS(status));
	/* One pipe full at most. */
	for (unsigned i = 0; i < 128 && hear(child); i++)
		;
	utf8_clean(line, sizeof(line), child->line, child->line_len);
	/* What it said before a signal is not why it ended. */
	if (*line && !WIFSIGNALED(status))
		text_add(&text, ": %s", line);
}

static void forget(struct child *child)
{
	if (child->loop) {
		loop_remove(child->loop, &child->end);
		loop_remove(child->loop, &child->text);
	}
	child->loop = NULL;
	close_fd(&child->end.fd);
	close_fd(&child->text.fd);
}

static void text_came(struct loop_event *event, uint32_t events)
{
	struct child *child = container_of(event, struct child, text);

	/* Its end of the pipe is closed: nothing more is to come. */
	if (!hear(child) && events & EPOLLHUP)
		loop_remove(child->loop, event);
}

static void end_came(struct loop_event *event, uint32_t events)
{
	struct child *child = container_of(event, struct child, end);
	char how[240];

	(void)events;
	if (!child->pid)
		return;
	reap(child, how, sizeof(how));
	forget(child);
	child->ended(child, how);
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Starts it; *ready is the reading end of its standard output. */
static int start(struct child *child, const char *const argv[], int fd, int *ready)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int ret = 0;

	if (null < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
	    fcntl(err[0], F_SETFL, O_NONBLOCK) || fchmod(out[1], 0222))
		ret = -errno;
	if (!ret)
		ret = child_spawn(&child->pid, argv, (int[]){ null, out[1], err[1], fd }, true);
	close_fd(&out[1]);
	close_fd(&err[1]);
	if (ret) {
		child->pid = 0;
		close_fd(&out[0]);
		close_fd(&err[0]);
		return ret;
	}
	*ready = out[0];
	child->text = (struct loop_event){ .fd = err[0], .fn = text_came };
	child->end = (struct loop_event){ .fd = pidfd_open(child->pid, 0), .fn = end_came };
	return child->end.fd < 0 ? -errno : 0;
}

static int wait_for_it(struct child *child, int ready, unsigned seconds, char *why, size_t len)
{
	struct pollfd poll_ready = { .fd = ready, .events = POLLIN };
	int ret = poll(&poll_ready, 1, (int)seconds * 1000);
	char text[32];

	if (ret <= 0)
		return ret ? -errno : -ETIMEDOUT;
	if (read(ready, text, sizeof(text)) > 0)
		return 0;
	/* It is about to end, or still runs without its standard output. */
	kill(child->pid, SIGKILL);
	reap(child, why, len);
	return -EIO;
}

int child_start(struct child *child, const char *const argv[], int fd, unsigned seconds, char *why,
		size_t len)
{
	_cleanup_close_ int ready = -1;
	int ret;

	*why = '\0';
	child->end.fd = child->text.fd = -1;
	ret = start(child, argv, fd, &ready);
	if (!ret && seconds)
		ret = wait_for_it(child, ready, seconds, why, len);
	if (ret)
		child_stop(child);
	return ret;
}

int child_watch(struct child *child, struct loop *loop)
{
	int ret = loop_add(loop, &child->end, EPOLLIN);

	if (ret)
		return ret;
	child->loop = loop;
	return loop_add(loop, &child->text, EPOLLIN);
}

void child_stop(struct child *child)
{
	char how[240];

	if (child->pid) {
		kill(child->pid, SIGKILL);
		reap(child, how, sizeof(how));
	}
	forget(child);
}

void child_let_end(struct child *child, char *how, size_t len)
{
	struct pollfd end = { .fd = child->end.fd, .events = POLLIN };

	*how = '\0';
	if (child->pid) {
		poll(&end, 1, END_MS);
		kill(child->pid, SIGKILL);
		reap(child, how, len);
	}
	forget(child);
}
