/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients want of the machine's thread. Each has its answer within a time, its request's
 * patience, if only that the machine is busy; what the machine does later is not undone.
 */
#include "internal.h"

#include "core/sys.h"

/* Those of clients that have left included. */
enum { JOBS_MAX = 4 * CLIENTS_MAX };

static void free_job(struct job *job)
{
	cJSON_Delete(job->id);
	cJSON_Delete(job->ok);
	close_fd(&job->passed_fd);
	free(job);
}

/* Then its client may ask the next. */
static void answer(struct job *job)
{
	struct client *client = job->client;
	_cleanup_free_ char *line = NULL;

	if (!client)
		return;
	job->client = NULL;
	if (job->refusal.code)
		line = reply_refused(job->id, &job->refusal);
	else
		line = reply_ok(job->id, steal_ptr(job->ok));
	client_send(client, line);
	client_answered(client);
}

/* For the first that is not late yet. */
static void set_deadline(struct control_server *server, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	for (const struct job *job = server->jobs; job; job = job->next)
		if (!job->late && job->deadline_ns < first)
			first = job->deadline_ns;
	if (first != UINT64_MAX)
		loop_timer_set(&server->deadline, first > now ? first - now : 1);
}

static void run(struct machine_ask *ask)
{
	struct job *job = container_of(ask, struct job, ask);

	job->run(job);
}

static void answered(struct machine_ask *ask)
{
	struct job *job = container_of(ask, struct job, ask), **at = &job->server->jobs;

	/* It may close the client, which is then found in the list. */
	if (job->done)
		job->done(job);
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	answer(job);
	free_job(job);
}

void jobs_late(struct loop_timer *timer)
{
	struct control_server *server = container_of(timer, struct control_server, deadline);
	uint64_t now = sys_now_ns();

	for (struct job *job = server->jobs; job; job = job->next) {
		struct client *client = job->client;
		_cleanup_free_ char *line = NULL;
		struct refusal late;

		if (job->late || job->deadline_ns > now)
			continue;
		/* The job itself is the machine's thread's now. */
		job->late = true;
		if (!client)
			continue;
		refuse(&late, BUSY, "the machine does not answer; what was asked may yet be done");
		line = reply_refused(job->id, &late);
		job->client = NULL;
		client_send(client, line);
		client_answered(client);
	}
	set_deadline(server, now);
}

/* One is late already, or clients have come, asked and gone for too long. */
static bool is_busy(const struct control_server *server)
{
	unsigned count = 0;

	for (const struct job *job = server->jobs; job; job = job->next, count++)
		if (job->late)
			return true;
	return count >= JOBS_MAX;
}

static void refuse_job(struct client *client, struct job *job)
{
	_cleanup_free_ char *line = NULL;

	refuse(&job->refusal, BUSY, "the machine has not answered an earlier request yet");
	line = reply_refused(job->id, &job->refusal);
	client_send(client, line);
	free_job(job);
}

void job_start(struct control_server *server, struct client *client, struct job *job)
{
	struct job **at = &server->jobs;
	uint64_t now = sys_now_ns();

	if (is_busy(server)) {
		refuse_job(client, job);
		return;
	}
	job->ask.run = run;
	job->ask.answered = answered;
	job->server = server;
	job->client = client;
	client->busy = true;
	while (*at)
		at = &(*at)->next;
	*at = job;
	job->deadline_ns = now + job->patience_ns;
	set_deadline(server, now);
	server->parts->ops->ask(server->parts->vm, &job->ask);
}

void jobs_forget(struct control_server *server, const struct client *client)
{
	for (struct job *job = server->jobs; job; job = job->next)
		if (job->client == client)
			job->client = NULL;
}

void jobs_end(struct control_server *server)
{
	for (struct job *job = server->jobs; job; job = job->next) {
		_cleanup_free_ char *line = NULL;
		struct refusal ended;

		if (!job->client)
			continue;
		refuse(&ended, BAD_STATE, "the run has ended");
		line = reply_refused(job->id, &ended);
		client_send(job->client, line);
		job->client = NULL;
	}
}

void jobs_free(struct control_server *server)
{
	while (server->jobs) {
		struct job *job = server->jobs;

		server->jobs = job->next;
		free_job(job);
	}
}
