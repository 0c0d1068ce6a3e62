/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/restored.h"

struct restore_options {
	struct run_options run;
	const char *dir;
	struct restored restored;
};

static struct restore_options *restore_options_of(struct common_options *common)
{
	return container_of(common, struct restore_options, run.common);
}

static int take_folder(struct common_options *common, const char *dir)
{
	struct restore_options *options = restore_options_of(common);

	if (options->dir) {
		log_error("%.80s: a second snapshot beside %.80s; give one", dir, options->dir);
		return -EINVAL;
	}
	options->dir = dir;
	return 0;
}

static int finish(struct common_options *common, int init_argc, char **init_argv)
{
	struct restore_options *options = restore_options_of(common);

	if (!options->dir) {
		log_error("no snapshot is given; write kinglet restore DIR");
		return -EINVAL;
	}
	options->run.control.wanted = true;
	return restored_open(&options->restored, &options->run, options->dir, init_argc, init_argv);
}

static int restore(struct common_options *common)
{
	struct restore_options *options = restore_options_of(common);
	int status = run_or_describe(&options->run);

	if (!(status & COMMAND_LEAVE))
		restored_close(&options->restored);
	return status;
}

static const struct option_list *const lists[] = {
	&machine_option_list,
	&common_option_list,
	NULL,
};

const struct command command_restore = {
	.name = "restore",
	.synopsis = "DIR [options] [-- arguments]",
	.summary = "go on with a machine that was saved by --snapshot or kinglet snapshot",
	.about = "The snapshot says what the machine is. Options of its devices name files, taps\n"
		 "and the like anew: as many as it has of a kind, in the same order. The guest's\n"
		 "clock is set to the host's, and it gets a new VM generation ID. What follows --\n"
		 "is for a guest that reads its port kinglet.snapshot: \"restored arguments\".\n",
	.options = lists,
	.options_size = sizeof(struct restore_options),
	.argument = take_folder,
	.finish = finish,
	.run = restore,
};
