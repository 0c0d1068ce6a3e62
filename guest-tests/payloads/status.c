/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends with the status that its command line names, by the exit port.
 *
 *	kinglet run status.elf --append 42
 */
#include "guest.h"

int main(const void *handoff)
{
	exit_port_write(parse_number(command_line(handoff)));
	return 99;
}
