/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cmd/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The time for a slow reader at the end. */
enum { LAST_LINES_MS = 200 };

/*
 * Files opened later must not get the number of a closed standard descriptor: guest output would be
 * written into them.
 */
static int fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno;
	return 0;
}

/* `--help`, `-h` and `--version` are commands, too. */
static const struct command *find_command(const char *name)
{
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return &command_help;
	if (strcmp(name, "--version") == 0)
		return &command_version;
	return command_find(name);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int ret = fill_standard_fds(), status;

	if (ret) {
		log_error("/dev/null: open: %s", strerror(-ret));
		return EXIT_HOST;
	}
	if (argc < 2) {
		log_error("no command; try: kinglet run KERNEL, or kinglet --help");
		return EXIT_USAGE;
	}
	command = find_command(argv[1]);
	if (!command) {
		command_log_unknown(argv[1]);
		return EXIT_USAGE;
	}
	status = command_execute(command, argc - 2, argv + 2);
	log_settle(LAST_LINES_MS);
	if (status & COMMAND_LEAVE)
		_exit(status & ~COMMAND_LEAVE);
	return status;
}
