/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "show.h"

#include "base/log.h"
#include "machine/snapshot.h"

#include <string.h>

struct state_options {
	struct common_options common;
	bool show, json;
	const char *dir;
};

static int take_word(struct common_options *common, const char *word)
{
	struct state_options *options = container_of(common, struct state_options, common);

	if (!options->show && !strcmp(word, "show")) {
		options->show = true;
		return 0;
	}
	if (options->show && !options->dir) {
		options->dir = word;
		return 0;
	}
	log_error("%.80s: unknown; write kinglet state show DIR", word);
	return -EINVAL;
}

static int finish(struct common_options *common, int argc, char **argv)
{
	const struct state_options *options = container_of(common, struct state_options, common);

	(void)argv;
	if (options->dir && argc < 0)
		return 0;
	log_error("write kinglet state show DIR [--json]");
	return -EINVAL;
}

static void show(FILE *out, struct state *state, bool json)
{
	struct state_view view;
	bool first = true;

	fputs(json ? "[" : "", out);
	for (; state_next(state, &view); first = false) {
		const struct state_table *table = snapshot_table(view.table);

		fputs(json && !first ? ",\n" : "", out);
		if (json)
			state_show_json(out, &view, table);
		else
			state_show_text(out, &view, table);
	}
	fputs(json ? "]\n" : "", out);
}

static int run(struct common_options *common)
{
	const struct state_options *options = container_of(common, struct state_options, common);
	struct snapshot *snapshot;
	int ret = snapshot_open(&snapshot, options->dir);

	if (ret)
		return EXIT_USAGE;
	state_rewind(snapshot->state);
	show(stdout, snapshot->state, options->json);
	snapshot_free(snapshot);
	return flush_stdout();
}

static const struct option form_options[] = {
	{
		.name = "json",
		.kind = OPTION_FLAG,
		.help = "print one JSON array, for programs",
		OPTION_FIELD(struct state_options, json),
	},
};

static const struct option_list form_option_list = {
	.name = "form",
	.title = "The form of the answer",
	.table = form_options,
	.count = ARRAY_SIZE(form_options),
};

static const struct option_list *const lists[] = { &form_option_list, &common_option_list, NULL };

const struct command command_state = {
	.name = "state",
	.synopsis = "show DIR [--json]",
	.words = "show",
	.summary = "show what a snapshot has of a machine: registers, devices, queues",
	.options = lists,
	.options_size = sizeof(struct state_options),
	.argument = take_word,
	.finish = finish,
	.run = run,
};
