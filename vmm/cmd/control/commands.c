/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that speak to a running machine: `kinglet stop NAME` and its like. Each is the
 * request of its name (docs/control.md).
 */
#include "cmd/commands.h"

#include "client.h"
#include "control.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>

/* Longer than the second in which a machine answers that it is busy. */
enum { LIST_PATIENCE_MS = 2000, WAIT_ID = 2 };

/* --- Options and arguments -------------------------------------------------------------------- */

struct control_options {
	struct common_options common;
	const char *name, *size_text, *dir, *diff; /* borrowed; NULL: not given */
	uint64_t size;
	bool now, wait, json;
};

#define CONTROL(member) OPTION_FIELD(struct control_options, member)

static const struct option stop_options[] = {
	{
		.name = "now", .kind = OPTION_FLAG,
		.help = "end the run at once, in order, without asking the guest",
		CONTROL(now),
	},
	{
		.name = "wait", .kind = OPTION_FLAG,
		.help = "then wait until it has ended, as kinglet wait does",
		CONTROL(wait),
	},
};

static const struct option_list stop_option_list = {
	.name = "stop",
	.title = "How it stops",
	.table = stop_options,
	.count = ARRAY_SIZE(stop_options),
};

static const struct option snapshot_options[] = {
	{
		.name = "diff", .metavar = "BASE", .kind = OPTION_STRING, .min = 1, .max = 4000,
		.help = "write only what differs from this earlier snapshot of the machine, where the "
			"file system lets files share their blocks; else it costs what a copy does",
		CONTROL(diff),
	},
};

static const struct option_list snapshot_option_list = {
	.name = "snapshot",
	.title = "What is written",
	.table = snapshot_options,
	.count = ARRAY_SIZE(snapshot_options),
};

static const struct option answer_options[] = {
	{
		.name = "json", .kind = OPTION_FLAG, .help = "print one JSON object, for programs",
		CONTROL(json),
	},
};

static const struct option_list answer_option_list = {
	.name = "answer",
	.title = "The form of the answer",
	.table = answer_options,
	.count = ARRAY_SIZE(answer_options),
};

static const struct option size_option = {
	.name = "size", .metavar = "SIZE", .kind = OPTION_SIZE, .max = UINT64_C(4) << 40,
	CONTROL(size),
};

static struct control_options *control_options_of(struct common_options *common)
{
	return container_of(common, struct control_options, common);
}

static int take_name(struct common_options *common, const char *text)
{
	struct control_options *options = control_options_of(common);

	if (options->name) {
		log_error("%.80s: a second machine beside %.80s; name one", text, options->name);
		return -EINVAL;
	}
	options->name = text;
	return 0;
}

static int take_name_and_size(struct common_options *common, const char *text)
{
	struct control_options *options = control_options_of(common);
	char why[160];

	if (!options->name || options->size_text)
		return take_name(common, text);
	options->size_text = text;
	if (!option_parse_value(&size_option, text, &options->size, why, sizeof(why)))
		return 0;
	log_error("%.80s: %s", text, why);
	return -EINVAL;
}

static int take_name_and_dir(struct common_options *common, const char *text)
{
	struct control_options *options = control_options_of(common);

	if (!options->name || options->dir)
		return take_name(common, text);
	options->dir = text;
	return 0;
}

