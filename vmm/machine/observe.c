/* SPDX-License-Identifier: Apache-2.0 */
#include "observe.h"

#include <string.h>
#include <time.h>

/* `o` is each of the first `number` observers, or of all, that has this call. */
#define for_first(number, observers, call)                                                         \
	for (const struct machine_observer *o = (observers)->list;                                 \
	     o < (observers)->list + (number); o++)                                                \
		if (o->ops->call)

#define for_each(observers, call) for_first((observers)->count, observers, call)

/* --- Life ------------------------------------------------------------------------------------- */

static void start_tick(struct observers *observers)
{
	loop_timer_set(&observers->tick, MACHINE_TICK_MS * UINT64_C(1000000));
}

static void end_as(struct observers *observers, const struct verdict *end)
{
	ending_decide(observers->ending, end->outcome, end->status, "%s", end->detail);
}

/* The first that returns true ends the run. */
static void ticked(struct loop_timer *timer)
{
	struct observers *observers = container_of(timer, struct observers, tick);

	pthread_mutex_lock(&observers->lock);
	for_each(observers, tick) {
		struct verdict end = { .outcome = OUTCOME_OBSERVER };

		if (o->ops->tick(o->owner, &end))
			end_as(observers, &end);
	}
	pthread_mutex_unlock(&observers->lock);
	start_tick(observers);
}

int observers_init(struct observers *observers, const struct machine_config *config,
		   struct ending *ending, struct loop *loop)
{
	bool ticks = false;
	int ret;

	*observers = (struct observers){
		.list = config->observers,
		.count = config->observer_count,
		.ending = ending,
		.tick = { .event.fd = -1, .fn = ticked },
	};
	pthread_mutex_init(&observers->lock, NULL);
	for_each(observers, tick)
		ticks = true;
	if (!ticks)
		return 0;
	ret = loop_timer_add(loop, &observers->tick);
	if (!ret)
		start_tick(observers);
	return ret;
}

void observers_destroy(struct observers *observers, struct loop *loop)
{
	loop_timer_remove(loop, &observers->tick);
	pthread_mutex_destroy(&observers->lock);
}

bool observers_silence(struct observers *observers)
{
	struct timespec soon;

	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_nsec += 100000000;
	if (soon.tv_nsec >= 1000000000)
		soon = (struct timespec){ soon.tv_sec + 1, soon.tv_nsec - 1000000000 };
	return !pthread_mutex_clocklock(&observers->lock, CLOCK_MONOTONIC, &soon);
}

/* --- The machine's life ----------------------------------------------------------------------- */

int observers_begin(struct observers *observers, const struct machine_parts *parts)
{
	int ret = 0;

	for (; observers->begun < observers->count && !ret; observers->begun += !ret) {
		const struct machine_observer *o = &observers->list[observers->begun];

		if (o->ops->begin)
			ret = o->ops->begin(o->owner, parts);
		if (!ret && o->ops->gone)
			atomic_fetch_add(&observers->ending->unfinished, 1);
	}
	return ret;
}

int observers_built(struct observers *observers, const struct machine_parts *parts)
{
	int ret = 0;

	for (; observers->built < observers->count && !ret; observers->built += !ret) {
		const struct machine_observer *o = &observers->list[observers->built];

		if (o->ops->built)
			ret = o->ops->built(o->owner, parts);
	}
	if (ret)
		observers_stopped(observers);
	return ret;
}

void observers_stopped(struct observers *observers)
{
	const struct verdict verdict = ending_verdict(observers->ending);

	for_first(observers->built, observers, stopped)
		o->ops->stopped(o->owner, &verdict);
}

void observers_gone(struct observers *observers)
{
	for_first(observers->begun, observers, gone) {
		struct verdict verdict = ending_verdict(observers->ending);

		if (o->ops->gone(o->owner, &verdict))
			ending_fail(observers->ending, verdict.outcome, verdict.status, "%s",
				    verdict.detail);
		atomic_fetch_sub(&observers->ending->unfinished, 1);
	}
}

void observers_phase_from(struct observers *observers, const struct sys_site *site,
			  enum machine_phase phase)
{
	for_first(observers->begun, observers, phase)
		o->ops->phase(o->owner, site, phase);
}

bool observers_can_report(const struct observers *observers)
{
	for_each(observers, report)
		return true;
	return false;
}

#define TELL(call)                                                                                 \
	void observers_##call(struct observers *observers)                                         \
	{                                                                                          \
		for_each(observers, call)                                                       \
			o->ops->call(o->owner);                                                    \
	}

TELL(abandon)
TELL(report)
TELL(restarting)
TELL(restarted)

bool observers_hold(const struct observers *observers)
{
	for_each(observers, holds)
		if (o->ops->holds(o->owner))
			return true;
	return false;
}

void observers_happened(struct observers *observers, enum machine_event event, const char *what)
{
	for_each(observers, happened)
		o->ops->happened(o->owner, event, what);
}

void observers_moves(struct observers *observers, const struct machine_progress *progress)
{
	for_each(observers, moves)
		o->ops->moves(o->owner, progress);
}

bool observers_debugged(struct observers *observers, struct vcpu *vcpu)
{
	bool told = false;

	for_each(observers, debugged) {
		o->ops->debugged(o->owner, vcpu);
		told = true;
	}
	return told;
}

/* --- The guest -------------------------------------------------------------------------------- */

static struct machine_panic find_panic(const struct observers *observers)
{
	struct machine_panic known = { .proof = PANIC_UNKNOWN };

	for_each(observers, panic) {
		struct machine_panic panic = { .proof = PANIC_UNKNOWN };

		o->ops->panic(o->owner, &panic);
		if (panic.proof > known.proof)
			known = panic;
	}
	return known;
}

/* A console has shown a panic for certain; the run need not end by it, as with a crash kernel. */
static bool panic_is_news(struct observers *observers, struct machine_panic *panic)
{
	if (observers->panic_is_told)
		return false;
	*panic = find_panic(observers);
	observers->panic_is_told = panic->proof == PANIC_SURE;
	return observers->panic_is_told;
}

void observers_console(struct observers *observers, enum guest_stream stream, const uint8_t *data,
		       size_t len)
{
	struct machine_panic panic;
	bool is_news;

	pthread_mutex_lock(&observers->lock);
	for_each(observers, console) {
		struct verdict end = { .outcome = OUTCOME_OBSERVER };

		if (o->ops->console(o->owner, stream, data, len, &end))
			end_as(observers, &end);
	}
	is_news = panic_is_news(observers, &panic);
	pthread_mutex_unlock(&observers->lock);
	if (is_news)
		observers_happened(observers, MACHINE_PANICKED, panic.line);
}

struct machine_panic observers_panic(struct observers *observers)
{
	struct machine_panic panic = ending_panic(observers->ending), read;

	pthread_mutex_lock(&observers->lock);
	read = find_panic(observers);
	pthread_mutex_unlock(&observers->lock);
	if (!*panic.line)
		memcpy(panic.line, read.line, sizeof(panic.line));
	if (panic.proof < read.proof)
		panic.proof = read.proof;
	return panic;
}

void observers_vcpu(struct observers *observers, struct vcpu *vcpu)
{
	struct arch_vcpu_state state;
	bool wanted = false;

	for_each(observers, vcpu)
		wanted = true;
	if (!wanted || arch_vcpu_state(vcpu, &state) < 0)
		return;
	pthread_mutex_lock(&observers->lock);
	for_each(observers, vcpu)
		o->ops->vcpu(o->owner, vcpu->id, &state);
	pthread_mutex_unlock(&observers->lock);
}
