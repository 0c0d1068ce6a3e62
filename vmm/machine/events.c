/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "base/log.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

static const int watched_signals[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT,
};

static void signal_arrived(struct loop_event *event, uint32_t events)
{
	struct vm *vm = container_of(event, struct vm, signals);
	struct signalfd_siginfo info;
	int number;

	(void)events;
	if (read(event->fd, &info, sizeof(info)) != sizeof(info))
		return;
	number = (int)info.ssi_signo;
	if (number == SIGWINCH)
		vm_console_resized(vm);
	else if (number == SIGTSTP)
		terminal_suspend(&vm->terminal);
	else if (number == SIGUSR1)
		vm_print_stats(vm);
	else if (number == SIGCONT)
		terminal_continue(&vm->terminal);
	else
		vm_end(vm, OUTCOME_SIGNAL, number, "SIG%s", sigabbrev_np(number));
}

/* Arming a timer that is in the loop cannot fail. */
static void start_tick(struct vm *vm)
{
	int ret = loop_timer_set(&vm->tick, MACHINE_TICK_MS * UINT64_C(1000000));

	(void)ret;
}

static void timed_out(struct loop_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, timeout);
	char where[160];

	/* A vCPU that waits for the reader of its output waits for this very thread. */
	board_serial_stop(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		vcpu_pause(&vm->vcpus[i]);
		if (i == 0)
			arch_vcpu_describe(&vm->vcpus[i], where, sizeof(where));
		vm_show_vcpu(vm, &vm->vcpus[i]);
		vcpu_resume(&vm->vcpus[i]);
	}
	vm_end(vm, OUTCOME_TIMEOUT, 0, "vCPU 0: %s", where);
}

static void ticked(struct loop_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, tick);

	vm_show_tick(vm);
	start_tick(vm);
}

/*
 * What the guest asked of devices before it asked to go down lies in eventfds that the loop may not
 * have seen yet: an exit status on its port, say. So the loop goes round once more, and whatever
 * ends the run there goes before.
 */
static enum guest_wish ripe_wish(struct vm *vm)
{
	enum guest_wish wish = WISH_NONE;

	if (vm->wish && !vm->wish_deferred) {
		vm->wish_deferred = true;
		eventfd_signal(vm->control.fd);
	} else {
		wish = vm->wish;
		vm->wish = WISH_NONE;
		vm->wish_deferred = false;
	}
	return wish;
}

static void control_signalled(struct loop_event *event, uint32_t events)
{
	struct vm *vm = container_of(event, struct vm, control);
	enum guest_wish wish;
	bool ended;

	(void)events;
	eventfd_drain(event->fd);
	pthread_mutex_lock(&vm->verdict_lock);
	ended = vm->ended;
	wish = ripe_wish(vm);
	pthread_mutex_unlock(&vm->verdict_lock);

	if (ended)
		loop_stop(&vm->loop);
	else if (wish == WISH_POWEROFF)
		vm_grant_poweroff(vm);
	else if (wish == WISH_RESET)
		vm_grant_reset(vm);
}

static int add_control(struct vm *vm)
{
	vm->control.fn = control_signalled;
	vm->control.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vm->control.fd < 0 ? -errno : loop_add(&vm->loop, &vm->control, EPOLLIN);
}

/* Blocked while there is one thread only, so that every other inherits the mask. */
static int add_signals(struct vm *vm)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaddset(&set, watched_signals[i]);
	if (vm->config->stats)
		sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	vm->signals.fn = signal_arrived;
	vm->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return vm->signals.fd < 0 ? -errno : loop_add(&vm->loop, &vm->signals, EPOLLIN);
}

static int add_timeout(struct vm *vm)
{
	int ret;

	vm->timeout.fn = timed_out;
	ret = loop_timer_add(&vm->loop, &vm->timeout);
	return ret ? ret : loop_timer_set(&vm->timeout, vm->config->timeout_ns);
}

static int add_tick(struct vm *vm)
{
	int ret;

	vm->tick.fn = ticked;
	ret = loop_timer_add(&vm->loop, &vm->tick);
	if (!ret)
		start_tick(vm);
	return ret;
}

int vm_events_init(struct vm *vm)
{
	int ret;

	vm->signals.fd = -1;
	vm->timeout.event.fd = -1;
	vm->tick.event.fd = -1;
	pthread_sigmask(SIG_BLOCK, NULL, &vm->signals_before);

	ret = add_control(vm);
	if (!ret)
		ret = add_signals(vm);
	if (!ret && vm->config->timeout_ns)
		ret = add_timeout(vm);
	if (!ret && vm_has_ticks(vm))
		ret = add_tick(vm);
	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		vm_events_destroy(vm);
	}
	return ret;
}

void vm_events_destroy(struct vm *vm)
{
	loop_timer_remove(&vm->loop, &vm->tick);
	loop_timer_remove(&vm->loop, &vm->timeout);
	loop_remove(&vm->loop, &vm->signals);
	close_fd(&vm->signals.fd);
	loop_remove(&vm->loop, &vm->control);
	close_fd(&vm->control.fd);
	pthread_sigmask(SIG_SETMASK, &vm->signals_before, NULL);
}
