/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"

#include <string.h>

int flush_stdout(void)
{
	/* An earlier write error only sets the error flag; its errno is lost. */
	bool lost = ferror(stdout);

	if (fflush(stdout) != EOF && !lost)
		return EXIT_SUCCESS;
	log_error("standard output: %s", lost ? "cannot be written" : strerror(errno));
	return EXIT_HOST;
}
