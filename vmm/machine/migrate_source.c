/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a migration: a table of stages, each of which sends frames or waits for one. A call
 * of serve() sends no more than STEP_BYTES and a frame, so that devices are served in between.
 */
#include "migrate.h"
#include "migrate_rate.h"

#include "base/log.h"
#include "core/state.h"
#include "core/sys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SECOND UINT64_C(1000000000)

/* Rounds of a guest that writes faster than the connection; a step of serve(). */
enum { ROUNDS_MAX = 32, STEP_FRAMES = 16, STEP_BYTES = 128 << 10 };

enum stage_id { HELLO, BUILDING, ROUNDS, LAST_ROUND, STATE, LOADING, COMMITTING, STARTING };

struct stage {
	/* The next frame, or none yet; sets `filled` with the last. Negative errno. NULL: none. */
	int (*fill)(struct migrate_source *source);
	enum migrate_frame answer; /* waited for then; 0: none */
	/* Then: the next stage, or negative errno. NULL: that of the table. */
	int (*next)(struct migrate_source *source);
	/* For the stage, or for a byte to be sent in it; 0: what is left of the one before. */
	uint64_t patience_ns;
	bool by_byte;
	const char *late;
};

struct migrate_source {
	struct migrate_source_options options;
	enum stage_id stage;
	struct loop_event event;
	struct loop_timer timer;
	struct frame out;
	bool filled; /* the stage has no further frame */
	uint8_t in[sizeof(struct frame_header) + ERROR_TEXT_MAX];
	size_t in_len;
	struct page_set pages;
	bool logs;
	int state_fd; /* all but RAM, from when it stands still; -1: not yet */
	bool writes; /* the loop waits for room, too */
	struct machine_progress progress;
	uint64_t round_ns, round_sent; /* when it began, and what had been sent */
	uint64_t began_ns, frozen_ns;
	char cause[ERROR_TEXT_MAX]; /* what the machine has logged of its failure; or empty */
};

static const struct stage stages[];

/* --- The end ---------------------------------------------------------------------------------- */

static void stop(struct migrate_source *source)
{
	const struct migrate_source_options *options = &source->options;

	if (options->fd < 0)
		return;
	loop_remove(options->loop, &source->event);
	loop_timer_remove(options->loop, &source->timer);
	close_fd(&source->options.fd);
	if (source->logs)
		options->ops->log_stop(options->owner);
	source->logs = false;
	page_set_destroy(&source->pages);
	frame_destroy(&source->out);
	close_fd(&source->state_fd);
}

void migrate_source_free(struct migrate_source *source)
{
	if (!source)
		return;
	stop(source);
	free(source);
}

static void end(struct migrate_source *source, enum migrate_result result, const char *why)
{
	const struct migrate_source_options *options = &source->options;

	stop(source);
	options->ops->ended(options->owner, result, why);
}

/*
 * From the last byte of FRAME_COMMIT on, only the target knows who has the machine: without its
 * word it must not run here, whatever became of the connection.
 */
