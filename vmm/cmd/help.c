/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cli/help.h"

#include <stddef.h>
#include <string.h>

struct help_options {
	struct common_options common;
	const struct command *topic; /* NULL: all commands */
};

int flush_stdout(void)
{
	/* A piece that could not be written before is forgotten by now, and its errno, too. */
	bool lost = ferror(stdout);

	if (fflush(stdout) != EOF && !lost)
		return EXIT_SUCCESS;
	log_error("standard output: %s", lost ? "cannot be written" : strerror(errno));
	return EXIT_HOST;
}

void help_print(FILE *out)
{
	fputs("Kinglet boots a kernel in a KVM virtual machine and ends with it.\n"
	      "\n"
	      "Usage: kinglet COMMAND [options]\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (const struct command *const *command = command_table; *command; command++) {
		int at = fprintf(out, "  %s", (*command)->name);

		help_print_wrapped(out, (unsigned)at, HELP_COLUMN, HELP_WIDTH, (*command)->summary);
	}
	fputs("\n"
	      "`kinglet COMMAND --help` lists a command's options. The first one to try:\n"
	      "\n"
	      "  kinglet run KERNEL --initrd FILE\n",
	      out);
	help_print_exit_statuses(out);
}

static struct help_options *help_options_of(struct common_options *options)
{
	return container_of(options, struct help_options, common);
}

static int take_topic(struct common_options *common, const char *name)
{
	struct help_options *options = help_options_of(common);

	options->topic = command_find(name);
	if (!options->topic)
		command_log_unknown(name);
	return options->topic ? 0 : -EINVAL;
}

static int help(struct common_options *common)
{
	const struct command *topic = help_options_of(common)->topic;

	if (topic)
		help_print_command(stdout, topic);
	else
		help_print(stdout);
	return flush_stdout();
}

static int version(struct common_options *common)
{
	(void)common;
	puts("kinglet " KINGLET_VERSION);
	return flush_stdout();
}

static const struct option_list *const lists[] = { &common_option_list, NULL };

const struct command command_help = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "list the commands, or a command's options",
	.options = lists,
	.options_size = sizeof(struct help_options),
	.argument = take_topic,
	.run = help,
};

const struct command command_version = {
	.name = "version",
	.synopsis = "",
	.summary = "print the version",
	.options = lists,
	.options_size = sizeof(struct common_options),
	.run = version,
};
