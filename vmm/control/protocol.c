/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
	[UNKNOWN_REQUEST] = "unknown-request",
	[BAD_REQUEST] = "bad-request",
	[BAD_STATE] = "bad-state",
	[BUSY] = "busy",
	[REFUSED] = "refused",
	[FAILED] = "failed",
};

void refuse(struct refusal *refusal, enum refusal_code code, const char *fmt, ...)
{
	va_list args;

	refusal->code = code;
	va_start(args, fmt);
	vsnprintf(refusal->message, sizeof(refusal->message), fmt, args);
	va_end(args);
}

/* --- In --------------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void check_members(const struct message *message, struct refusal *refusal)
{
	static const char *const known[] = { "id", "do", "args" };

	for (const cJSON *item = message->root->child; item; item = item->next) {
		unsigned i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(item->string, known[i]) != 0)
			i++;
		if (i == ARRAY_SIZE(known)) {
			refuse(refusal, BAD_REQUEST, "\"%.40s\" is no member of a request: id, do, "
			       "args", item->string);
			return;
		}
		if (member(message->root, item->string) != item) {
			refuse(refusal, BAD_REQUEST, "\"%s\" is there twice", item->string);
			return;
		}
	}
}

/* As a byte or as an escape. A backslash is in a string, or the line is no JSON. */
static bool has_nul(const char *line, size_t len)
{
	static const char escape[] = { '\\', 'u', '0', '0', '0', '0' };

	for (size_t i = 0; i < len; i++) {
		if (!line[i] ||
		    (len - i >= sizeof(escape) && !memcmp(line + i, escape, sizeof(escape))))
			return true;
		if (line[i] == '\\')
			i++;
	}
	return false;
}

/* White space may follow. */
static cJSON *parse(const char *line, size_t len)
{
	const char *end = NULL;
	cJSON *root = cJSON_ParseWithLengthOpts(line, len, &end, false);

	if (!root)
		return NULL;
	while (end < line + len && strchr(" \t\r", *end) && *end)
		end++;
	if (end == line + len && cJSON_IsObject(root))
		return root;
	cJSON_Delete(root);
	return NULL;
}

/* A larger number is not known exactly, and so could not be repeated. */
static bool is_id(const cJSON *id)
{
	return cJSON_IsString(id) ||
	       (cJSON_IsNumber(id) && id->valuedouble >= -EXACT_MAX && id->valuedouble <= EXACT_MAX);
}

void message_parse(struct message *message, const char *line, size_t len, struct refusal *refusal)
{
	const cJSON *id, *verb, *args;

	*message = (struct message){ .root = NULL };
	/* What follows it would be lost to C's strings. */
	if (has_nul(line, len)) {
		refuse(refusal, BAD_REQUEST, "the line has a NUL");
		return;
	}
	message->root = parse(line, len);
	if (!message->root) {
		refuse(refusal, BAD_REQUEST, "the line is no JSON object");
		return;
	}
	id = member(message->root, "id");
	verb = member(message->root, "do");
	args = member(message->root, "args");
	if (is_id(id))
		message->id = id;
	message->verb = cJSON_GetStringValue(verb);
	message->args = args;
	if (id && !message->id)
		refuse(refusal, BAD_REQUEST,
		       "\"id\" is neither a string nor a number up to 2^53 - 1");
	else if (!message->verb)
		refuse(refusal, BAD_REQUEST,
		       "\"do\" is missing or no string: it names the request");
	else if (args && !cJSON_IsObject(args))
		refuse(refusal, BAD_REQUEST, "\"args\" is no object");
	else
		check_members(message, refusal);
}

void message_destroy(struct message *message)
{
	cJSON_Delete(message->root);
}

/* --- Out -------------------------------------------------------------------------------------- */

void json_put_text(cJSON *object, const char *key, const char *text)
{
	size_t size = 3 * strlen(text) + 1; /* each byte may become U+FFFD */
	_cleanup_free_ char *clean = malloc(size);

	if (!clean)
		return;
	utf8_clean(clean, size, text, strlen(text));
	cJSON_AddStringToObject(object, key, clean);
}

char *json_line(cJSON *json)
{
	char *line = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	return line;
}

/* cJSON's own numbers have 15 digits where that is nearly right. */
static void put_exactly(cJSON *object, const char *key, double number)
{
	char text[32];

	snprintf(text, sizeof(text), "%.17g", number);
	cJSON_AddRawToObject(object, key, text);
}

/* An id is echoed as it came, but in UTF-8. */
static cJSON *start_reply(const cJSON *id)
{
	cJSON *reply = cJSON_CreateObject();

	if (cJSON_IsString(id))
		json_put_text(reply, "id", id->valuestring);
	else if (id)
		put_exactly(reply, "id", id->valuedouble);
	else
		cJSON_AddNullToObject(reply, "id");
	return reply;
}

char *reply_ok(const cJSON *id, cJSON *ok)
{
	cJSON *reply = start_reply(id);

	if (!ok || !cJSON_AddItemToObject(reply, "ok", ok)) {
		cJSON_Delete(ok);
		cJSON_Delete(reply);
		return NULL;
	}
	return json_line(reply);
}

char *reply_refused(const cJSON *id, const struct refusal *refusal)
{
	cJSON *reply = start_reply(id);
	cJSON *error = cJSON_AddObjectToObject(reply, "error");

	cJSON_AddStringToObject(error, "code", code_names[refusal->code]);
	json_put_text(error, "message", refusal->message);
	return json_line(reply);
}

cJSON *event_new(const char *name)
{
	cJSON *event = cJSON_CreateObject();

	cJSON_AddStringToObject(event, "event", name);
	return event;
}

cJSON *verdict_json(cJSON *object, const struct verdict *verdict, const char *outcome)
{
	cJSON_AddStringToObject(object, "outcome", outcome);
	cJSON_AddNumberToObject(object, "status", verdict->status);
	json_put_text(object, "detail", verdict->detail);
	return object;
}
