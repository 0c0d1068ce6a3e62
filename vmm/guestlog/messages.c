/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/messages.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

/* The beginning of a message, and its meaning. */
struct beginning {
	const char *text;
	unsigned kind;
};

/* Messages of Linux 6.1, the more specific before the more general. */
static const struct beginning complaints[] = {
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

static const struct beginning boot_failures[] = {
	/* initramfs-tools 0.142, scripts/functions and scripts/local; its shell's prompt */
	{ "ALERT! ", BOOT_FAILURE_REASON },
	{ "No root device specified.", BOOT_FAILURE_REASON },
	{ "No init found.", BOOT_FAILURE_REASON },
	{ "Rebooting automatically due to panic=", BOOT_FAILURE_END },
	{ "Halting automatically due to panic=", BOOT_FAILURE_END },
	{ "(initramfs)", BOOT_FAILURE_END },
	/* dracut 059, with systemd and without */
	{ "dracut: FATAL: ", BOOT_FAILURE_REASON },
	{ "dracut: Refusing to continue", BOOT_FAILURE_END },
	{ "Generating \"/run/initramfs/rdsosreport.txt\"", BOOT_FAILURE_END },
	{ "Entering emergency mode.", BOOT_FAILURE_END },
	/* systemd 252 */
	{ "[!!!!!!] ", BOOT_FAILURE_REASON },
	{ "You are in emergency mode.", BOOT_FAILURE_END },
	{ "systemd[1]: Freezing execution.", BOOT_FAILURE_END },
	/* mkinitcpio; Alpine's mkinitfs */
	{ "ERROR: Failed to mount ", BOOT_FAILURE_REASON },
	{ "You are now being dropped into an emergency shell.", BOOT_FAILURE_END },
	{ "initramfs emergency recovery shell launched.", BOOT_FAILURE_END },
};

/* The text after "[    1.234567]" or, `time` false, a caller's "[    T1]"; NULL: none. */
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

/* Linux's print_prefix(): level, time and caller without blanks in between, then a blank. */
const char *message_of_line(const char *line, bool *stamped)
{
	const char *p = line, *after;

	if (p[0] == '<' && isdigit((unsigned char)p[1]) && p[2] == '>')
		p += 3;
	p = skip_brackets(p, true);
	if (stamped)
		*stamped = p;
	if (!p)
		return line;
	after = skip_brackets(p, false);
	if (after)
		p = after;
	return *p == ' ' ? p + 1 : p;
}

/* Linux, init/version.c. */
bool message_is_banner(const char *line)
{
	return strstr(line, "Linux version ") != NULL;
}

/* Linux, init/main.c. */
bool message_starts_init(const char *line)
{
	const char *run = strstr(line, "Run /");

	return run && strstr(run, " as init process");
}

/* 0: none of them matches. */
static unsigned find(const struct beginning *beginnings, size_t count, const char *message)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(message, beginnings[i].text, strlen(beginnings[i].text)) == 0)
			return beginnings[i].kind;
	return 0;
}

enum kernel_complaint message_complaint(const char *message)
{
	return find(complaints, ARRAY_SIZE(complaints), message);
}

enum boot_failure message_boot_failure(const char *message)
{
	return find(boot_failures, ARRAY_SIZE(boot_failures), message);
}

bool message_ends_trace(const char *message)
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