static void fail(struct migrate_source *source, bool told, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void fail(struct migrate_source *source, bool told, const char *fmt, ...)
{
	bool is_here = told || source->stage != STARTING;
	char why[ERROR_TEXT_MAX + 80];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	end(source, is_here ? MIGRATE_FAILED : MIGRATE_UNKNOWN, why);
}

/* --- Frames ----------------------------------------------------------------------------------- */

static int fill_hello(struct migrate_source *source)
{
	const size_t version = sizeof(struct le32);
	_cleanup_close_ int fd = frame_file(source->options.ops->describe, source->options.owner);
	uint8_t *payload;
	int ret = fd;

	if (fd >= 0)
		ret = frame_of_file(&source->out, FRAME_HELLO, version, fd, HELLO_MAX - version,
				    &payload);
	if (!ret)
		put_le32(payload, MIGRATE_VERSION);
	source->filled = true;
	return ret;
}

/* RAM of the target begins as zeros, so the first round does without those. */
static int fill_pages(struct migrate_source *source)
{
	struct page_run run;
	uint8_t *payload = frame_reserve(&source->out, sizeof(run.header));
	int ret = payload ? page_set_take(&source->pages, &run) : -ENOMEM;

	if (ret < 0)
		return ret;
	source->filled = !ret;
	source->progress.left = source->pages.count * MIGRATE_PAGE;
	if (source->filled || (source->progress.round == 1 && !run.len))
		return 0;
	memcpy(payload, &run.header, sizeof(run.header));
	frame_finish_with(&source->out, FRAME_PAGES, sizeof(run.header), run.pages, run.len);
	return 0;
}

static int fill_state(struct migrate_source *source)
{
	uint8_t *payload;

	source->filled = true;
	return frame_of_file(&source->out, FRAME_STATE, 0, source->state_fd, STATE_MAX_SIZE,
			     &payload);
}

static int fill_commit(struct migrate_source *source)
{
	source->filled = true;
	if (!frame_reserve(&source->out, 0))
		return -ENOMEM;
	frame_finish(&source->out, FRAME_COMMIT, 0);
	return 0;
}

/* --- Stages ----------------------------------------------------------------------------------- */

static void tell(struct migrate_source *source)
{
	const struct migrate_source_options *options = &source->options;

	source->progress.total_ns = sys_now_ns() - source->began_ns;
	if (options->ops->progressed)
		options->ops->progressed(options->owner, &source->progress);
}

static void begin_round(struct migrate_source *source)
{
	source->progress.round++;
	source->progress.left = source->pages.count * MIGRATE_PAGE;
	source->round_ns = sys_now_ns();
	source->round_sent = source->progress.sent;
	tell(source);
}

static int after_building(struct migrate_source *source)
{
	int ret = source->options.ops->log_start(source->options.owner);

	if (ret)
		return ret;
	source->logs = true;
	source->progress.expected_ns = UINT64_MAX;
	begin_round(source);
	return ROUNDS;
}

static int read_log(struct migrate_source *source)
{
	return source->options.ops->log_read(source->options.owner, page_set_add, &source->pages);
}

static int after_round(struct migrate_source *source)
{
	const struct migrate_source_options *options = &source->options;
	int ret = read_log(source);

	if (ret)
		return ret;
	rate_measure(&source->progress, sys_now_ns() - source->round_ns,
		     source->progress.sent - source->round_sent, source->pages.count);
	if (source->progress.expected_ns > options->downtime_ns) {
		if (source->progress.round == ROUNDS_MAX)
			return -ETIME;
		begin_round(source);
		return ROUNDS;
	}
	source->frozen_ns = sys_now_ns();
	ret = options->ops->freeze(options->owner);
	if (ret)
		return ret;
	source->progress.stands = true;
	source->pages.clear = NULL; /* no further write */
	/* Before the last pages: arm64's ITS puts its tables into the guest's RAM. */
	source->state_fd = frame_file(options->ops->save, options->owner);
	ret = source->state_fd < 0 ? source->state_fd : read_log(source);
	begin_round(source);
	return ret ? ret : LAST_ROUND;
}

static const struct stage stages[] = {
	[HELLO] = { fill_hello, 0, NULL, 30 * SECOND, true, "the target does not read" },
	[BUILDING] = { NULL, FRAME_BUILT, after_building, 60 * SECOND, false,
		       "the target has not built such a machine in time" },
	[ROUNDS] = { fill_pages, 0, after_round, 30 * SECOND, true, "the target does not read" },
	/* From here on the machine stands still. */
	[LAST_ROUND] = { fill_pages, 0, NULL, 10 * SECOND, false,
			 "the connection has become too slow for the last pages" },
	[STATE] = { fill_state, 0, NULL, 0, false, "the target does not read" },
	[LOADING] = { NULL, FRAME_READY, NULL, 0, false,
		      "the target has not loaded the machine in time" },
	[COMMITTING] = { fill_commit, 0, NULL, 0, false, "the target does not read" },
	[STARTING] = { NULL, FRAME_DONE, NULL, 10 * SECOND, false,
		       "the target has not said that the machine runs" },
};

static void enter(struct migrate_source *source, enum stage_id stage)
{
	source->stage = stage;
	source->filled = !stages[stage].fill;
	if (stages[stage].patience_ns)
		loop_timer_set(&source->timer, stages[stage].patience_ns);
}

static void fail_errno(struct migrate_source *source, int ret)
{
	char text[ERROR_TEXT_MAX + 80];

	if (ret == -ETIME)
		rate_explain(&source->progress, text, sizeof(text));
	else if (ret == -EBUSY)
		snprintf(text, sizeof(text), "it was paused meanwhile");
	else if (*source->cause)
		snprintf(text, sizeof(text), "%s", source->cause);
	else
		snprintf(text, sizeof(text), "%s", strerror(-ret));
	fail(source, false, "%s", text);
}

/* A function of the table. What fails in it has said why, in its first line. */
static int call(struct migrate_source *source, int (*function)(struct migrate_source *source))
{
	int ret;

	log_keep(source->cause, sizeof(source->cause));
	ret = function(source);
	log_keep(NULL, 0);
	return ret;
}

/* To the next stage; false: the migration has ended. */
static bool advance(struct migrate_source *source)
{
	const struct stage *stage = &stages[source->stage];
	int ret = stage->next ? call(source, stage->next) : (int)source->stage + 1;

	if (ret < 0) {
		fail_errno(source, ret);
		return false;
	}
	enter(source, (enum stage_id)ret);
	return true;
}

/* --- The connection --------------------------------------------------------------------------- */

/* What the target says; false: the migration has ended. */
static bool take_frame(struct migrate_source *source, uint32_t type, uint32_t len)
{
	const struct stage *stage = &stages[source->stage];
	char text[ERROR_TEXT_MAX + 1] = "";

	if (type == FRAME_ERROR && len <= ERROR_TEXT_MAX) {
		memcpy(text, source->in + sizeof(struct frame_header), len);
		for (char *at = text; *at; at++)
			if ((unsigned char)*at < ' ' || *at == 0x7f)
				*at = '?';
		fail(source, true, "the target: %s", text);
		return false;
	}
	if (len || !stage->answer || type != stage->answer) {
		fail(source, false, "the target sends what is none of the protocol");
		return false;
	}
	source->in_len = 0;
	if (source->stage != STARTING)
		return advance(source);
	source->progress.stood_ns = sys_now_ns() - source->frozen_ns;
	tell(source);
	end(source, MIGRATE_DONE, "");
	return false;
}

/* Reads up to `want` bytes of a frame; 0: they are there; -EAGAIN; or the end: -ECANCELED. */
static int fetch(struct migrate_source *source, size_t want)
{
	while (source->in_len < want) {
		ssize_t n = read(source->options.fd, source->in + source->in_len,
				 want - source->in_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (n <= 0) {
			fail(source, false, "the target closed the connection%s%s", n ? ": " : "",
			     n ? strerror(errno) : "; its own messages say why");
			return -ECANCELED;
		}
		source->in_len += (size_t)n;
	}
	return 0;
}

/* Up to one frame; false: the migration has ended. */
static bool receive(struct migrate_source *source)
{
	struct frame_header header;
	uint32_t len = 0;
	int ret = fetch(source, sizeof(header));

	if (!ret) {
		memcpy(&header, source->in, sizeof(header));
		len = le32_get(header.len);
		if (len <= ERROR_TEXT_MAX)
			ret = fetch(source, sizeof(header) + len);
	}
	if (ret)
		return ret == -EAGAIN;
	return take_frame(source, le32_get(header.type), len);
}

/* Some of the frame; false: the migration has ended. */
static bool transmit(struct migrate_source *source)
{
	ssize_t n = frame_send(&source->out, source->options.fd);
	int error = errno;

	if (n < 0 && (error == EAGAIN || error == EINTR))
		return true;
	if (n < 0) {
		/* The target may have said why. */
		if (receive(source))
			fail(source, false, "the connection to the target: %s", strerror(error));
		return false;
	}
	source->progress.sent += (size_t)n;
	return true;
}

/* The stage changes with the last byte that is sent: an answer to it may be there at once. */
static bool send_frame(struct migrate_source *source)
{
	int ret = 0;

	if (frame_is_sent(&source->out) && !source->filled)
		ret = call(source, stages[source->stage].fill);
	if (ret) {
		fail_errno(source, ret);
		return false;
	}
	if (!frame_is_sent(&source->out) && !transmit(source))
		return false;
	if (!frame_is_sent(&source->out) || !source->filled || stages[source->stage].answer)
		return true;
	return advance(source);
}

/* A step; false: the migration has ended. */
static bool send_some(struct migrate_source *source)
{
	uint64_t begin = source->progress.sent;
	unsigned frames = 0;

	do {
		if (!send_frame(source))
			return false;
	} while (frame_is_sent(&source->out) && !source->filled && ++frames < STEP_FRAMES &&
		 source->progress.sent - begin < STEP_BYTES);
	if (source->progress.sent > begin && stages[source->stage].by_byte)
		loop_timer_set(&source->timer, stages[source->stage].patience_ns);
	return true;
}

static void serve(struct loop_event *event, uint32_t events)
{
	struct migrate_source *source = container_of(event, struct migrate_source, event);
	bool writes;
	int ret;

	/* An event from before the end. */
	if (source->options.fd < 0)
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(source))
		return;
	if (!send_some(source))
		return;
	writes = !frame_is_sent(&source->out) || !source->filled;
	if (writes == source->writes)
		return;
	source->writes = writes;
	ret = loop_modify(source->options.loop, event, EPOLLIN | (writes ? EPOLLOUT : 0));
	if (ret)
		fail_errno(source, ret);
}

static void timed_out(struct loop_timer *timer)
{
	struct migrate_source *source = container_of(timer, struct migrate_source, timer);

	fail(source, false, "%s", stages[source->stage].late);
}

/* --- For the machine -------------------------------------------------------------------------- */

int migrate_source_new(struct migrate_source **out)
{
	struct migrate_source *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	source->options.fd = source->state_fd = -1;
	*out = source;
	return 0;
}

static int start(struct migrate_source *source)
{
	const struct migrate_source_options *options = &source->options;
	int flags = fcntl(options->fd, F_GETFL), ret;

	if (flags < 0 || fcntl(options->fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	ret = page_set_init(&source->pages, options->mem, options->ops->log_clear, options->owner);
	if (!ret)
		ret = loop_timer_add(options->loop, &source->timer);
	if (ret)
		return ret;
	enter(source, HELLO);
	return loop_add(options->loop, &source->event, EPOLLIN | EPOLLOUT);
}

int migrate_source_start(struct migrate_source *source,
			 const struct migrate_source_options *options)
{
	int ret;

	*source = (struct migrate_source){
		.options = *options,
		.state_fd = -1,
		.event = { .fd = options->fd, .fn = serve },
		.timer = { .event.fd = -1, .fn = timed_out },
		.began_ns = sys_now_ns(),
		.writes = true,
	};
	ret = start(source);
	if (ret)
		stop(source);
	return ret;
}

int migrate_source_cancel(struct migrate_source *source)
{
	if (source->options.fd < 0)
		return -EALREADY;
	if (source->stage == STARTING)
		return -EBUSY;
	fail(source, false, "cancelled");
	return 0;
}
