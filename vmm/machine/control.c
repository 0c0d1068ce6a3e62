/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "base/log.h"
#include "base/signals.h"
#include "base/thread.h"
#include "core/sys.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#define SECOND UINT64_C(1000000000)

/* An orderly stop has so long, of which a timeout may take a part to find where the vCPUs are. */
static const uint64_t stop_ns = 2 * SECOND, locate_ns = SECOND;

/* Signals that ask for something; the others that are watched end the run. */
static const struct {
	int number;
	enum vm_request request;
} requesting[] = {
	{ SIGWINCH, VM_RESIZE },
	{ SIGTSTP, VM_SUSPEND },
	{ SIGCONT, VM_CONTINUE },
	{ SIGUSR1, VM_PRINT_STATS },
};

/* VM_REQUESTS: none. */
static enum vm_request request_of(const struct vm *vm, int number)
{
	for (unsigned i = 0; i < ARRAY_SIZE(requesting); i++)
		if (requesting[i].number == number &&
		    (requesting[i].request != VM_PRINT_STATS || vm->config->stats))
			return requesting[i].request;
	return VM_REQUESTS;
}

static void signal_arrived(struct loop_event *event, uint32_t events)
{
	struct vm *vm = container_of(event, struct vm, control.signals);
	struct signalfd_siginfo info;
	enum vm_request request;
	int number;

	(void)events;
	if (read(event->fd, &info, sizeof(info)) != sizeof(info))
		return;
	number = (int)info.ssi_signo;
	request = request_of(vm, number);
	if (request == VM_REQUESTS)
		vm_end(vm, OUTCOME_SIGNAL, number, "SIG%s", sigabbrev_np(number));
	else
		vm_request(vm, request);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* Arming a timer that is in the loop cannot fail. */
static void set_limit(struct control *control, uint64_t ns)
{
	int ret = loop_timer_set(&control->limit, ns);

	(void)ret;
}

static void stop(struct vm *vm, uint64_t ns)
{
	struct control *control = &vm->control;

	if (control->stopping)
		return;
	control->stopping = true;
	control->progress = atomic_load(&vm->progress);
	loop_stop(&vm->loop);
	set_limit(control, ns);
}

static void run_ended(struct loop_event *event, uint32_t events)
{
	struct vm *vm = container_of(event, struct vm, control.ended);

	(void)events;
	eventfd_drain(event->fd);
	stop(vm, stop_ns);
}

static void timed_out(struct loop_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, control.timeout);

	if (vm->control.stopping)
		return;
	if (!atomic_load(&vm->running)) {
		vm_end(vm, OUTCOME_TIMEOUT, 0, "the machine was being built");
		return;
	}
	vm_request(vm, VM_LOCATE_VCPUS);
	set_limit(&vm->control, locate_ns);
}

/* A guest that has gone down by itself leaves time for as long as there is progress. */
static bool may_go_on(struct vm *vm)
{
	struct control *control = &vm->control;
	unsigned before = control->progress;

	control->progress = atomic_load(&vm->progress);
	return control->progress != before && !vm_is_hurried(vm);
}

static void took_too_long(struct loop_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, control.limit);
	struct control *control = &vm->control;

	if (!control->stopping) {
		vm_end(vm, OUTCOME_TIMEOUT, 0, "where the vCPUs are is not known: a device is busy");
		stop(vm, stop_ns - locate_ns);
	} else if (may_go_on(vm)) {
		set_limit(control, stop_ns);
	} else if (!atomic_load(&control->gone)) {
		control->gave_up = true;
		loop_stop(&control->loop);
	}
}

void control_ended(struct vm *vm)
{
	eventfd_signal(vm->control.ended.fd);
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Blocked while there is one thread only, so that every other inherits the mask. */
static int add_signals(struct vm *vm)
{
	struct control *control = &vm->control;
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

static int add_ended(struct control *control)
{
	control->ended.fn = run_ended;
	control->ended.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return control->ended.fd < 0 ? -errno : loop_add(&control->loop, &control->ended, EPOLLIN);
}

/* What has passed since Kinglet was started counts. */
static uint64_t time_left(const struct machine_config *config)
{
	uint64_t used = config->started_ns ? sys_now_ns() - config->started_ns : 0;

	return used < config->timeout_ns ? config->timeout_ns - used : 1;
}

static int add_timers(struct vm *vm)
{
	struct control *control = &vm->control;
	int ret;

	control->timeout.fn = timed_out;
	control->limit.fn = took_too_long;
	ret = loop_timer_add(&control->loop, &control->limit);
	if (ret || !vm->config->timeout_ns)
		return ret;
	ret = loop_timer_add(&control->loop, &control->timeout);
	return ret ? ret : loop_timer_set(&control->timeout, time_left(vm->config));
}

int control_init(struct vm *vm)
{
	struct control *control = &vm->control;
	int ret;

	control->signals.fd = -1;
	control->ended.fd = -1;
	control->timeout.event.fd = -1;
	control->limit.event.fd = -1;
	ret = loop_init(&control->loop);
	if (!ret)
		ret = add_ended(control);
	if (!ret)
		ret = add_signals(vm);
	if (!ret)
		ret = add_timers(vm);
	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		control_destroy(vm);
	}
	return ret;
}

void control_destroy(struct vm *vm)
{
	struct control *control = &vm->control;

	loop_timer_remove(&control->loop, &control->timeout);
	loop_timer_remove(&control->loop, &control->limit);
	close_fd(&control->signals.fd);
	close_fd(&control->ended.fd);
	loop_destroy(&control->loop);
}

static void *machine_thread(void *arg)
{
	struct vm *vm = arg;

	pthread_setname_np(pthread_self(), "machine");
	vm_main(vm);
	atomic_store(&vm->control.gone, true);
	loop_stop(&vm->control.loop);
	return NULL;
}

bool control_run(struct vm *vm)
{
	struct control *control = &vm->control;
	sigset_t mask;
	int ret;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ret = thread_start(&control->machine, &mask, machine_thread, vm);
	if (ret) {
		vm_end(vm, OUTCOME_HOST, 0, "the machine's thread: %s", strerror(-ret));
		return true;
	}
	ret = loop_run(&control->loop);
	if (ret)
		vm_end(vm, OUTCOME_HOST, 0, "event loop: %s", strerror(-ret));
	if (ret || control->gave_up)
		return false;
	pthread_join(control->machine, NULL);
	return true;
}
