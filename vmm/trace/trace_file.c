/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --trace: a file of trace events for Perfetto and Chrome's about:tracing ("Trace Event Format",
 * JSON object form). One event per line.
 *
 * Each thread collects its events and writes them one buffer at a time, so a run of any length
 * needs the same memory. The end of the array is written after every buffer, and overwritten by the
 * next one: so the file is valid JSON after each write, even when Kinglet is killed.
 *
 * A pipe whose reader does not read blocks no thread: if a buffer has not been taken when the next
 * one is full, the thread waits for a moment, and then the events of the next buffer are lost.
 *
 * It begins and ends with the facts about the run as a whole (trace_facts.c).
 */
#include "watch.h"

#include "base/files.h"
#include "base/log.h"
#include "base/room.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum {
	BUFFER = 64 << 10,
	EVENT_MAX = 1600, /* of one event's text, including escapes */
	FLUSH_NS = 200000000, /* the longest time to keep a buffer, while there are events */
};

static const char tail[] = TRACE_TAIL;

struct trace_file {
	int fd; /* owned */
	pid_t pid;
	const char *path;
	size_t head_len; /* of watch->facts_text: has been written */
	pthread_mutex_t lock;
	off_t end;   /* offset of the next event; for a pipe: -1 */
	int error;   /* an errno, already logged; 0: none so far */
	/* Of a pipe: */
	char rest[BUFFER]; /* the rest of the last buffer, not yet written */
	size_t rest_at, rest_len;
	bool stalled;  /* already waited for its reader */
	uint64_t lost; /* events */
};

static void write_failed(struct trace_file *file)
{
	if (!file->error)
		log_error("--trace %s: write: %s", file->path, strerror(errno));
	file->error = errno;
}

/* All of it, over the tail that stands there. Lock held. */
static void write_file(struct trace_file *file, const char *data, size_t len)
{
	if (file->error)
		return;
	if (lseek(file->fd, file->end, SEEK_SET) < 0 || write_all(file->fd, data, len))
		write_failed(file);
}

/* False when the pipe has no room for the rest within `ms` milliseconds. Lock held. */
static bool write_rest(struct trace_file *file, unsigned ms)
{
	while (file->rest_len && !file->error) {
		ssize_t done = write(file->fd, file->rest + file->rest_at, file->rest_len);

		if (done < 0 && errno == EAGAIN && !room_wait(file->fd, ms))
			return false;
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			write_failed(file);
		if (done < 0)
			continue;
		file->rest_at += (size_t)done;
		file->rest_len -= (size_t)done;
	}
	return true;
}

/* Writes all of it or nothing. Lock held. */
static void write_pipe(struct trace_file *file, const char *data, size_t len)
{
	file->stalled = !write_rest(file, file->stalled ? 0 : ROOM_PATIENCE_MS);
	if (file->stalled) {
		for (size_t i = 0; i < len; i++)
			file->lost += data[i] == '\n';
		return;
	}
	memcpy(file->rest, data, len);
	file->rest_at = 0;
	file->rest_len = len;
	write_rest(file, 0);
}

/* `data` has room for the tail after it. */
static void write_events(struct trace_file *file, char *data, size_t len)
{
	pthread_mutex_lock(&file->lock);
	if (file->end < 0) {
		write_pipe(file, data, len);
	} else {
		memcpy(data + len, tail, sizeof(tail));
		write_file(file, data, len + sizeof(tail) - 1);
		file->end += (off_t)len;
	}
	pthread_mutex_unlock(&file->lock);
}

void trace_flush(struct watched_thread *thread)
{
	if (!thread->trace_len)
		return;
	write_events(thread->watch->trace, thread->trace_buf, thread->trace_len);
	thread->trace_len = 0;
}

static bool is_ascii(const char *string)
{
	while (*string && !(*string & 0x80))
		string++;
	return !*string;
}

