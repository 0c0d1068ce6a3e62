/* SPDX-License-Identifier: Apache-2.0 */
/* kinglet migrate: a request whose outcome is told by events. */
#include "client.h"
#include "control.h"

#include "base/log.h"
#include "cmd/commands.h"

#include <stdbool.h>
#include <string.h>

enum { MIGRATE_ID = 2 };

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

static int request(struct control_client *client, const char *target)
{
	cJSON *args = cJSON_CreateObject();
	char *text = NULL;
	int ret = -ENOMEM;

	if (cJSON_AddStringToObject(args, "target", target))
		text = cJSON_PrintUnformatted(args);
	if (text)
		ret = control_client_send(client, MIGRATE_ID, "migrate", text);
	cJSON_free(text);
	cJSON_Delete(args);
	return ret;
}

int control_move(struct control_client *client, const char *target, int *status)
{
	cJSON *object = NULL;
	/* Before the first of them can happen. */
	int ret = control_client_ask(client, "events", "{}", &object);
	bool ended = false;

	cJSON_Delete(object);
	if (!ret)
		ret = request(client, target);
	client->deadline_ns = CONTROL_CLIENT_FOREVER;
	while (!ret && !ended) {
		ret = control_client_next(client, &object);
		if (!ret)
			ended = hear(client, object, status);
		cJSON_Delete(object);
	}
	return ret;
}
