/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void log_line(const char *prefix, const char *fmt, va_list args)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s", prefix);
	int room = (int)sizeof(line) - len - 1;
	int more = vsnprintf(line + len, (size_t)room, fmt, args);

	if (more < 0)
		return;
	len += more < room ? more : room - 1;
	/* File names and guest text may hold anything: one line stays one line, without escapes. */
	for (int i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	/* Nothing sensible is left to do when stderr itself fails. */
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

void log_error(const char *fmt, ...)
{
	va_list args;

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
