/* SPDX-License-Identifier: Apache-2.0 */
#include "host/terminal.h"

#include "base/log.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	ESCAPE = 0x01, /* Ctrl-A */
	FLUSH_DELAY_NS = 5000000,
	LAST_WORDS_MS = 1000,
};

static const char help[] = "\r\n"
			   "Ctrl-A x       quit\r\n"
			   "Ctrl-A Ctrl-A  send Ctrl-A\r\n"
			   "Ctrl-A h       this list\r\n";

/* --- Modes ------------------------------------------------------------------------------------ */

static void enter_raw_mode(struct terminal *terminal)
{
	struct termios raw;
	pid_t foreground;

	if (!terminal->is_tty)
		return;
	/*
	 * From the background it would stop us, or disturb the line that the shell is editing. A
	 * terminal that we do not control (-1) has no background.
	 */
	foreground = tcgetpgrp(terminal->in.fd);
	if (foreground >= 0 && foreground != getpgrp())
		return;
	if (!terminal->have_saved && tcgetattr(terminal->in.fd, &terminal->saved))
		return;
	terminal->have_saved = true;
	raw = terminal->saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL |
				   IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	raw.c_cflag |= CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* Output processing stays on, so that lines of the log start at the left margin. */
	terminal->raw = true;
	if (tcsetattr(terminal->in.fd, TCSANOW, &raw))
		terminal->raw = false;
}

void terminal_restore(struct terminal *terminal)
{
	int saved_errno = errno;

	if (terminal->raw) {
		terminal->raw = false;
		tcsetattr(terminal->in.fd, TCSANOW, &terminal->saved);
	}
	errno = saved_errno;
}

void terminal_suspend(struct terminal *terminal)
{
	terminal_restore(terminal);
	/* For this thread; otherwise it could enter raw mode again before the stop takes effect. */
	raise(SIGSTOP);
	terminal_continue(terminal);
}

void terminal_continue(struct terminal *terminal)
{
	/* Even if we had not left it: the shell sets its own modes when a job stops. */
	enter_raw_mode(terminal);
}

int terminal_get_size(const struct terminal *terminal, uint16_t *columns, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(terminal->out.fd, TIOCGWINSZ, &size))
		return -errno;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return 0;
}

/* --- Input ------------------------------------------------------------------------------------ */

static void watch_input(struct terminal *terminal, bool watch)
{
	if (input_watch(&terminal->input, terminal->options.loop, &terminal->in, watch))
		terminal->in_ended = true;
}

/* What follows Ctrl-A. Returns true when the byte itself is for the guest. */
static bool escaped_key(struct terminal *terminal, uint8_t key)
{
	switch (key) {
	case ESCAPE:
		return true;
	case 'x':
		if (terminal->options.quit)
			terminal->options.quit(terminal->options.owner);
		return false;
	case 'h':
		/* If the reader takes nothing now, the help is dropped. */
		terminal_write(terminal, help, sizeof(help) - 1);
		return false;
	default:
		return false;
	}
}

/* Appends the new bytes to the buffered ones, removing escapes in place. */
static void take_escapes(struct terminal *terminal, size_t len)
{
	size_t end = terminal->in_len + len;

	for (size_t i = terminal->in_len; i < end; i++) {
		uint8_t key = terminal->in_buf[i];

		if (terminal->escape) {
			terminal->escape = false;
			if (!escaped_key(terminal, key))
				continue;
		} else if (key == ESCAPE) {
			terminal->escape = true;
			continue;
		}
		terminal->in_buf[terminal->in_len++] = key;
	}
}

static void read_input(struct terminal *terminal)
{
	size_t room = sizeof(terminal->in_buf) - terminal->in_len;
	ssize_t n;

	if (!room || terminal->in_ended)
		return;
	n = input_read(&terminal->input, terminal->in_buf + terminal->in_len, room);
	if (n == -EAGAIN)
		return;
	/* A terminal that hangs up reads EIO, which is its end of file. */
	if (n <= 0)
		terminal->in_ended = true;
	else if (terminal->is_tty)
		take_escapes(terminal, (size_t)n);
	else
		terminal->in_len += (size_t)n;
}