void trace_add_string(struct text *out, const char *string)
{
	char clean[PATH_MAX];

	if (!is_ascii(string)) {
		utf8_clean(clean, sizeof(clean), string, strlen(string));
		string = clean;
	}
	/* An escape is not cut in two. */
	for (; *string && out->len + 2 < out->size; string++) {
		if (*string == '"' || *string == '\\')
			text_add_char(out, '\\');
		text_add_char(out, (char)((unsigned char)*string < ' ' ? '?' : *string));
	}
}

/* Microseconds since the start of the run, as required by the format. */
static void add_time(struct text *out, const struct watch *watch, const char *key, uint64_t ns)
{
	uint64_t start = atomic_load_explicit(&watch->phases.at[PHASE_EXEC], memory_order_relaxed);

	ns -= start && ns > start ? start : ns;
	text_add(out, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000),
		 (unsigned)(ns % 1000));
}

static void begin(struct text *out, const struct watched_thread *thread, const char *name,
		  const char *category, char ph)
{
	text_add(out, ",\n{\"name\":\"");
	trace_add_string(out, name);
	text_add(out, "\",\"cat\":\"%s\",\"ph\":\"%c\",\"pid\":%d,\"tid\":%d", category, ph,
		 thread->watch->trace->pid, thread->tid);
}

