/* SPDX-License-Identifier: Apache-2.0 */
/* The requests, by a table. */
#include "internal.h"

#include "base/log.h"
#include "core/vcpu.h"
#include "trace/observer.h"
#include "virtio/virtio.h"

#include <string.h>

#define MS_NS UINT64_C(1000000)

/* All RAM is written to a disk, which may be slow. */
#define SAVE_PATIENCE_NS (UINT64_C(600) * 1000000000)

enum arg_type { ARG_NONE, ARG_FLAG, ARG_BYTES, ARG_MS, ARG_PATH, ARG_TEXT };

struct verb_arg {
	const char *name;
	enum arg_type type;
	bool needed;
};

enum { VERB_ARGS = JOB_TEXTS };

struct request {
	struct control_server *server;
	struct client *client;
	const struct message *message;
	const struct verb *verb;
	const cJSON *args[VERB_ARGS]; /* of the verb's names and types; or NULL */
};

struct verb {
	const char *name;
	struct verb_arg args[VERB_ARGS]; /* those that it may have; the first without a name ends */
	bool takes_fd;			 /* what the client has passed is for it */
	bool needs_machine;		 /* one that is built and has not ended */
	uint64_t patience_ns; /* until the machine's thread counts as busy; 0: the server's */
	/* The reply, or NULL: later, or *refusal. NULL: run() serves it. */
	cJSON *(*serve)(struct request *request, struct refusal *refusal);
	void (*run)(struct job *job), (*done)(struct job *job); /* of its job */
};

/* --- Events ----------------------------------------------------------------------------------- */

void event_send(struct control_server *server, cJSON *event)
{
	_cleanup_free_ char *line = json_line(event);

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients.list[i];

		if (!client->hears)
			continue;
		client_send(client, line);
		client_settle(client);
	}
}

/* --- Requests that the machine's thread serves ------------------------------------------------ */

static cJSON *hand_over(struct request *request, void (*run)(struct job *job))
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		client_send(request->client, NULL);
		return NULL;
	}
	job->run = run;
	job->done = request->verb->done;
	job->ok = cJSON_CreateObject();
	job->id = cJSON_Duplicate(request->message->id, true);
	job->patience_ns = request->verb->patience_ns ? request->verb->patience_ns :
							request->server->patience_ns;
	job->passed_fd = request->verb->takes_fd ? steal_fd(&request->client->passed_fd) : -1;
	for (unsigned i = 0; i < VERB_ARGS; i++) {
		const cJSON *arg = request->args[i];
		const char *text = cJSON_GetStringValue(arg);

		if (arg && cJSON_IsNumber(arg))
			job->number = arg->valuedouble;
		if (text)
			snprintf(job->texts[i], JOB_TEXT_MAX, "%s", text);
	}
	job_start(request->server, request->client, job);
	return NULL;
}

static void refuse_pause(struct job *job, int ret, const char *already)
{
	if (ret == -EALREADY)
		refuse(&job->refusal, BAD_STATE, "%s", already);
	else if (ret == -EINPROGRESS)
		refuse(&job->refusal, BAD_STATE, "the machine is moving");
	else if (ret == -EAGAIN)
		refuse(&job->refusal, BAD_STATE, "another program has its storage");
	else if (ret)
		refuse(&job->refusal, BAD_STATE, "a debugger decides which vCPUs run (--gdb)");
}

static void run_pause(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;

	refuse_pause(job, parts->ops->pause(parts->vm), "the machine is paused already");
}

static void run_resume(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;

	refuse_pause(job, parts->ops->resume(parts->vm), "the machine is not paused");
}

static void change_state(struct job *job, enum machine_state state, const char *event)
{
	if (job->refusal.code || job->server->state == STATE_ENDING)
		return;
	job->server->state = state;
	event_send(job->server, event_new(event));
}

static void paused(struct job *job)
{
	change_state(job, STATE_PAUSED, "paused");
}

static void resumed(struct job *job)
{
	change_state(job, STATE_RUNNING, "resumed");
}

static void run_press(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;
	int ret = parts->ops->press_power(parts->vm);

	if (ret == -EOPNOTSUPP)
		refuse(&job->refusal, REFUSED, "this machine has no power button; \"now\":true "
		       "(kinglet stop --now) ends the run without asking the guest");
	else if (ret)
		refuse(&job->refusal, FAILED, "the power button: %s", strerror(-ret));
}

static cJSON *serve_stop(struct request *request, struct refusal *refusal)
{
	const struct verdict quit = { .outcome = OUTCOME_QUIT, .detail = "stopped by control" };
	struct control_server *server = request->server;

	if (cJSON_IsTrue(request->args[0])) {
		server->parts->ops->end(server->parts->vm, &quit);
		return cJSON_CreateObject();
	}
	if (server->state == STATE_BUILDING) {
		refuse(refusal, BAD_STATE, "the machine is being built");
		return NULL;
	}
	return hand_over(request, run_press);
}