/* Returns false when the consumer has refused something. */
static bool deliver_input(struct terminal *terminal)
{
	size_t taken;

	if (!terminal->in_len)
		return true;
	taken = terminal->options.input(terminal->options.owner, terminal->in_buf,
					terminal->in_len);
	terminal->in_len -= taken;
	memmove(terminal->in_buf, terminal->in_buf + taken, terminal->in_len);
	return !terminal->in_len;
}

static void pump_input(struct terminal *terminal)
{
	bool delivered;

	if (terminal->input.always_ready && !terminal->in_len)
		read_input(terminal);
	delivered = deliver_input(terminal);
	/* What fits is read nevertheless: Ctrl-A x must work with a guest that takes no input. */
	watch_input(terminal, !terminal->in_ended && terminal->in_len < sizeof(terminal->in_buf));
	/* A file goes on at the loop's next turn, when others have had theirs. */
	if (terminal->input.always_ready && delivered && !terminal->in_ended)
		terminal_resume_input(terminal);
}

static void input_readable(struct loop_event *event, uint32_t events)
{
	struct terminal *terminal = container_of(event, struct terminal, in);

	(void)events;
	read_input(terminal);
	pump_input(terminal);
}

static void input_resumed(struct loop_event *event, uint32_t events)
{
	struct terminal *terminal = container_of(event, struct terminal, resume);

	(void)events;
	eventfd_drain(event->fd);
	pump_input(terminal);
}

void terminal_resume_input(struct terminal *terminal)
{
	eventfd_signal(terminal->resume.fd);
}

/* --- Output ----------------------------------------------------------------------------------- */

/* The owner is told of an error outside the lock: it may take its own locks. */
static void unlock_output(struct terminal *terminal)
{
	int error = terminal->out_told ? 0 : terminal->out_error;

	terminal->out_told = terminal->out_error;
	pthread_mutex_unlock(&terminal->lock);
	if (error && terminal->options.output_lost)
		terminal->options.output_lost(terminal->options.owner, error);
}

/* Writes what can be written now. Returns false when something remains. Locked. */
static bool flush_output(struct terminal *terminal)
{
	while (terminal->out_len) {
		ssize_t n = output_write(&terminal->output, terminal->out_buf, terminal->out_len);

		if (n == -EAGAIN)
			return false;
		if (n < 0) {
			terminal->out_error = (int)-n;
			terminal->out_len = 0;
			break;
		}
		terminal->out_len -= (size_t)n;
		memmove(terminal->out_buf, terminal->out_buf + n, terminal->out_len);
	}
	return true;
}

static void arm_flush(struct terminal *terminal)
{
	if (!terminal->flush_armed)
		loop_timer_set(&terminal->flush_timer, FLUSH_DELAY_NS);
	terminal->flush_armed = true;
}

/* Writes, and has the loop try again if something remains. Locked. */
static void flush_or_wait(struct terminal *terminal)
{
	if (terminal->out_blocked || flush_output(terminal))
		return;
	terminal->out_blocked = true;
	/* The timer is only for what epoll refuses: it polls for readiness. */
	if (loop_add(terminal->options.loop, &terminal->out, EPOLLOUT))
		arm_flush(terminal);
}

/* Loop thread: the output may have room, or the delay is over. */
static void retry_output(struct terminal *terminal, bool timer)
{
	bool notify = false;

	pthread_mutex_lock(&terminal->lock);
	if (timer)
		terminal->flush_armed = false;
	if (terminal->out_blocked) {
		loop_remove(terminal->options.loop, &terminal->out);
		terminal->out_blocked = false;
	}
	flush_or_wait(terminal);
	if (terminal->out_refused && terminal->out_len <= sizeof(terminal->out_buf) / 2) {
		terminal->out_refused = false;
		notify = true;
	}
	unlock_output(terminal);
	if (notify && terminal->options.output_ready)
		terminal->options.output_ready(terminal->options.owner);
}

static void output_writable(struct loop_event *event, uint32_t events)
{
	(void)events;
	retry_output(container_of(event, struct terminal, out), false);
}

