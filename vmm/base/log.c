/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/room.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/*
 * Lines lost since the last that was written. Static, because loggers, signal handlers in
 * particular, have no object to keep it in.
 */
static atomic_uint lost;

/* log_mute(). */
static _Thread_local bool muted;

/* log_keep(); len is 0 when there is no text, or it has been kept. */
static _Thread_local struct {
	char *text;
	size_t len;
} kept;

/*
 * One write(2) that does not block; -EAGAIN or short if there is no room. Standard error itself is
 * shared and must stay blocking, so the line goes through a separate open file description. A file
 * needs none, and would lose its offset; a socket does not need one; and if none can be opened,
 * poll(2) must suffice: a pipe that is ready takes a line (pipe(7), PIPE_BUF).
 */
static ssize_t write_now(const char *line, size_t len)
{
	_cleanup_close_ int own = -1;
	struct stat st;

	if (fstat(STDERR_FILENO, &st))
		return -1;
	if (S_ISSOCK(st.st_mode))
		return send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!S_ISREG(st.st_mode))
		own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return write(own >= 0 ? own : STDERR_FILENO, line, len);
}

/* False when there is no room. If standard error itself fails, nothing can be done. */
static bool put(const char *line, size_t len, unsigned patience_ms)
{
	ssize_t n;

	if (!room_wait(STDERR_FILENO, patience_ms))
		return false;
	n = write_now(line, len);
	return n < 0 ? errno != EAGAIN : (size_t)n == len;
}

/* Logs how many lines were lost, if any; false when that line is lost, too. */
static bool put_lost(void)
{
	unsigned count = atomic_exchange(&lost, 0);
	char line[128];
	int len = snprintf(line, sizeof(line), "kinglet: standard error was full: %u line%s lost\n",
			   count, count == 1 ? "" : "s");

	if (!count || put(line, (size_t)len, 0))
		return true;
	atomic_fetch_add(&lost, count);
	return false;
}

void log_settle(unsigned ms)
{
	if (room_wait(STDERR_FILENO, ms))
		put_lost();
}

static void log_line(const char *prefix, const char *fmt, va_list args)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s", prefix);
	int room = (int)sizeof(line) - len - 1;
	int more = vsnprintf(line + len, (size_t)room, fmt, args);
	int saved = errno;

	if (more < 0 || muted)
		return;
	len += more < room ? more : room - 1;
	/* File names and guest text may hold anything: one line stays one line, without escapes. */
	for (int i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	if (!put_lost() || !put(line, (size_t)len, ROOM_PATIENCE_MS))
		atomic_fetch_add(&lost, 1);
	errno = saved;
}

void log_mute(bool on)
{
	muted = on;
}

void log_keep(char *text, size_t len)
{
	kept.text = text;
	kept.len = text ? len : 0;
	if (text)
		*text = '\0';
}

static void keep(const char *fmt, va_list args)
{
	if (!kept.len || muted)
		return;
	vsnprintf(kept.text, kept.len, fmt, args);
	kept.len = 0;
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	keep(fmt, args);
	va_end(args);
	va_start(args, fmt);
	log_line("kinglet: ", fmt, args);
	va_end(args);
}

void log_warning(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line("kinglet: warning: ", fmt, args);
	va_end(args);
}

void log_plain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line("", fmt, args);
	va_end(args);
}
