/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinglet migrate: connects to the target, so that names, commands and waiting are this process's
 * and not the machine's, and hands it the connection. Events tell how it goes.
 */
#include "client.h"

#include "base/log.h"
#include "base/signals.h"
#include "cmd/commands.h"
#include "host/endpoint.h"
#include "machine/observer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

enum { MIGRATE_ID = 2, CANCEL_ID = 3, SIGNAL_BASE = 128, LINE_MAX_LEN = 100 };

struct migrate_options {
	struct common_options common;
	const char *name, *target; /* borrowed; NULL: not given */
	uint64_t downtime_ns;	   /* 0: not given */
	bool cancel;
};

struct mover {
	struct control_client client;
	bool one_line;	/* standard error is a terminal: a round's line replaces the last one's */
	bool line_open; /* such a line is there */
	bool cancelled;
	int status;
};

/* --- How it goes ------------------------------------------------------------------------------ */

static const char *string_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* What is said next begins on a line of its own. */
static void close_line(struct mover *mover)
{
	if (mover->line_open)
		dprintf(STDERR_FILENO, "\n");
	mover->line_open = false;
}

static void show_round(struct mover *mover, const cJSON *event)
{
	const double mib = 1 << 20;
	const cJSON *expected = cJSON_GetObjectItemCaseSensitive(event, "expected_ms");
	char line[LINE_MAX_LEN * 2], wait[32] = "";

	if (cJSON_IsNumber(expected))
		snprintf(wait, sizeof(wait), ", %.0f ms to stand still", expected->valuedouble);
	snprintf(line, sizeof(line),
		 "round %.0f: %.0f pages left, %.1f MiB/s, %.1f MiB/s written, %.1f MiB sent%s",
		 number_of(event, "round"), number_of(event, "left") / 4096,
		 number_of(event, "rate") / mib, number_of(event, "written") / mib,
		 number_of(event, "sent") / mib, wait);
	if (mover->one_line)
		dprintf(STDERR_FILENO, "\r%s\033[K", line);
	else
		log_plain("%s", line);
	mover->line_open = mover->one_line;
}

/* The machine's word, and what this command ends with. */
static const struct outcome_word {
	const char *event;
	int status;
	const char *text;
} outcomes[] = {
	{ "stays", EXIT_HOST, "stays here: " },
	{ "frozen", EXIT_LOST, "stands still: " },
	{ "ended", EXIT_HOST, "ended before it had moved: " },
};

/* The verdict's detail may be a guest's own words, but not that of this outcome. */
static bool has_moved(const cJSON *ended)
{
	return !strcmp(string_of(ended, "outcome"), outcome_word(OUTCOME_QUIT)) &&
	       !strncmp(string_of(ended, "detail"), "moved to ", 9);
}

/* Whether it is known how it ended. */
static bool hear_event(struct mover *mover, const cJSON *object)
{
	const char *event = string_of(object, "event"), *detail = string_of(object, "detail");

	if (!strcmp(event, "moves"))
		show_round(mover, object);
	for (unsigned i = 0; i < ARRAY_SIZE(outcomes); i++) {
		if (strcmp(event, outcomes[i].event) != 0)
			continue;
		close_line(mover);
		if (!strcmp(event, "ended") && has_moved(object)) {
			mover->status = EXIT_SUCCESS;
			log_plain("%.200s", detail);
			return true;
		}
		mover->status = outcomes[i].status;
		log_error("machine %.80s: %s%.400s", mover->client.name, outcomes[i].text, detail);
		return true;
	}
	return false;
}

/* The same of any line. */
static bool hear(struct mover *mover, const cJSON *object)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(object, "error");

	if (!error)
		return hear_event(mover, object);
	close_line(mover);
	log_error("machine %.80s: %.300s", mover->client.name, string_of(error, "message"));
	mover->status = EXIT_USAGE;
	return number_of(object, "id") != CANCEL_ID;
}

/* --- Requests --------------------------------------------------------------------------------- */

static int request(struct control_client *client, const struct migrate_options *options, int fd)
{
	const uint64_t downtime_ms = options->downtime_ns / 1000000;
	cJSON *args = cJSON_CreateObject();
	char *text = NULL;
	int ret = -ENOMEM;

	cJSON_AddStringToObject(args, "target", options->target);
	if (downtime_ms)
		cJSON_AddNumberToObject(args, "downtime_ms", (double)downtime_ms);
	text = cJSON_PrintUnformatted(args);
	if (text)
		ret = control_client_pass(client, MIGRATE_ID, "migrate", text, fd);
	cJSON_free(text);
	cJSON_Delete(args);
	return ret;
}