static void run_resize(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;
	int ret = -EOPNOTSUPP;

	for (unsigned i = 0; i < parts->device_count && ret == -EOPNOTSUPP; i++)
		if (parts->devices[i]->model->resize)
			ret = parts->devices[i]->model->resize(parts->devices[i],
							       (uint64_t)job->number);
	if (ret == -EOPNOTSUPP)
		refuse(&job->refusal, REFUSED, "the machine has no balloon (--balloon)");
	else if (ret)
		refuse(&job->refusal, BAD_REQUEST, "\"memory\" is no multiple of 4096 below the "
		       "guest's memory");
}

/* What is wrong with the request or the machine; the rest is the host's. */
static enum refusal_code save_code(int ret)
{
	switch (-ret) {
	case EBUSY:
	case ECANCELED:
		return BAD_STATE;
	case EBADMSG:
	case EEXIST:
	case EINVAL:
	case ELOOP:
	case ENAMETOOLONG:
	case ENOENT:
	case ENOTDIR:
	case EOPNOTSUPP:
	case EPERM:
		return REFUSED;
	default:
		return FAILED;
	}
}

static void run_snapshot(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;
	const char *dir = job->texts[0], *base = job->texts[1];
	int ret = parts->ops->save(parts->vm, dir, *base ? base : NULL);

	if (ret)
		refuse(&job->refusal, save_code(ret),
		       "the machine could not be saved in %.100s: %s; its own messages say more",
		       dir, strerror(-ret));
}

static void run_migrate(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;
	const struct machine_move move = {
		.fd = steal_fd(&job->passed_fd),
		.target = job->texts[0],
		.downtime_ns = (uint64_t)job->number * MS_NS,
	};
	char why[160];
	int ret;

	log_keep(why, sizeof(why));
	ret = parts->ops->migrate(parts->vm, &move);
	log_keep(NULL, 0);
	if (ret)
		refuse(&job->refusal, ret == -EBUSY ? BAD_STATE : REFUSED, "%s",
		       *why ? why : strerror(-ret));
}

static void run_cancel(struct job *job)
{
	const struct machine_parts *parts = job->server->parts;
	int ret = parts->ops->cancel_migration(parts->vm);

	if (ret)
		refuse(&job->refusal, BAD_STATE, "%s", ret == -EBUSY ? "it is too late" :
		       "the machine is not moving");
}

static cJSON *serve_migrate(struct request *request, struct refusal *refusal)
{
	if (cJSON_IsTrue(request->args[2]))
		return hand_over(request, run_cancel);
	if (!request->args[0])
		refuse(refusal, BAD_REQUEST, "migrate needs \"target\" or \"cancel\"");
	else if (request->client->passed_fd < 0)
		refuse(refusal, BAD_REQUEST,
		       "migrate needs a socket that is connected to its target (SCM_RIGHTS)");
	return refusal->code ? NULL : hand_over(request, run_migrate);
}

static void run_stats(struct job *job)
{
	cJSON_Delete(job->ok);
	job->ok = stats_json(job->server->parts);
}

/* --- Requests that the main thread serves ----------------------------------------------------- */

static cJSON *serve_info(struct request *request, struct refusal *refusal)
{
	(void)refusal;
	return info_json(request->server);
}

static cJSON *serve_events(struct request *request, struct refusal *refusal)
{
	(void)refusal;
	request->client->hears = request->client->stays = true;
	return cJSON_CreateObject();
}

static cJSON *serve_wait(struct request *request, struct refusal *refusal)
{
	cJSON **wait = &request->server->waits[request->client - request->server->clients.list];

	if (*wait) {
		refuse(refusal, BAD_STATE, "this client waits already");
		return NULL;
	}
	*wait = request->message->id ? cJSON_Duplicate(request->message->id, true) :
				       cJSON_CreateNull();
	request->client->stays = true;
	return NULL;
}

static cJSON *serve_console(struct request *request, struct refusal *refusal)
{
	struct control_server *server = request->server;

	if (server->waits[request->client - server->clients.list])
		refuse(refusal, BAD_STATE, "this client waits for the end");
	else if (!screen_add(server, request->client))
		refuse(refusal, REFUSED, "the machine has no console (--serial, --console)");
	return refusal->code ? NULL : cJSON_CreateObject();
}

/* --- The table -------------------------------------------------------------------------------- */

