/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/help.h"

#include <string.h>

int flush_stdout(void)
{
	if (fflush(stdout) == EOF) {
		log_error("standard output: %s", strerror(errno));
		return EXIT_HOST;
	}
	return EXIT_SUCCESS;
}

int cmd_help(void)
{
	help_print(stdout);
	return flush_stdout();
}

int cmd_version(void)
{
	puts("kinglet " KINGLET_VERSION);
	return flush_stdout();
}