/* The first one cancels the migration, whose end is waited for; the second ends this program. */
static int take_signal(struct mover *mover)
{
	struct signalfd_siginfo info;

	if (read(mover->client.wake_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (mover->cancelled) {
		close_line(mover);
		mover->status = SIGNAL_BASE + (int)info.ssi_signo;
		return -EINTR;
	}
	mover->cancelled = true;
	return control_client_send(&mover->client, CANCEL_ID, "migrate", "{\"cancel\":true}");
}

static int watch(struct mover *mover)
{
	bool ended = false;
	int ret = 0;

	mover->client.deadline_ns = CONTROL_CLIENT_FOREVER;
	while (!ret && !ended) {
		cJSON *object = NULL;

		ret = control_client_next(&mover->client, &object);
		if (ret == -EINTR)
			ret = take_signal(mover);
		else if (!ret)
			ended = hear(mover, object);
		cJSON_Delete(object);
	}
	return ret;
}

/* To be watched for. */
static int block_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	signals_add(&set, SIGINT);
	signals_add(&set, SIGTERM);
	signals_add(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Before a command is started, or a Kinglet told; 1: it cannot move, which is logged. */
static int check(struct mover *mover)
{
	const cJSON *can_move;
	cJSON *info = NULL;
	int ret = control_client_ask(&mover->client, "info", "{}", &info);

	can_move = cJSON_GetObjectItemCaseSensitive(info, "can_move");
	if (!ret && cJSON_IsFalse(can_move)) {
		log_error("machine %.80s: cannot move: %.300s", mover->client.name,
			  string_of(info, "stays_because"));
		mover->status = EXIT_USAGE;
		ret = 1;
	}
	cJSON_Delete(info);
	return ret;
}

/* Until the request is made, a signal ends this program, and nothing has begun. */
static int move(struct mover *mover, const struct migrate_options *options)
{
	cJSON *answer = NULL;
	/* Before the first of them can happen. */
	int ret = control_client_ask(&mover->client, "events", "{}", &answer);
	_cleanup_close_ int fd = ret ? -1 : endpoint_connect(options->target), signals = -1;

	cJSON_Delete(answer);
	if (!ret && fd < 0) {
		mover->status = fd == -EINVAL ? EXIT_USAGE : EXIT_HOST;
		return 0;
	}
	if (!ret)
		ret = signals = block_signals();
	if (ret < 0)
		return ret;
	mover->client.wake_fd = signals;
	ret = request(&mover->client, options, fd);
	/* The machine has a copy, whose end is the connection's. */
	close_fd(&fd);
	return ret ? ret : watch(mover);
}

static int cancel(struct mover *mover)
{
	cJSON *answer = NULL;
	int ret = control_client_ask(&mover->client, "migrate", "{\"cancel\":true}", &answer);

	cJSON_Delete(answer);
	mover->status = EXIT_SUCCESS;
	return ret;
}

static int run(struct common_options *common)
{
	const struct migrate_options *options = container_of(common, struct migrate_options, common);
	struct mover mover = { .one_line = isatty(STDERR_FILENO), .status = EXIT_HOST };
	int ret = control_client_open(&mover.client, options->name, CONTROL_CLIENT_PATIENCE_MS);

	if (!ret)
		ret = options->cancel ? cancel(&mover) : check(&mover);
	if (!ret && !options->cancel)
		ret = move(&mover, options);
	close_line(&mover);
	if (ret < 0 && ret != -EINTR)
		mover.status = control_client_log_failure(&mover.client, "migrate", ret);
	control_client_close(&mover.client);
	return mover.status;
}

/* --- The command ------------------------------------------------------------------------------ */

static int take(struct common_options *common, const char *text)
{
	struct migrate_options *options = container_of(common, struct migrate_options, common);

	if (!options->name) {
		options->name = text;
		return 0;
	}
	if (!options->target) {
		options->target = text;
		return 0;
	}
	log_error("%.80s: one target is enough: %.80s", text, options->target);
	return -EINVAL;
}

static int finish(struct common_options *common, int argc, char **argv)
{
	const struct migrate_options *options = container_of(common, struct migrate_options, common);

	(void)argv;
	if (argc < 0 && options->name && !options->target == options->cancel)
		return 0;
	log_error("write kinglet migrate %s", common->command->synopsis);
	return -EINVAL;
}

static const struct option migrate_options[] = {
	{
		.name = "downtime", .metavar = "TIME", .kind = OPTION_DURATION,
		.min = 1000000, .max = MACHINE_DOWNTIME_MAX_NS,
		.help = "let the guest stand still for so long at most, while what it has written "
			"last is sent: 50ms, 2s. Default: 300ms",
		OPTION_FIELD(struct migrate_options, downtime_ns),
	},
	{
		.name = "cancel", .kind = OPTION_FLAG,
		.help = "end the migration that is going on; the machine stays",
		OPTION_FIELD(struct migrate_options, cancel),
	},
};

static const struct option_list migrate_option_list = {
	.name = "migrate",
	.title = "How it moves",
	.table = migrate_options,
	.count = ARRAY_SIZE(migrate_options),
};

static const struct option_list *const lists[] = {
	&migrate_option_list,
	&common_option_list,
	NULL,
};

const struct command command_migrate = {
	.name = "migrate",
	.synopsis = "NAME TARGET [--downtime TIME] | NAME --cancel",
	.summary = "move a running machine to a kinglet run --incoming",
	.about = "NAME is a machine's name, as kinglet list shows it, or the path of its socket,\n"
		 "with a slash. TARGET is unix:PATH, tcp:HOST:PORT, or exec:COMMAND, whose\n"
		 "standard input and output lead there: exec:ssh HOST kinglet run --incoming\n"
		 "fd=0. Ctrl-C ends the migration, and the machine stays.\n"
		 "Exit status: 0 the machine runs there; 100 no such machine, or it refuses; 101\n"
		 "it goes on here, or the host fails; 104 it may run there, so that it stands\n"
		 "still here until kinglet resume.\n",
	.options = lists,
	.options_size = sizeof(struct migrate_options),
	.argument = take,
	.finish = finish,
	.run = run,
};