static const struct verb verbs[] = {
	{ .name = "info", .serve = serve_info },
	{ .name = "stats", .run = run_stats, .needs_machine = true },
	{ .name = "pause", .run = run_pause, .done = paused, .needs_machine = true },
	{ .name = "resume", .run = run_resume, .done = resumed, .needs_machine = true },
	{ .name = "stop", .args = { { .name = "now", .type = ARG_FLAG } }, .serve = serve_stop },
	{ .name = "resize", .args = { { "memory", ARG_BYTES, .needed = true } },
	  .run = run_resize, .needs_machine = true },
	{ .name = "snapshot",
	  .args = { { "dir", ARG_PATH, .needed = true }, { .name = "base", .type = ARG_PATH } },
	  .run = run_snapshot, .needs_machine = true, .patience_ns = SAVE_PATIENCE_NS },
	{ .name = "migrate",
	  .args = { { .name = "target", .type = ARG_TEXT },
		    { .name = "downtime_ms", .type = ARG_MS },
		    { .name = "cancel", .type = ARG_FLAG } },
	  .serve = serve_migrate, .needs_machine = true, .takes_fd = true },
	{ .name = "events", .serve = serve_events },
	{ .name = "wait", .serve = serve_wait },
	{ .name = "console", .serve = serve_console, .needs_machine = true },
};

static const struct verb *find_verb(const char *name, struct refusal *refusal)
{
	for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	refuse(refusal, UNKNOWN_REQUEST, "there is no request \"%.40s\"", name);
	return NULL;
}

static bool has_type(const cJSON *arg, enum arg_type type)
{
	double number = arg->valuedouble;

	if (type == ARG_FLAG)
		return cJSON_IsBool(arg);
	if (type == ARG_PATH || type == ARG_TEXT)
		return cJSON_IsString(arg) && (type == ARG_TEXT || *arg->valuestring == '/') &&
		       strlen(arg->valuestring) < JOB_TEXT_MAX;
	return cJSON_IsNumber(arg) && number >= 0 &&
	       number <= (type == ARG_MS ? MACHINE_DOWNTIME_MAX_NS / MS_NS : EXACT_MAX) &&
	       number == (double)(uint64_t)number;
}

/* Which one it is, or -1. */
static int find_arg(const struct verb *verb, const char *name)
{
	for (int i = 0; i < VERB_ARGS && verb->args[i].name; i++)
		if (!strcmp(verb->args[i].name, name))
			return i;
	return -1;
}

static void take_args(struct request *request, const struct verb *verb, struct refusal *refusal)
{
	static const char *const types[] = {
		[ARG_FLAG] = "true or false",
		[ARG_BYTES] = "a whole number of bytes",
		[ARG_MS] = "a whole number of milliseconds, at most 5000",
		[ARG_PATH] = "a path from the root",
		[ARG_TEXT] = "a text",
	};
	const cJSON *args = request->message->args;

	for (const cJSON *arg = args ? args->child : NULL; arg; arg = arg->next) {
		int i = find_arg(verb, arg->string);

		if (i < 0) {
			refuse(refusal, BAD_REQUEST, "%s has no argument \"%.40s\"", verb->name,
			       arg->string);
			return;
		}
		if (request->args[i]) {
			refuse(refusal, BAD_REQUEST, "\"%s\" of %s is there twice", arg->string,
			       verb->name);
			return;
		}
		request->args[i] = arg;
	}
	for (unsigned i = 0; i < VERB_ARGS && verb->args[i].name && !refusal->code; i++) {
		const struct verb_arg *want = &verb->args[i];
		const cJSON *arg = request->args[i];

		if (arg && !has_type(arg, want->type))
			refuse(refusal, BAD_REQUEST, "\"%s\" of %s is not %s", want->name,
			       verb->name, types[want->type]);
		else if (!arg && want->needed)
			refuse(refusal, BAD_REQUEST, "%s needs \"%s\", %s", verb->name, want->name,
			       types[want->type]);
	}
}

static void check_state(const struct control_server *server, const struct verb *verb,
			struct refusal *refusal)
{
	if (verb->needs_machine && server->state == STATE_BUILDING)
		refuse(refusal, BAD_STATE, "the machine is being built");
	else if ((verb->needs_machine || verb->args[0].name) && server->state == STATE_ENDING)
		refuse(refusal, BAD_STATE, "the run is ending");
}

static cJSON *serve(struct request *request, struct refusal *refusal)
{
	const struct verb *verb = find_verb(request->message->verb, refusal);

	if (!verb)
		return NULL;
	request->verb = verb;
	take_args(request, verb, refusal);
	if (!refusal->code)
		check_state(request->server, verb, refusal);
	if (refusal->code)
		return NULL;
	return verb->serve ? verb->serve(request, refusal) : hand_over(request, verb->run);
}

void request_serve(struct control_server *server, struct client *client, const char *line,
		   size_t len, bool excess)
{
	struct message message;
	struct request request = { .server = server, .client = client, .message = &message };
	struct refusal refusal = { .code = REFUSED_NOT };
	_cleanup_free_ char *reply = NULL;
	cJSON *ok = NULL;

	message_parse(&message, line, len, &refusal);
	if (excess)
		refuse(&refusal, BUSY, "more than %d requests in a second",
		       CLIENT_LINES_PER_SECOND);
	if (!refusal.code)
		ok = serve(&request, &refusal);
	if (refusal.code)
		reply = reply_refused(message.id, &refusal);
	else if (ok)
		reply = reply_ok(message.id, ok);
	if (refusal.code || ok)
		client_send(client, reply);
	message_destroy(&message);
}