static void add_span(struct text *out, const struct watch *watch, uint64_t start_ns,
		     uint64_t end_ns)
{
	uint64_t ns = end_ns - start_ns;

	add_time(out, watch, "ts", start_ns);
	text_add(out, ",\"dur\":%llu.%03u", (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

static void add_what(struct text *out, const char *what)
{
	text_add(out, ",\"args\":{\"what\":\"");
	trace_add_string(out, what);
	text_add(out, "\"");
}

static void put(struct watched_thread *thread, const struct text *event, uint64_t now_ns)
{
	if (thread->trace_len + event->len + sizeof(tail) > BUFFER)
		trace_flush(thread);
	if (!thread->trace_len)
		thread->trace_since = now_ns;
	memcpy(thread->trace_buf + thread->trace_len, event->buf, event->len);
	thread->trace_len += event->len;
	if (now_ns - thread->trace_since > FLUSH_NS)
		trace_flush(thread);
}

void trace_thread(struct watched_thread *thread)
{
	char buf[EVENT_MAX];
	struct text event = text_of(buf, sizeof(buf));

	if (!thread->watch->trace)
		return;
	thread->trace_buf = malloc(BUFFER);
	if (!thread->trace_buf)
		return;
	begin(&event, thread, "thread_name", "__metadata", 'M');
	text_add(&event, ",\"ts\":0,\"args\":{\"name\":\"");
	trace_add_string(&event, thread->name);
	text_add(&event, "\"}}");
	put(thread, &event, sys_now_ns());
}

void trace_span(struct watched_thread *thread, const char *category, const char *name,
		const char *what, uint64_t start_ns, uint64_t end_ns)
{
	char buf[EVENT_MAX];
	struct text event = text_of(buf, sizeof(buf));

	if (!thread->trace_buf)
		return;
	begin(&event, thread, name, category, 'X');
	add_span(&event, thread->watch, start_ns, end_ns);
	if (*what) {
		add_what(&event, what);
		text_add(&event, "}");
	}
	text_add(&event, "}");
	put(thread, &event, end_ns);
}

static void trace_note(struct watched_thread *thread, const struct sys_event *note,
		       const char *what)
{
	static const char *const categories[] = {
		[SYS_TOPIC_INTERRUPT] = "interrupt",
		[SYS_TOPIC_DEVICE] = "device",
		[SYS_TOPIC_QUEUE] = "queue",
		[SYS_TOPIC_PHASE] = "phase",
		[SYS_TOPIC_MOVE] = "migration",
	};
	char buf[EVENT_MAX], name_buf[FD_NAME_LEN];
	struct text event = text_of(buf, sizeof(buf)), name = text_of(name_buf, sizeof(name_buf));

	/* Phases have a separate track. */
	if (note->topic == SYS_TOPIC_PHASE)
		return;
	fd_names_add_bare(&thread->watch->names, note->fd, &name);
	if (!name.len)
		text_add(&name, "%s", (const char *)note->arg);
	begin(&event, thread, name_buf, categories[note->topic], 'i');
	add_time(&event, thread->watch, "ts", note->start_ns);
	text_add(&event, ",\"s\":\"t\"");
	add_what(&event, what);
	text_add(&event, "}}");
	put(thread, &event, note->end_ns);
}

void trace_event(struct watched_thread *thread, const struct narration *n,
		 const struct narrate_entry *entry)
{
	const struct sys_event *call = n->event;
	char buf[EVENT_MAX], what_buf[400];
	struct text event = text_of(buf, sizeof(buf)), what = text_of(what_buf, sizeof(what_buf));
	const char *call_name = call->kind == SYS_OPEN	? "open" :
				call->kind == SYS_WRITE ? "write" : "ioctl";

	if (!thread->trace_buf)
		return;
	narrate_event(&what, n, entry);
	if (call->kind == SYS_NOTE) {
		trace_note(thread, call, what_buf);
		return;
	}
	begin(&event, thread, entry ? entry->name : call_name, call_name, 'X');
	add_span(&event, thread->watch, call->start_ns, call->end_ns);
	add_what(&event, what_buf);
	text_add(&event, ",\"result\":%d,\"source\":\"%s:%u\"}}", call->result, call->site->file,
		 call->site->line);
	put(thread, &event, call->end_ns);
}

/* --- The file --------------------------------------------------------------------------------- */

int trace_file_open(struct watch *watch, const char *path)
{
	char head[EVENT_MAX + sizeof(tail)];
	struct trace_file *file = calloc(1, sizeof(*file));
	int ret;

	if (!file) {
		log_error("--trace %s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	file->path = path;
	file->pid = getpid();
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (file->fd < 0) {
		ret = -errno;
		log_error("--trace %s: %s", path, strerror(-ret));
		free(file);
		return ret;
	}
	file->end = lseek(file->fd, 0, SEEK_CUR);
	/* The open file description is ours alone. */
	if (file->end < 0)
		fcntl(file->fd, F_SETFL, O_WRONLY | O_NONBLOCK);
	pthread_mutex_init(&file->lock, NULL);
	watch->trace = file;
	file->head_len = watch->facts_len;
	memcpy(head, watch->facts_text, file->head_len);
	write_events(file, head, file->head_len);
	return 0;
}

/* Whether everything was written to the pipe. */
static bool finish_pipe(struct trace_file *file, const char *data, size_t len)
{
	bool ended;

	while (len) {
		size_t part = len < BUFFER ? len : BUFFER;

		write_pipe(file, data, part);
		data += part;
		len -= part;
	}
	ended = !file->stalled && write_rest(file, ROOM_PATIENCE_MS);
	if (!ended || file->lost)
		log_error("--trace %s: its reader is too slow: %s%llu events are lost", file->path,
			  ended ? "" : "the end and ", (unsigned long long)file->lost);
	return ended && !file->lost;
}

bool trace_file_close(struct watch *watch)
{
	struct trace_file *file = watch->trace;
	const char *rest = watch->facts_text + file->head_len;
	size_t len = watch->facts_len - file->head_len;
	bool lost = false;

	if (file->end < 0)
		lost = !finish_pipe(file, rest, len);
	else
		write_file(file, rest, len);
	if (close(file->fd) && !file->error)
		write_failed(file);
	/* A pipe's reader may close early. */
	lost |= file->error && file->error != EPIPE;
	pthread_mutex_destroy(&file->lock);
	free(file);
	watch->trace = NULL;
	return !lost;
}
