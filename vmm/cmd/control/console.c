/* SPDX-License-Identifier: Apache-2.0 */
/* kinglet console: this terminal is another one of the machine's console. */
#include "client.h"
#include "control.h"

#include "base/log.h"
#include "base/signals.h"
#include "cmd/commands.h"
#include "core/loop.h"
#include "host/terminal.h"

#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

enum { SIGNAL_BASE = 128 };

struct viewer {
	struct loop loop;
	struct terminal terminal;
	struct loop_event machine; /* the connection; borrowed */
	struct loop_event signals; /* signalfd, owned */
	uint8_t shown[4096];	   /* from the machine, for the terminal */
	size_t shown_len;
	bool keys_wait; /* the connection takes none now */
	bool unwatched; /* the machine has closed it, while what came waits for the terminal */
	int status;
};

static void end(struct viewer *viewer, int status)
{
	viewer->status = status;
	loop_stop(&viewer->loop);
}

/* While the terminal does not take what has come, nothing more is read. */
static void watch_machine(struct viewer *viewer)
{
	uint32_t events = viewer->keys_wait ? EPOLLOUT : 0;
	int ret;

	if (!viewer->shown_len)
		events |= EPOLLIN;
	else if (viewer->unwatched)
		return;
	ret = viewer->unwatched ? loop_add(&viewer->loop, &viewer->machine, events) :
				  loop_modify(&viewer->loop, &viewer->machine, events);
	viewer->unwatched = false;
	if (ret)
		end(viewer, EXIT_HOST);
}

static void show(struct viewer *viewer)
{
	size_t taken = terminal_write(&viewer->terminal, viewer->shown, viewer->shown_len);

	viewer->shown_len -= taken;
	memmove(viewer->shown, viewer->shown + taken, viewer->shown_len);
	watch_machine(viewer);
}

static void machine_ready(struct loop_event *event, uint32_t events)
{
	struct viewer *viewer = container_of(event, struct viewer, machine);
	ssize_t got;

	if (events & EPOLLOUT) {
		viewer->keys_wait = false;
		terminal_resume_input(&viewer->terminal);
		watch_machine(viewer);
	}
	if (viewer->shown_len && events & (EPOLLHUP | EPOLLERR)) {
		/* These two are told again and again, whatever is asked for. */
		loop_remove(&viewer->loop, event);
		viewer->unwatched = true;
	}
	if (viewer->shown_len || !(events & ~(uint32_t)EPOLLOUT))
		return;
	got = recv(event->fd, viewer->shown, sizeof(viewer->shown), MSG_DONTWAIT);
	if (got > 0) {
		viewer->shown_len = (size_t)got;
		show(viewer);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		end(viewer, EXIT_SUCCESS);
	}
}

/* --- The terminal ----------------------------------------------------------------------------- */

static size_t send_keys(void *owner, const uint8_t *data, size_t len)
{
	struct viewer *viewer = owner;
	ssize_t sent = send(viewer->machine.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent == (ssize_t)len)
		return len;
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return len; /* the end, which the loop reads */
	viewer->keys_wait = true;
	watch_machine(viewer);
	return sent < 0 ? 0 : (size_t)sent;
}

static void output_ready(void *owner)
{
	show(owner);
}

/* A reader may leave early, as head does. */
static void output_lost(void *owner, int error)
{
	if (error != EPIPE)
		log_error("standard output: %s", strerror(error));
	end(owner, error == EPIPE ? EXIT_SUCCESS : EXIT_HOST);
}

static void leave(void *owner)
{
	end(owner, EXIT_SUCCESS);
}

static void signal_arrived(struct loop_event *event, uint32_t events)
{
	struct viewer *viewer = container_of(event, struct viewer, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(event->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		terminal_suspend(&viewer->terminal);
	else if (info.ssi_signo == SIGCONT)
		terminal_continue(&viewer->terminal);
	else
		end(viewer, SIGNAL_BASE + (int)info.ssi_signo);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int add_signals(struct viewer *viewer)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	signals_add_ends(&set);
	signals_add(&set, SIGTSTP);
	signals_add(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	viewer->signals.fn = signal_arrived;
	viewer->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return viewer->signals.fd < 0 ? -errno :
					loop_add(&viewer->loop, &viewer->signals, EPOLLIN);
}

static int add_events(struct viewer *viewer, int fd)
{
	int ret = add_signals(viewer);

	viewer->machine = (struct loop_event){ .fd = fd, .fn = machine_ready };
	return ret ? ret : loop_add(&viewer->loop, &viewer->machine, EPOLLIN);
}

/* In a terminal's raw mode, until the user, the machine or a signal ends it. */
static int view(struct viewer *viewer, struct control_client *client)
{
	const struct terminal_options options = {
		.loop = &viewer->loop,
		.in_fd = STDIN_FILENO,
		.out_fd = STDOUT_FILENO,
		.input = send_keys,
		.output_ready = output_ready,
		.output_lost = output_lost,
		.quit = leave,
		.owner = viewer,
	};
	int ret = terminal_init(&viewer->terminal, &options);

	if (ret)
		return ret;
	if (viewer->terminal.raw && isatty(STDERR_FILENO))
		log_plain("kinglet: Ctrl-A x leaves the console, Ctrl-A h lists the keys");
	/* What came with the reply to the request. */
	terminal_write(&viewer->terminal, client->buffer + client->start,
		       client->used - client->start);
	ret = loop_run(&viewer->loop);
	terminal_destroy(&viewer->terminal);
	return ret;
}

int control_view_console(struct control_client *client)
{
	struct viewer *viewer = calloc(1, sizeof(*viewer));
	int ret, status;

	if (!viewer)
		return EXIT_HOST;
	viewer->signals.fd = -1;
	ret = loop_init(&viewer->loop);
	if (!ret)
		ret = add_events(viewer, client->fd);
	if (!ret)
		ret = view(viewer, client);
	if (ret)
		log_error("console of machine %.200s: %s", client->name, strerror(-ret));
	close_fd(&viewer->signals.fd);
	loop_destroy(&viewer->loop);
	status = ret ? EXIT_HOST : viewer->status;
	free(viewer);
	return status;
}
