/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "base/signals.h"
#include "base/thread.h"
#include "core/sys.h"

#include <string.h>
#include <sys/signalfd.h>

#define SECOND UINT64_C(1000000000)

/*
 * The limit of an orderly stop; with a timeout, a part of it may be used to find where the vCPUs
 * are.
 */
static const uint64_t stop_ns = 2 * SECOND, locate_ns = SECOND;

/* Signals with a request; the other watched ones end the run. */
static const struct {
	int number;
	enum request request;
} requesting[] = {
	{ SIGWINCH, REQUEST_RESIZE },
	{ SIGTSTP, REQUEST_SUSPEND },
	{ SIGCONT, REQUEST_CONTINUE },
	{ SIGUSR1, REQUEST_REPORT },
};

/* REQUESTS: none. */
static enum request request_of(const struct control *control, int number)
{
	for (unsigned i = 0; i < ARRAY_SIZE(requesting); i++)
		if (requesting[i].number == number &&
		    (requesting[i].request != REQUEST_REPORT || control->options.reports))
			return requesting[i].request;
	return REQUESTS;
}

static void signal_arrived(struct loop_event *event, uint32_t events)
{
	struct control *control = container_of(event, struct control, signals);
	struct signalfd_siginfo info;
	enum request request;
	int number;

	(void)events;
	if (read(event->fd, &info, sizeof(info)) != sizeof(info))
		return;
	number = (int)info.ssi_signo;
	request = request_of(control, number);
	if (request == REQUESTS)
		ending_decide(control->options.ending, OUTCOME_SIGNAL, number, "SIG%s",
			      sigabbrev_np(number));
	else
		requests_post(control->options.requests, request);
}

/* --- The end ---------------------------------------------------------------------------------- */

static unsigned progress_of(const struct control *control)
{
	return atomic_load(&control->options.ending->progress);
}

static void stop(struct control *control, uint64_t ns)
{
	if (control->stopping)
		return;
	control->stopping = true;
	control->progress = progress_of(control);
	loop_stop(control->options.loop);
	loop_timer_set(&control->limit, ns);
}

static void run_ended(struct loop_event *event, uint32_t events)
{
	(void)events;
	eventfd_drain(event->fd);
	stop(container_of(event, struct control, ended), stop_ns);
}

static void timed_out(struct loop_timer *timer)
{
	struct control *control = container_of(timer, struct control, timeout);

	if (control->stopping)
		return;
	if (!atomic_load(&control->built)) {
		ending_decide(control->options.ending, OUTCOME_TIMEOUT, 0,
			      "the machine was being built");
		return;
	}
	requests_post(control->options.requests, REQUEST_LOCATE);
	loop_timer_set(&control->limit, locate_ns);
}

/* After a guest that ended by itself, the stop may continue while there is progress. */
static bool may_go_on(struct control *control)
{
	unsigned before = control->progress;

	control->progress = progress_of(control);
	return control->progress != before && !ending_is_hurried(control->options.ending);
}

static void took_too_long(struct loop_timer *timer)
{
	struct control *control = container_of(timer, struct control, limit);

	if (!control->stopping) {
		ending_decide(control->options.ending, OUTCOME_TIMEOUT, 0,
			      "where the vCPUs are is not known: a device is busy");
		stop(control, stop_ns - locate_ns);
	} else if (may_go_on(control)) {
		loop_timer_set(&control->limit, stop_ns);
	} else if (!atomic_load(&control->gone)) {
		control->gave_up = true;
		loop_stop(&control->loop);
	}
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Blocked while there is only one thread, so that all others inherit the mask. */
static int add_signals(struct control *control)
{
	sigset_t set;

	sigemptyset(&set);
	signals_add_ends(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(requesting); i++)
		signals_add(&set, requesting[i].number);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	control->signals.fn = signal_arrived;
	control->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return control->signals.fd < 0 ? -errno :
					 loop_add(&control->loop, &control->signals, EPOLLIN);
}

/* The time since the start of Kinglet counts. */
static uint64_t time_left(const struct control_options *options)
{
	uint64_t used = options->started_ns ? sys_now_ns() - options->started_ns : 0;

	return used < options->timeout_ns ? options->timeout_ns - used : 1;
}

static int add_timers(struct control *control)
{
	int ret;

	control->timeout.fn = timed_out;
	control->limit.fn = took_too_long;
	ret = loop_timer_add(&control->loop, &control->limit);
	if (ret || !control->options.timeout_ns)
		return ret;
	ret = loop_timer_add(&control->loop, &control->timeout);
	if (!ret)
		loop_timer_set(&control->timeout, time_left(&control->options));
	return ret;
}

int control_init(struct control *control, const struct control_options *options)
{
	int ret;

	*control = (struct control){
		.options = *options,
		.signals.fd = -1,
		.ended = { .fd = options->ending->known_fd, .fn = run_ended },
		.timeout.event.fd = -1,
		.limit.event.fd = -1,
	};
	ret = loop_init(&control->loop);
	if (!ret)
		ret = loop_add(&control->loop, &control->ended, EPOLLIN);
	if (!ret)
		ret = add_signals(control);
	if (!ret)
		ret = add_timers(control);
	if (ret)
		control_destroy(control);
	return ret;
}

void control_destroy(struct control *control)
{
	loop_timer_remove(&control->loop, &control->timeout);
	loop_timer_remove(&control->loop, &control->limit);
	close_fd(&control->signals.fd);
	loop_destroy(&control->loop);
}

static void *machine_thread(void *arg)
{
	struct control *control = arg;

	pthread_setname_np(pthread_self(), "machine");
	control->run(control->owner);
	atomic_store(&control->gone, true);
	loop_stop(&control->loop);
	return NULL;
}

bool control_run(struct control *control, void (*run)(void *owner), void *owner)
{
	struct ending *ending = control->options.ending;
	sigset_t mask;
	int ret;

	control->run = run;
	control->owner = owner;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ret = thread_start(&control->machine, &mask, machine_thread, control);
	if (ret) {
		ending_decide(ending, OUTCOME_HOST, 0, "the machine's thread: %s", strerror(-ret));
		return true;
	}
	ret = loop_run(&control->loop);
	if (ret)
		ending_decide(ending, OUTCOME_HOST, 0, "event loop: %s", strerror(-ret));
	if (ret || control->gave_up)
		return false;
	pthread_join(control->machine, NULL);
	return true;
}
