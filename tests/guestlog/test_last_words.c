/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/last_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void last_words_are_known(void **state)
{
	static const struct {
		const char *line;
		enum last_words words;
	} cases[] = {
		/* initramfs-tools of Debian 12, with panic= and without */
		{ "No root device specified. Boot arguments must include a root= parameter.",
		  LAST_WORDS_REASON },
		{ "ALERT!  /dev/vda1 does not exist.  Dropping to a shell!", LAST_WORDS_REASON },
		{ "No init found. Try passing init= bootarg.", LAST_WORDS_REASON },
		{ "Rebooting automatically due to panic= boot argument", LAST_WORDS_END },
		{ "Halting automatically due to panic= boot argument", LAST_WORDS_END },
		{ "(initramfs) ", LAST_WORDS_END },
		{ "(initramfs) [    5.123456] random: crng init done", LAST_WORDS_END },
		/* dracut 059 */
		{ "dracut: FATAL: No or empty root= argument", LAST_WORDS_REASON },
		{ "dracut: Refusing to continue", LAST_WORDS_END },
		{ "Generating \"/run/initramfs/rdsosreport.txt\"", LAST_WORDS_END },
		{ "Entering emergency mode. Exit the shell to continue.", LAST_WORDS_END },
		/* systemd 252 */
		{ "[!!!!!!] Failed to mount API filesystems.", LAST_WORDS_REASON },
		{ "You are in emergency mode. After logging in, type \"journalctl -xb\" to view",
		  LAST_WORDS_END },
		{ "systemd[1]: Freezing execution.", LAST_WORDS_END },
		/* mkinitcpio, mkinitfs */
		{ "ERROR: Failed to mount 'UUID=1' on real root", LAST_WORDS_REASON },
		{ "You are now being dropped into an emergency shell.", LAST_WORDS_END },
		{ "initramfs emergency recovery shell launched. Type 'exit' to continue boot",
		  LAST_WORDS_END },
		/* What a boot that goes well says. */
		{ "", LAST_WORDS_NONE },
		{ "(initramfs", LAST_WORDS_NONE },
		{ "Loading, please wait...", LAST_WORDS_NONE },
		{ "[  OK  ] Reached target emergency.target - Emergency Mode.", LAST_WORDS_NONE },
		{ "dracut: Mounted root filesystem /dev/vda1", LAST_WORDS_NONE },
		{ "You are in rescue mode. After logging in, type", LAST_WORDS_NONE },
		{ "see \"Entering emergency mode.\" in the manual", LAST_WORDS_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (last_words_find(cases[i].line) != cases[i].words)
			fail_msg("%s", cases[i].line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
