/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cli/help.h"
#include "cli/nearest.h"
#include "core/sys.h"

#include <string.h>

const struct command *const command_table[] = {
	&command_run,
	&command_test,
	&command_exec,
	&command_restore,
	&command_list,
	&command_info,
	&command_stats,
	&command_pause,
	&command_resume,
	&command_stop,
	&command_resize,
	&command_snapshot,
	&command_migrate,
	&command_wait,
	&command_events,
	&command_console,
	&command_state,
	&command_kernel,
	&command_report,
	&command_doctor,
	&command_help,
	&command_version,
	NULL,
};

const struct command *command_find(const char *name)
{
	const struct command *const *command = command_table;

	while (*command && strcmp((*command)->name, name) != 0)
		command++;
	return *command;
}

void command_log_unknown(const char *name)
{
	struct nearest nearest = { .typed = name };
	char known[200] = "";
	size_t used = 0;

	for (const struct command *const *command = command_table; *command; command++) {
		nearest_offer(&nearest, (*command)->name);
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 used ? ", " : "", (*command)->name);
	}
	if (*name == '-')
		log_error("%.80s: a command comes first: kinglet run KERNEL, or kinglet --help", name);
	else if (nearest.name)
		log_error("%.80s: unknown command; did you mean %s?", name, nearest.name);
	else
		log_error("%.80s: unknown command; known: %s (a kernel is booted by: kinglet run "
			  "KERNEL)", name, known);
}

/* --- One command ------------------------------------------------------------------------------ */

static int execute(const struct command *command, struct common_options *options, int argc,
		   char **argv)
{
	int ret = options_parse(command, options, argc, argv);

	if (ret == -ENOMEM)
		log_error("command line: %s", strerror(-ret));
	if (ret)
		return ret == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
	if (options->help) {
		help_print_command(stdout, command);
		return flush_stdout();
	}
	return options->version ? command_version.run(options) : command->run(options);
}

int command_execute(const struct command *command, int argc, char **argv)
{
	struct common_options *options = calloc(1, command->options_size);
	int status;

	if (!options) {
		log_error("command line: %s", strerror(ENOMEM));
		return EXIT_HOST;
	}
	options->started_ns = sys_now_ns();
	status = execute(command, options, argc, argv);
	if (status & COMMAND_LEAVE)
		return status;
	options_destroy(options);
	free(options);
	return status;
}

/* --- Commands about commands ------------------------------------------------------------------ */

struct help_options {
	struct common_options common;
	const struct command *topic; /* NULL: all commands */
};

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