static void flush_delay_over(struct loop_timer *timer)
{
	retry_output(container_of(timer, struct terminal, flush_timer), true);
}

size_t terminal_write(struct terminal *terminal, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t taken = 0;

	pthread_mutex_lock(&terminal->lock);
	while (taken < len && !terminal->out_error) {
		size_t room = sizeof(terminal->out_buf) - terminal->out_len;
		size_t chunk = len - taken < room ? len - taken : room;

		if (!chunk)
			break;
		memcpy(terminal->out_buf + terminal->out_len, bytes + taken, chunk);
		terminal->out_len += chunk;
		terminal->out_in_line = bytes[taken + chunk - 1] != '\n';
		if (chunk == room || memchr(bytes + taken, '\n', chunk))
			flush_or_wait(terminal);
		taken += chunk;
	}
	if (terminal->out_error)
		taken = len;
	else if (terminal->out_len && !terminal->out_blocked)
		arm_flush(terminal);
	terminal->out_refused |= taken < len;
	unlock_output(terminal);
	return taken;
}

/* The next output on a terminal, a verdict or the shell's prompt, begins on a new line. */
static void end_line(struct terminal *terminal)
{
	if (terminal->out_in_line && isatty(terminal->out.fd))
		terminal_write(terminal, "\n", 1);
}

/* The loop has ended: waits here. */
static void flush_last_words(struct terminal *terminal)
{
	struct pollfd ready = { .fd = terminal->out.fd, .events = POLLOUT };

	while (!flush_output(terminal)) {
		int n = poll(&ready, 1, LAST_WORDS_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1) {
			log_warning("console output: its reader takes nothing; the last %zu bytes "
				    "are lost",
				    terminal->out_len);
			break;
		}
	}
	pthread_mutex_lock(&terminal->lock);
	unlock_output(terminal);
}

/* --- Life ------------------------------------------------------------------------------------- */

int terminal_init(struct terminal *terminal, const struct terminal_options *options)
{
	int ret;

	*terminal = (struct terminal){
		.options = *options,
		.input = { .fd = -1 },
		.in = { .fd = -1, .fn = input_readable },
		.resume = { .fd = -1, .fn = input_resumed },
		.output = { .fd = -1 },
		.out = { .fd = -1, .fn = output_writable },
		.flush_timer = { .event.fd = -1, .fn = flush_delay_over },
	};
	ret = -pthread_mutex_init(&terminal->lock, NULL);
	if (ret)
		goto err;
	ret = output_open(&terminal->output, options->out_fd);
	if (ret == -EBADF)
		terminal->out_error = EPIPE; /* started with it closed: no reader */
	else if (ret < 0)
		goto err_close;
	terminal->out.fd = terminal->output.fd;
	ret = loop_timer_add(options->loop, &terminal->flush_timer);
	if (ret)
		goto err_close;

	ret = loop_eventfd_add(options->loop, &terminal->resume);
	if (ret)
		goto err_close;
	/* Started with it closed, or no descriptor available: there is no input. */
	terminal->in_ended = options->in_fd < 0 || !options->input ||
			     input_open(&terminal->input, options->in_fd) < 0;
	terminal->in.fd = terminal->input.fd;
	terminal->is_tty = !terminal->in_ended && isatty(terminal->in.fd);
	enter_raw_mode(terminal);
	terminal_resume_input(terminal); /* the loop reads the input first */
	return 0;

err_close:
	loop_timer_remove(options->loop, &terminal->flush_timer);
	output_close(&terminal->output);
	pthread_mutex_destroy(&terminal->lock);
err:
	log_error("console: %s", strerror(-ret));
	return ret;
}

void terminal_destroy(struct terminal *terminal)
{
	struct loop *loop = terminal->options.loop;

	end_line(terminal);
	flush_last_words(terminal);
	terminal_restore(terminal);
	watch_input(terminal, false);
	loop_remove(loop, &terminal->out);
	loop_eventfd_remove(loop, &terminal->resume);
	loop_timer_remove(loop, &terminal->flush_timer);
	input_close(&terminal->input);
	output_close(&terminal->output);
	pthread_mutex_destroy(&terminal->lock);
}