static int finish(struct common_options *common, int argc, char **argv)
{
	const struct control_options *options = control_options_of(common);
	const struct command *command = common->command;

	(void)argv;
	if (argc < 0 && options->name &&
	    (options->size_text || command->argument != take_name_and_size) &&
	    (options->dir || command->argument != take_name_and_dir))
		return 0;
	log_error("write kinglet %s %s", command->name, command->synopsis);
	return -EINVAL;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* A command's connection: begin(), then use it if that was well, then finish(). */
struct talk {
	struct control_client client;
	cJSON *answer;
	bool waits; /* for the machine's end: one that goes away has not told it */
	int status;
};

static void fail(struct talk *talk, const char *request, int ret)
{
	if (ret != -ECONNRESET || !talk->waits) {
		talk->status = control_client_log_failure(&talk->client, request, ret);
		return;
	}
	log_error("machine %.200s: went away without a verdict", talk->client.name);
	talk->status = EXIT_LOST;
}

/* Connects. Whether it is well so far. */
static bool begin(struct talk *talk, const struct control_options *options, bool waits)
{
	int ret;

	*talk = (struct talk){ .answer = NULL };
	ret = control_client_open(&talk->client, options->name, CONTROL_CLIENT_PATIENCE_MS);
	if (ret)
		fail(talk, NULL, ret);
	talk->waits = waits;
	return !ret;
}

/* Its answer is in talk->answer. Whether it is well so far. */
static bool ask(struct talk *talk, const char *request, const char *args)
{
	int ret = control_client_ask(&talk->client, request, args, &talk->answer);

	if (ret)
		fail(talk, request, ret);
	return !ret;
}

/* The exit status. */
static int finish_talk(struct talk *talk)
{
	cJSON_Delete(talk->answer);
	control_client_close(&talk->client);
	return talk->status;
}

/* --- Orders and questions --------------------------------------------------------------------- */

/* A request whose answer says no more than that it was done. */
static int order(const struct control_options *options, const char *args, bool patient)
{
	struct talk talk;
	bool well = begin(&talk, options, false);

	if (patient)
		talk.client.deadline_ns = CONTROL_CLIENT_FOREVER;
	if (well)
		ask(&talk, options->common.command->name, args);
	return finish_talk(&talk);
}

static int run_order(struct common_options *common)
{
	return order(control_options_of(common), "{}", false);
}

static int run_resize(struct common_options *common)
{
	const struct control_options *options = control_options_of(common);
	char args[40];

	snprintf(args, sizeof(args), "{\"memory\":%" PRIu64 "}", options->size);
	return order(options, args, false);
}

/* The machine's own folder may be another: it gets paths from the root. */
static bool add_path(cJSON *args, const char *name, const char *dir)
{
	_cleanup_free_ char *here = *dir == '/' ? NULL : getcwd(NULL, 0), *path = NULL;

	if (*dir == '/')
		return cJSON_AddStringToObject(args, name, dir);
	if (!here || asprintf(&path, "%s/%s", here, dir) < 0)
		return false;
	return cJSON_AddStringToObject(args, name, path);
}

static char *snapshot_args(const struct control_options *options)
{
	cJSON *args = cJSON_CreateObject();
	char *text = NULL;

	if (add_path(args, "dir", options->dir) &&
	    (!options->diff || add_path(args, "base", options->diff)))
		text = cJSON_PrintUnformatted(args);
	cJSON_Delete(args);
	return text;
}

static int run_snapshot(struct common_options *common)
{
	const struct control_options *options = control_options_of(common);
	_cleanup_free_ char *args = snapshot_args(options);

	if (args)
		return order(options, args, true);
	log_error("snapshot %.200s: %s", options->dir, strerror(errno));
	return EXIT_HOST;
}

static int print_json(const cJSON *object)
{
	char *text = cJSON_Print(object);

	if (text)
		puts(text);
	else
		log_error("answer: %s", strerror(ENOMEM));
	cJSON_free(text);
	return text ? flush_stdout() : EXIT_HOST;
}

static int run_show(struct common_options *common)
{
	const struct control_options *options = control_options_of(common);
	struct talk talk;
	bool well = begin(&talk, options, false) && ask(&talk, common->command->name, "{}");

	if (well && options->json) {
		talk.status = print_json(talk.answer);
	} else if (well) {
		control_print_answer(stdout, talk.answer);
		talk.status = flush_stdout();
	}
	return finish_talk(&talk);
}

static int run_list(struct common_options *common)
{
	int ret = control_print_list(stdout, control_options_of(common)->json, LIST_PATIENCE_MS);

	if (ret == -ENXIO)
		log_error("XDG_RUNTIME_DIR names no folder; it has the sockets of the machines");
	else if (ret)
		log_error("$XDG_RUNTIME_DIR/kinglet: %s", strerror(-ret));
	if (ret)
		return ret == -ENXIO ? EXIT_USAGE : EXIT_HOST;
	return flush_stdout();
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* One line; the machine's exit status, or -EPROTO. */
static int print_verdict(const cJSON *verdict)
{
	const cJSON *outcome = cJSON_GetObjectItemCaseSensitive(verdict, "outcome");
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(verdict, "status");
	const cJSON *detail = cJSON_GetObjectItemCaseSensitive(verdict, "detail");
	const char *text = cJSON_GetStringValue(detail);
	char *quoted = text && *text ? cJSON_PrintUnformatted(detail) : NULL;
	int number = cJSON_IsNumber(status) ? status->valueint : -1;

	if (!cJSON_IsString(outcome) || number < 0 || number > 255) {
		cJSON_free(quoted);
		return -EPROTO;
	}
	fputs("outcome=", stdout);
	control_print_value(stdout, outcome, 0);
	printf(" status=%d%s", number, quoted ? " " : "");
	control_print_text(stdout, quoted ? quoted : "", 0);
	putchar('\n');
	cJSON_free(quoted);
	return number;
}

/* Before a stop: afterwards there may be no machine to wait for. */
static bool send_wait(struct talk *talk)
{
	int ret = control_client_send(&talk->client, WAIT_ID, "wait", "{}");

	if (ret)
		fail(talk, "wait", ret);
	return !ret;
}

static void await_verdict(struct talk *talk)
{
	cJSON *verdict = NULL;
	int ret;

	talk->client.deadline_ns = CONTROL_CLIENT_FOREVER;
	ret = control_client_reply(&talk->client, WAIT_ID, &verdict);
	if (!ret)
		ret = print_verdict(verdict);
	if (ret < 0)
		fail(talk, "wait", ret);
	else
		talk->status = flush_stdout() == EXIT_SUCCESS ? ret : EXIT_HOST;
	cJSON_Delete(verdict);
}

static int run_wait(struct common_options *common)
{
	struct talk talk;

	if (begin(&talk, control_options_of(common), true) && send_wait(&talk))
		await_verdict(&talk);
	return finish_talk(&talk);
}

static int stop_and_wait(const struct control_options *options, const char *args)
{
	struct talk talk;

	if (begin(&talk, options, true) && send_wait(&talk) && ask(&talk, "stop", args))
		await_verdict(&talk);
	return finish_talk(&talk);
}

static int run_stop(struct common_options *common)
{
	const struct control_options *options = control_options_of(common);
	const char *args = options->now ? "{\"now\":true}" : "{}";

	return options->wait ? stop_and_wait(options, args) : order(options, args, false);
}

/* Prints one event; 1 at the last. */
static int print_event(struct control_client *client)
{
	cJSON *event;
	int ret = control_client_next(client, &event);
	const char *name = ret ? NULL : cJSON_GetStringValue(
						cJSON_GetObjectItemCaseSensitive(event, "event"));
	char *text = name ? cJSON_PrintUnformatted(event) : NULL;

	if (text && (puts(text) == EOF || fflush(stdout) == EOF))
		ret = -EIO;
	else if (name && strcmp(name, "ended") == 0)
		ret = 1;
	cJSON_free(text);
	cJSON_Delete(event);
	return ret;
}

static int run_events(struct common_options *common)
{
	struct talk talk;
	int ret = !begin(&talk, control_options_of(common), true) || !ask(&talk, "events", "{}");

	talk.client.deadline_ns = CONTROL_CLIENT_FOREVER;
	while (!ret)
		ret = print_event(&talk.client);
	if (ret == -EIO)
		talk.status = flush_stdout();
	else if (ret < 0)
		fail(&talk, "events", ret);
	return finish_talk(&talk);
}

static int run_console(struct common_options *common)
{
	struct talk talk;

	if (begin(&talk, control_options_of(common), false) && ask(&talk, "console", "{}"))
		talk.status = control_view_console(&talk.client);
	return finish_talk(&talk);
}

/* --- Commands --------------------------------------------------------------------------------- */

static const char about[] =
	"NAME is a machine's name, as kinglet list shows it, or the path of its socket,\n"
	"with a slash. Exit status: 0 done; 100 no such machine, or it refuses; 101 no\n"
	"answer, or the host fails; of wait and stop --wait the machine's own, or 104\n"
	"when it went away without one.\n";

static const struct option_list *const plain_lists[] = { &common_option_list, NULL };
static const struct option_list *const stop_lists[] = { &stop_option_list, &common_option_list,
							NULL };
static const struct option_list *const snapshot_lists[] = { &snapshot_option_list,
							    &common_option_list, NULL };
static const struct option_list *const answer_lists[] = { &answer_option_list, &common_option_list,
							  NULL };

const struct command command_list = {
	.name = "list",
	.synopsis = "[--json]",
	.summary = "list the machines that run",
	.about = "Those with a socket in $XDG_RUNTIME_DIR/kinglet. STATE says so when one does\n"
		 "not answer.\n",
	.options = answer_lists,
	.options_size = sizeof(struct control_options),
	.run = run_list,
};

#define MACHINE_COMMAND(verb, arguments, take, act, lists, what)                                   \
	const struct command command_##verb = {                                                    \
		.name = #verb,                                                                     \
		.synopsis = (arguments),                                                           \
		.summary = (what),                                                                 \
		.about = about,                                                                    \
		.options = (lists),                                                                \
		.options_size = sizeof(struct control_options),                                    \
		.argument = (take),                                                                \
		.finish = finish,                                                                  \
		.run = (act),                                                                      \
	}

MACHINE_COMMAND(info, "NAME [--json]", take_name, run_show, answer_lists,
		"show what a machine is, and its state");
MACHINE_COMMAND(stats, "NAME [--json]", take_name, run_show, answer_lists,
		"show what a machine's vCPUs and devices have done so far");
MACHINE_COMMAND(pause, "NAME", take_name, run_order, plain_lists,
		"stop a machine's vCPUs, until kinglet resume");
MACHINE_COMMAND(resume, "NAME", take_name, run_order, plain_lists, "let a paused machine run on");
MACHINE_COMMAND(stop, "NAME [--now] [--wait]", take_name, run_stop, stop_lists,
		"press a machine's power button, or end its run");
MACHINE_COMMAND(resize, "NAME SIZE", take_name_and_size, run_resize, plain_lists,
		"set how much memory a machine's balloon takes from the guest");
MACHINE_COMMAND(snapshot, "NAME DIR [--diff BASE]", take_name_and_dir, run_snapshot, snapshot_lists,
		"save a running machine in a folder, for kinglet restore; it goes on");
MACHINE_COMMAND(wait, "NAME", take_name, run_wait, plain_lists,
		"wait until a machine ends, and exit with its status");
MACHINE_COMMAND(events, "NAME", take_name, run_events, plain_lists,
		"print what happens to a machine until it ends, as JSON");
MACHINE_COMMAND(console, "NAME", take_name, run_console, plain_lists,
		"use a machine's console on this terminal, too; Ctrl-A x leaves it");
