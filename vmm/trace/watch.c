/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "base/log.h"
#include "guestlog/messages.h"
#include "pci/pci.h"
#include "virtio/virtio.h"

#include <stdio.h>
#include <string.h>

/* --- Threads ---------------------------------------------------------------------------------- */

static void end_exit(struct watched_thread *thread, uint64_t now_ns)
{
	if (!thread->in_exit)
		return;
	thread->in_exit = false;
	thread->exits_ns += now_ns - thread->exit_ns;
	costs_add(&thread->exits, thread->cause, 1, now_ns - thread->exit_ns);
	trace_span(thread, "exit", thread->cause, thread->what, thread->exit_ns, now_ns);
}

/* The thread has ended, or is this one. */
static void forget_thread(void *arg)
{
	struct watched_thread *thread = arg, **link;
	struct watch *watch = thread->watch;

	end_exit(thread, sys_now_ns());
	explain_flush(thread);
	trace_flush(thread);
	pthread_mutex_lock(&watch->lock);
	for (link = &watch->threads; *link != thread; link = &(*link)->next)
		;
	*link = thread->next;
	costs_merge(&watch->exits, &thread->exits);
	costs_merge(&watch->calls, &thread->calls);
	if (thread->runs) {
		costs_add(&watch->in_guest, thread->name, thread->runs, thread->guest_ns);
		costs_add(&watch->in_exits, thread->name, thread->runs, thread->exits_ns);
	}
	pthread_mutex_unlock(&watch->lock);
	free(thread->trace_buf);
	free(thread);
}

/* A vCPU's thread is named by another one, perhaps too late for us. */
static void name_thread(struct watched_thread *thread, const struct sys_event *event)
{
	struct text name = text_of(thread->name, sizeof(thread->name));

	if (event->kind == SYS_RUN)
		fd_names_add_bare(&thread->watch->names, event->fd, &name);
	if (!name.len)
		pthread_getname_np(pthread_self(), thread->name, sizeof(thread->name));
}

static struct watched_thread *new_thread(struct watch *watch, const struct sys_event *event)
{
	struct watched_thread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return NULL;
	thread->watch = watch;
	thread->tid = gettid();
	name_thread(thread, event);
	if (pthread_setspecific(watch->key, thread)) {
		free(thread);
		return NULL;
	}
	pthread_mutex_lock(&watch->lock);
	thread->next = watch->threads;
	watch->threads = thread;
	pthread_mutex_unlock(&watch->lock);
	trace_thread(thread);
	return thread;
}

/* NULL if out of memory: the events of this thread are then not seen. */
static struct watched_thread *this_thread(struct watch *watch, const struct sys_event *event)
{
	struct watched_thread *thread = pthread_getspecific(watch->key);

	return thread ? thread : new_thread(watch, event);
}

/* --- Events ----------------------------------------------------------------------------------- */

static struct narration narration_of(struct watch *watch, const struct sys_event *event)
{
	return (struct narration){
		.event = event,
		.names = &watch->names,
		.pio = watch->parts->pio,
		.mmio = watch->parts->mmio,
	};
}

static void tell(struct watched_thread *thread, const struct narration *n,
		 const struct narrate_entry *entry)
{
	if (thread->watch->config.explain)
		explain_event(thread, n, entry);
	if (n->event->kind != SYS_RUN)
		trace_event(thread, n, entry);
}

/* A phase shown by an event: reported before the event itself. */
static void reach(struct watched_thread *thread, enum phase phase, const struct sys_event *by,
		  uint64_t at_ns)
{
	struct watch *watch = thread->watch;
	const struct sys_event event = {
		.kind = SYS_NOTE,
		.topic = SYS_TOPIC_PHASE,
		.site = by->site,
		.fd = -1,
		.arg = phase_meaning(phase, watch->parts->config->restore),
		.start_ns = at_ns,
		.end_ns = at_ns,
	};
	const struct narration n = narration_of(watch, &event);

	if (phases_reach(&watch->phases, phase, at_ns))
		tell(thread, &n, NULL);
}

static bool is_access(const struct sys_event *event, const char *cause)
{
	return event->result >= 0 &&
	       (strncmp(cause, "write ", 6) == 0 || strncmp(cause, "read ", 5) == 0);
}

