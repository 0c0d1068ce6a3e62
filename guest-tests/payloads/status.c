/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends with the status that its command line names, by the exit port.
 *
 *	kinglet run status.elf --append 42
 */
#include "guest.h"

enum { CMD_LINE_PTR = 0x228 };

int main(const void *zero_page)
{
	const char *cmdline = (const char *)(uintptr_t)read32((uintptr_t)zero_page + CMD_LINE_PTR);

	/* A dword: the port takes any width; what is above a byte's range counts as 255. */
	outl(EXIT_PORT, parse_number(cmdline));
	return 99;
}
