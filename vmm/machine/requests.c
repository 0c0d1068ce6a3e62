/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest, on a vCPU thread, and the main thread ask of the machine's thread. */
#include "vm.h"

#include "base/log.h"

#include <string.h>
#include <sys/eventfd.h>

static void suspend(struct vm *vm)
{
	terminal_suspend(&vm->terminal);
}

static void resume(struct vm *vm)
{
	terminal_continue(&vm->terminal);
}

static bool waits(struct vcpu *vcpu)
{
	struct arch_vcpu_state state;

	return !arch_vcpu_state(vcpu, &state) && strcmp(state.activity, "running") != 0;
}

/* The run ends by its timeout: says where the vCPUs are, in its line the first that does not wait. */
static void locate(struct vm *vm)
{
	bool waiting = true;
	unsigned told = 0;
	char where[160];

	/* A vCPU that waits for the reader of its output waits for this very thread. */
	board_serial_stop(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		vcpu_pause(&vm->vcpus[i]);
		if (waiting) {
			waiting = waits(&vm->vcpus[i]);
			told = waiting ? 0 : i;
			if (told == i)
				arch_vcpu_describe(&vm->vcpus[i], where, sizeof(where));
		}
		vm_show_vcpu(vm, &vm->vcpus[i]);
		vcpu_resume(&vm->vcpus[i]);
	}
	vm_end(vm, OUTCOME_TIMEOUT, 0, "vCPU %u: %s", told, where);
}

static void (*const handlers[VM_REQUESTS])(struct vm *vm) = {
	[VM_POWER_OFF] = vm_power_off,
	[VM_RESET] = vm_reset,
	[VM_RESIZE] = vm_console_resized,
	[VM_SUSPEND] = suspend,
	[VM_CONTINUE] = resume,
	[VM_PRINT_STATS] = vm_print_stats,
	[VM_LOCATE_VCPUS] = locate,
};

enum { OF_GUEST = 1u << VM_POWER_OFF | 1u << VM_RESET };

void vm_request(struct vm *vm, enum vm_request request)
{
	/* Requests are served in an order of their own: a stop that is over must not come after. */
	if (request == VM_CONTINUE)
		atomic_fetch_and(&vm->requests, ~(1u << VM_SUSPEND));
	atomic_fetch_or(&vm->requests, 1u << request);
	eventfd_signal(vm->request_event.fd);
}

void vm_forget_guest_requests(struct vm *vm)
{
	atomic_fetch_and(&vm->requests, ~(unsigned)OF_GUEST);
	vm->guest_waits = false;
}

/*
 * What the guest asked of devices before it asked to go down lies in eventfds that the loop may not
 * have seen yet: an exit status on its port, say. So the loop goes round once more, and whatever
 * ends the run there goes before.
 */
static unsigned take_requests(struct vm *vm)
{
	unsigned requests = atomic_exchange(&vm->requests, 0), guests = requests & OF_GUEST;

	if (guests && !vm->guest_waits) {
		vm->guest_waits = true;
		atomic_fetch_or(&vm->requests, guests);
		eventfd_signal(vm->request_event.fd);
		return requests & ~guests;
	}
	if (guests)
		vm->guest_waits = false;
	return requests;
}

static void requested(struct loop_event *event, uint32_t events)
{
	struct vm *vm = container_of(event, struct vm, request_event);
	unsigned requests;

	(void)events;
	eventfd_drain(event->fd);
	requests = take_requests(vm);
	for (unsigned i = 0; i < VM_REQUESTS && !vm_has_ended(vm); i++)
		if (requests & 1u << i)
			handlers[i](vm);
}

/* Arming a timer that is in the loop cannot fail. */
static void start_tick(struct vm *vm)
{
	int ret = loop_timer_set(&vm->tick, MACHINE_TICK_MS * UINT64_C(1000000));

	(void)ret;
}

static void ticked(struct loop_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, tick);

	vm_show_tick(vm);
	start_tick(vm);
}

static int add_tick(struct vm *vm)
{
	int ret;

	if (!vm_has_ticks(vm))
		return 0;
	vm->tick.fn = ticked;
	ret = loop_timer_add(&vm->loop, &vm->tick);
	if (!ret)
		start_tick(vm);
	return ret;
}

int vm_requests_init(struct vm *vm)
{
	int ret;

	vm->tick.event.fd = -1;
	vm->request_event.fn = requested;
	vm->request_event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = vm->request_event.fd < 0 ? -errno :
					 loop_add(&vm->loop, &vm->request_event, EPOLLIN);
	if (!ret)
		ret = add_tick(vm);
	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		vm_requests_destroy(vm);
	}
	return ret;
}

void vm_requests_destroy(struct vm *vm)
{
	loop_timer_remove(&vm->loop, &vm->tick);
	loop_remove(&vm->loop, &vm->request_event);
	close_fd(&vm->request_event.fd);
}