static void begin_exit(struct watched_thread *thread, const struct narration *n)
{
	const struct sys_event *event = n->event;
	struct text cause = text_of(thread->cause, sizeof(thread->cause));
	struct text what = text_of(thread->what, sizeof(thread->what));

	reach(thread, PHASE_RUN, event, event->start_ns);
	thread->runs++;
	thread->guest_ns += event->end_ns - event->start_ns;
	trace_span(thread, "guest", "KVM_RUN", "", event->start_ns, event->end_ns);
	narrate_exit_cause(&cause, n);
	narrate_exit(&what, n);
	if (is_access(event, thread->cause))
		reach(thread, PHASE_DEVICE, event, event->end_ns);
	thread->in_exit = true;
	thread->exit_ns = event->end_ns;
}

static void learn(struct watched_thread *thread, const struct narration *n,
		  const struct narrate_entry *entry)
{
	const struct sys_event *event = n->event;
	struct watch *watch = thread->watch;

	if (event->kind == SYS_OPEN && event->result >= 0)
		fd_names_set(&watch->names, event->result, "%s", (const char *)event->arg);
	if (event->kind == SYS_NOTE && event->topic == SYS_TOPIC_QUEUE && event->fd >= 0)
		reach(thread, PHASE_DRIVER, event, event->start_ns);
	if (event->kind == SYS_IOCTL) {
		if (entry && entry->learn && event->result >= 0)
			entry->learn(n);
		costs_add(&thread->calls, entry ? entry->name : "other ioctls", 1,
			  event->end_ns - event->start_ns);
	}
	pthread_mutex_lock(&watch->lock);
	wiring_learn(&watch->wiring, event);
	pthread_mutex_unlock(&watch->lock);
}

static void see(struct sys *sys, const struct sys_event *event)
{
	struct watch *watch = sys->trace_data;
	struct watched_thread *thread;
	const struct narration n = narration_of(watch, event);
	const struct narrate_entry *entry = NULL;

	/*
	 * Exits show no more phases: for --budget they are no longer traced.
	 */
	if (!watch->details && event->kind == SYS_RUN && phases_seen(&watch->phases, PHASE_DEVICE))
		return;
	thread = this_thread(watch, event);
	if (!thread)
		return;
	if (event->kind == SYS_IOCTL)
		entry = narrate_find(event->request);
	if (event->kind == SYS_RUN) {
		end_exit(thread, event->start_ns);
		begin_exit(thread, &n);
	}
	learn(thread, &n, entry);
	tell(thread, &n, entry);
}

/* --- A run's life ----------------------------------------------------------------------------- */

#define reach_here(watch, phase) reach_at(watch, SYS_HERE, phase)

static void reach_at(struct watch *watch, const struct sys_site *site, enum phase phase)
{
	if (phases_reach(&watch->phases, phase, sys_now_ns()))
		sys_note_from(watch->parts->sys, site, SYS_TOPIC_PHASE, -1, "%s",
			      phase_meaning(phase, watch->parts->config->restore));
}

static void see_phase(void *owner, const struct sys_site *site, enum machine_phase phase)
{
	if (phase != MACHINE_RUNS)
		reach_at(owner, site, phase == MACHINE_LOADS ? PHASE_LOAD : PHASE_DOWN);
}

static bool see_line(void *owner, enum guest_stream stream, const char *line, bool whole,
		     struct verdict *end)
{
	struct watch *watch = owner;

	(void)stream;
	(void)end;
	if (whole && message_is_banner(line))
		reach_here(watch, PHASE_KERNEL);
	else if (whole && message_starts_init(line))
		reach_here(watch, PHASE_INIT);
	return false;
}

struct line_listener watch_listener(struct watch *watch)
{
	return (struct line_listener){ .line = see_line, .owner = watch };
}

int watch_new(struct watch **out, const struct watch_config *config)
{
	bool details = config->explain || config->explain_page || config->trace;
	bool budget = false;
	struct watch *watch;

	*out = NULL;
	for (unsigned i = 0; i < PHASES; i++)
		budget |= config->budgets[i] != 0;
	if (!details && !budget)
		return 0;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->config = *config;
	watch->details = details;
	*out = watch;
	return 0;
}

void watch_free(struct watch *watch)
{
	free(watch);
}

/* Also after a failed begin(). */
static void finish(struct watch *watch)
{
	fd_names_destroy(&watch->names);
	wiring_destroy(&watch->wiring);
	pthread_key_delete(watch->key);
	pthread_mutex_destroy(&watch->lock);
	free(watch->facts_text);
}

