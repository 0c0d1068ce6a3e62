/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"

#include <string.h>

int flush_stdout(void)
{
	/* A piece that could not be written before is forgotten by now, and its errno, too. */
	bool lost = ferror(stdout);

	if (fflush(stdout) != EOF && !lost)
		return EXIT_SUCCESS;
	log_error("standard output: %s", lost ? "cannot be written" : strerror(errno));
	return EXIT_HOST;
}
