/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the documentation that is generated from the tables of commands and options to standard
 * output: `docs commands`, `docs options` or `docs completion`. Called by `make man`.
 */
#include "cli/help.h"

#include <string.h>

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "commands") == 0)
		docs_print_man_commands(stdout);
	else if (argc == 2 && strcmp(argv[1], "options") == 0)
		docs_print_man_options(stdout);
	else if (argc == 2 && strcmp(argv[1], "completion") == 0)
		docs_print_completion(stdout);
	else
		return 2;
	return fflush(stdout) == EOF || ferror(stdout);
}