static int begin(void *owner, const struct machine_parts *parts)
{
	struct watch *watch = owner;
	const struct watch_config *config = &watch->config;
	int ret = -pthread_key_create(&watch->key, forget_thread);

	if (ret) {
		log_error("tracing: pthread_key_create: %s", strerror(-ret));
		return ret;
	}
	watch->parts = parts;
	pthread_mutex_init(&watch->lock, NULL);
	ret = fd_names_init(&watch->names);
	if (!ret && (config->trace || config->explain_page))
		ret = trace_begin(watch);
	if (ret)
		log_error("tracing: %s", strerror(-ret));
	if (!ret && config->explain_page)
		ret = page_open(watch, config->explain_page);
	if (!ret && config->trace)
		ret = trace_file_open(watch, config->trace);
	if (ret) {
		if (watch->page)
			fclose(watch->page);
		if (watch->facts)
			fclose(watch->facts);
		finish(watch);
		return ret;
	}
	phases_reach(&watch->phases, PHASE_EXEC, sys_now_ns());
	parts->sys->trace_data = watch;
	parts->sys->trace = see;
	return 0;
}

/* Nothing where the budget was kept. */
static void say_excess(struct text *out, const struct watch *watch, enum phase phase)
{
	uint64_t allowed = watch->config.budgets[phase], ns;

	if (!allowed)
		return;
	if (!phases_since_start(&watch->phases, phase, &ns))
		text_add(out, "%s was not seen: %s", phase_name(phase),
			 phase == PHASE_KERNEL || phase == PHASE_INIT ?
				 "the guest prints no such line (a quiet kernel does not)" :
				 "the guest did not come so far");
	else if (ns > allowed)
		text_add(out, "%s after %.1f ms, allowed are %.1f ms", phase_name(phase),
			 (double)ns / 1e6, (double)allowed / 1e6);
}

static void check_budgets(const struct watch *watch, struct verdict *verdict)
{
	struct verdict over = { .outcome = OUTCOME_BUDGET, .status = 1 };
	struct text why = text_of(over.detail, sizeof(over.detail));

	for (unsigned i = 0; i < PHASES && !why.len; i++)
		say_excess(&why, watch, i);
	if (why.len)
		*verdict = over;
}

/*
 * Only a successful run can exceed a budget, or fail because of an incomplete file; a failed one
 * keeps its reason.
 */
static bool gone(void *owner, struct verdict *verdict)
{
	struct watch *watch = owner;
	struct sys *sys = watch->parts->sys;
	bool went_well = !verdict->status, whole = true;
	struct watched_thread *thread;

	reach_here(watch, PHASE_GONE);
	sys->trace = NULL;
	sys->trace_data = NULL;
	thread = pthread_getspecific(watch->key);
	if (thread)
		forget_thread(thread);
	if (went_well)
		check_budgets(watch, verdict);
	trace_totals(watch, verdict);
	if (watch->trace)
		whole &= trace_file_close(watch);
	watch->parts->ops->progressed(watch->parts->vm);
	if (watch->page)
		whole &= page_close(watch);
	/* The incomplete file has been logged. */
	if (!whole && !verdict->status)
		*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = 101 };
	finish(watch);
	return went_well && verdict->status;
}

static unsigned slot_of(const struct pci_bus *pci, const struct virtio_dev *dev)
{
	unsigned slot = 0;

	while (slot < PCI_SLOTS && (!pci->devs[slot] || pci->devs[slot]->name != dev->name))
		slot++;
	return slot;
}

static void name_queues(struct watch *watch, const struct virtio_dev *dev)
{
	unsigned slot = slot_of(watch->parts->pci, dev);

	fd_names_set(&watch->names, dev->config_irq.fd, "configuration change of %s at 00:%02x.0",
		     dev->name, slot);
	for (unsigned i = 0; i < dev->queue_count; i++) {
		fd_names_set(&watch->names, dev->queues[i].kick_fd,
			     "kick of queue %u of %s at 00:%02x.0", i, dev->name, slot);
		fd_names_set(&watch->names, dev->queues[i].irq.fd,
			     "interrupt of queue %u of %s at 00:%02x.0", i, dev->name, slot);
	}
}

static int built(void *owner, const struct machine_parts *parts)
{
	for (unsigned i = 0; i < parts->device_count; i++)
		name_queues(owner, parts->devices[i]);
	return 0;
}

static void moves(void *owner, const struct machine_progress *progress)
{
	trace_move(owner, progress);
}

static void stopped(void *owner, const struct verdict *verdict)
{
	(void)verdict;
	trace_machine(owner);
}

const struct machine_observer_ops watch_ops = {
	.begin = begin,
	.built = built,
	.moves = moves,
	.stopped = stopped,
	.gone = gone,
	.phase = see_phase,
};
