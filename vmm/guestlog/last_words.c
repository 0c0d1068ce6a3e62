/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/last_words.h"

#include "base/cleanup.h"

#include <string.h>

static const struct {
	const char *begin;
	enum last_words words;
} table[] = {
	/* initramfs-tools 0.142, scripts/functions and scripts/local; its shell's prompt */
	{ "ALERT! ", LAST_WORDS_REASON },
	{ "No root device specified.", LAST_WORDS_REASON },
	{ "No init found.", LAST_WORDS_REASON },
	{ "Rebooting automatically due to panic=", LAST_WORDS_END },
	{ "Halting automatically due to panic=", LAST_WORDS_END },
	{ "(initramfs)", LAST_WORDS_END },
	/* dracut 059, with systemd and without */
	{ "dracut: FATAL: ", LAST_WORDS_REASON },
	{ "dracut: Refusing to continue", LAST_WORDS_END },
	{ "Generating \"/run/initramfs/rdsosreport.txt\"", LAST_WORDS_END },
	{ "Entering emergency mode.", LAST_WORDS_END },
	/* systemd 252 */
	{ "[!!!!!!] ", LAST_WORDS_REASON },
	{ "You are in emergency mode.", LAST_WORDS_END },
	{ "systemd[1]: Freezing execution.", LAST_WORDS_END },
	/* mkinitcpio; Alpine's mkinitfs */
	{ "ERROR: Failed to mount ", LAST_WORDS_REASON },
	{ "You are now being dropped into an emergency shell.", LAST_WORDS_END },
	{ "initramfs emergency recovery shell launched.", LAST_WORDS_END },
};

enum last_words last_words_find(const char *message)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (strncmp(message, table[i].begin, strlen(table[i].begin)) == 0)
			return table[i].words;
	return LAST_WORDS_NONE;
}
