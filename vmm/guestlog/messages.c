/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/messages.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

/* Linux 6.1's words, the more special before the more general. */
static const struct {
	const char *begin;
	enum kernel_complaint complaint;
} complaints[] = {
	{ "BUG: unable to handle ", KERNEL_OOPS }, /* x86 page faults */
	{ "BUG: kernel NULL pointer dereference", KERNEL_OOPS },
	{ "Oops: ", KERNEL_OOPS },
	{ "Oops - ", KERNEL_OOPS },
	{ "general protection fault", KERNEL_OOPS },
	{ "divide error: ", KERNEL_OOPS },
	{ "invalid opcode: ", KERNEL_OOPS },
	{ "int3: ", KERNEL_OOPS },
	{ "stack segment: ", KERNEL_OOPS },
	{ "Internal error: ", KERNEL_OOPS }, /* arm64 */
	{ "Unable to handle kernel ", KERNEL_OOPS },
	{ "kernel BUG at ", KERNEL_BUG },
	{ "BUG: ", KERNEL_BUG },
	{ "watchdog: BUG: ", KERNEL_BUG },
	{ "UBSAN: ", KERNEL_BUG },
	{ "WARNING: ", KERNEL_WARNING },
	{ "INFO: task ", KERNEL_WARNING }, /* hung */
	{ "INFO: possible recursive locking", KERNEL_WARNING },
	{ "rcu: INFO: ", KERNEL_WARNING }, /* stalls */
};

/* What stands behind "[    1.234567]" or, `time` false, a caller's "[    T1]"; NULL: no such. */
static const char *skip_brackets(const char *line, bool time)
{
	const char *p = line;

	if (*p++ != '[')
		return NULL;
	p += strspn(p, " ");
	if (time ? !isdigit((unsigned char)*p) : *p != 'T' && *p != 'C')
		return NULL;
	p++;
	p += strspn(p, time ? "0123456789." : "0123456789");
	return *p == ']' ? p + 1 : NULL;
}

/* Linux's print_prefix(): level, time and caller stand close together, then comes a blank. */
const char *kernel_log_message(const char *line, bool *stamped)
{
	const char *p = line, *behind;

	if (p[0] == '<' && isdigit((unsigned char)p[1]) && p[2] == '>')
		p += 3;
	p = skip_brackets(p, true);
	if (stamped)
		*stamped = p;
	if (!p)
		return line;
	behind = skip_brackets(p, false);
	if (behind)
		p = behind;
	return *p == ' ' ? p + 1 : p;
}

enum kernel_complaint kernel_log_complaint(const char *message)
{
	for (unsigned i = 0; i < ARRAY_SIZE(complaints); i++)
		if (strncmp(message, complaints[i].begin, strlen(complaints[i].begin)) == 0)
			return complaints[i].complaint;
	return KERNEL_FINE;
}

bool kernel_log_ends_trace(const char *message)
{
	return strncmp(message, "---[ end trace ", 15) == 0;
}

const char *kernel_complaint_name(enum kernel_complaint complaint)
{
	static const char *const names[] = {
		[KERNEL_FINE] = "fine",
		[KERNEL_WARNING] = "warning",
		[KERNEL_BUG] = "bug",
		[KERNEL_OOPS] = "oops",
	};

	return names[complaint];
}
