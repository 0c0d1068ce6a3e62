/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * What is opened later must not get the number of a standard descriptor that the caller has closed:
 * the guest's output would be written into it.
 */
static int fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : NULL;
	int err = fill_standard_fds();

	if (err) {
		log_error("/dev/null: open: %s", strerror(-err));
		return EXIT_HOST;
	}
	if (!command) {
		log_error("no command; try: kinglet run KERNEL, or kinglet --help");
		return EXIT_USAGE;
	}
	if (strcmp(command, "run") == 0)
		return cmd_run(argc - 2, argv + 2);
	if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0)
		return cmd_help();
	if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
		return cmd_version();
	log_error("%.80s: unknown command; known: run, help, version (a kernel is booted by: "
		  "kinglet run KERNEL)",
		  command);
	return EXIT_USAGE;
}
