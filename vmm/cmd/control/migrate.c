/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinglet migrate: connects to the target, so that names, commands and waiting are this process's
 * and not the machine's, and hands it the connection. Events tell how it goes.
 */
#include "client.h"

#include "base/log.h"
#include "cmd/commands.h"
#include "host/endpoint.h"

#include <stdbool.h>
#include <string.h>

enum { MIGRATE_ID = 2 };

struct migrate_options {
	struct common_options common;
	const char *name, *target; /* borrowed; NULL: not given */
};

/* --- How it goes ------------------------------------------------------------------------------ */

static const char *string_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

/* Whether it is known how it ended, and then the exit status. */
static bool hear(const struct control_client *client, const cJSON *object, int *status)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(object, "error");
	const char *event = string_of(object, "event"), *detail = string_of(object, "detail");
	bool stays = !strcmp(event, "stays"), ended = !strcmp(event, "ended");

	*status = EXIT_HOST;
	if (error) {
		*status = EXIT_USAGE;
		log_error("machine %.80s: %.300s", client->name, string_of(error, "message"));
	} else if (stays) {
		log_error("machine %.80s: stays here: %.200s", client->name, detail);
	} else if (ended && !strncmp(detail, "moved to ", 9)) {
		*status = EXIT_SUCCESS;
	} else if (ended) {
		log_error("machine %.80s: ended before it had moved: %.200s", client->name, detail);
	} else if (!strcmp(event, "moves")) {
		log_plain("%.160s", detail);
	}
	return error || stays || ended;
}

/* --- Requests --------------------------------------------------------------------------------- */

static int request(struct control_client *client, const struct migrate_options *options, int fd)
{
	cJSON *args = cJSON_CreateObject();
	char *text = NULL;
	int ret = -ENOMEM;

	if (cJSON_AddStringToObject(args, "target", options->target))
		text = cJSON_PrintUnformatted(args);
	if (text)
		ret = control_client_pass(client, MIGRATE_ID, "migrate", text, fd);
	cJSON_free(text);
	cJSON_Delete(args);
	return ret;
}

static int watch(struct control_client *client, int *status)
{
	bool ended = false;
	int ret = 0;

	client->deadline_ns = CONTROL_CLIENT_FOREVER;
	while (!ret && !ended) {
		cJSON *object = NULL;

		ret = control_client_next(client, &object);
		if (!ret)
			ended = hear(client, object, status);
		cJSON_Delete(object);
	}
	return ret;
}

/* The machine lets its clients wait as long as it is asked for nothing. */
static int move(struct control_client *client, const struct migrate_options *options, int *status)
{
	cJSON *answer = NULL;
	/* Before the first of them can happen. */
	int ret = control_client_ask(client, "events", "{}", &answer);
	_cleanup_close_ int fd = ret ? -1 : endpoint_connect(options->target);

	cJSON_Delete(answer);
	if (!ret && fd < 0) {
		*status = fd == -EINVAL ? EXIT_USAGE : EXIT_HOST;
		return 0;
	}
	if (!ret)
		ret = request(client, options, fd);
	/* The machine has a copy, whose end is the connection's. */
	close_fd(&fd);
	return ret ? ret : watch(client, status);
}

static int run(struct common_options *common)
{
	const struct migrate_options *options = container_of(common, struct migrate_options, common);
	struct control_client client;
	int ret = control_client_open(&client, options->name, CONTROL_CLIENT_PATIENCE_MS);
	int status = EXIT_HOST;

	if (!ret)
		ret = move(&client, options, &status);
	if (ret)
		status = control_client_log_failure(&client, "migrate", ret);
	control_client_close(&client);
	return status;
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
	if (argc < 0 && options->name && options->target)
		return 0;
	log_error("write kinglet migrate %s", common->command->synopsis);
	return -EINVAL;
}

static const struct option_list *const lists[] = { &common_option_list, NULL };

const struct command command_migrate = {
	.name = "migrate",
	.synopsis = "NAME TARGET",
	.summary = "move a running machine to a kinglet run --incoming",
	.about = "NAME is a machine's name, as kinglet list shows it, or the path of its socket,\n"
		 "with a slash. TARGET is unix:PATH, tcp:HOST:PORT, or exec:COMMAND, whose\n"
		 "standard input and output lead there: exec:ssh HOST kinglet run --incoming\n"
		 "fd=0.\n"
		 "Exit status: 0 the machine runs there; 100 no such machine, or it refuses; 101\n"
		 "it goes on here, or the host fails.\n",
	.options = lists,
	.options_size = sizeof(struct migrate_options),
	.argument = take,
	.finish = finish,
	.run = run,
};
