/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the control protocol (docs/control.md), as JSON. Private to vmm/control. */
#ifndef KINGLET_CONTROL_PROTOCOL_H
#define KINGLET_CONTROL_PROTOCOL_H

#include "base/cleanup.h"
#include "machine/machine.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* The largest number up to which JSON's have no gaps. */
#define EXACT_MAX 9007199254740991.0

enum refusal_code {
	REFUSED_NOT, /* it is none */
	UNKNOWN_REQUEST,
	BAD_REQUEST,
	BAD_STATE,
	BUSY,
	REFUSED,
	FAILED, /* by the host */
};

struct refusal {
	enum refusal_code code;
	char message[200];
};

void refuse(struct refusal *refusal, enum refusal_code code, const char *fmt, ...) __printf(3, 4);

struct message {
	cJSON *root;	   /* owned */
	const cJSON *id;   /* a string or a number; NULL: none */
	const char *verb;  /* "do" */
	const cJSON *args; /* an object, or NULL */
};

/*
 * Untrusted text. On a refusal the id may be known nevertheless. Pair with message_destroy() in any
 * case.
 */
void message_parse(struct message *message, const char *line, size_t len, struct refusal *refusal);
void message_destroy(struct message *message);

/* Lines to send, to be freed; NULL: no memory. They take over *ok and *event. */
char *reply_ok(const cJSON *id, cJSON *ok);
char *reply_refused(const cJSON *id, const struct refusal *refusal);
char *json_line(cJSON *json);

cJSON *event_new(const char *name);
cJSON *verdict_json(cJSON *object, const struct verdict *verdict, const char *outcome);

/* A text that need not be UTF-8, as a member. */
void json_put_text(cJSON *object, const char *key, const char *text);

#endif
