/* SPDX-License-Identifier: Apache-2.0 */
#include "../trace/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The exit status of an outcome (README's table); `number` is the guest's status, or the signal. */
static int status_of(enum outcome outcome, int number)
{
	switch (outcome) {
	case OUTCOME_POWEROFF:
	case OUTCOME_REBOOT:
	case OUTCOME_HALTED:
	case OUTCOME_QUIT:
		return 0;
	case OUTCOME_STATUS:
	case OUTCOME_OBSERVER:
		return number;
	case OUTCOME_BUDGET:
		return 1;
	case OUTCOME_USAGE:
		return 100;
	case OUTCOME_HOST:
		return 101;
	case OUTCOME_PANIC:
		return 102;
	case OUTCOME_TRIPLE_FAULT:
		return 103;
	case OUTCOME_INTERNAL_ERROR:
		return 104;
	case OUTCOME_TIMEOUT:
		return 124;
	case OUTCOME_SIGNAL:
		return 128 + number;
	}
	return 104;
}

static void decide(struct vm *vm, bool over_success, enum outcome outcome, int status,
		   const char *fmt, va_list args)
{
	struct verdict *verdict = &vm->verdict;

	pthread_mutex_lock(&vm->verdict_lock);
	if (!vm->ended || (over_success && !verdict->status)) {
		vm->ended = true;
		verdict->outcome = outcome;
		verdict->status = status_of(outcome, status);
		vsnprintf(verdict->detail, sizeof(verdict->detail), fmt, args);
	}
	pthread_mutex_unlock(&vm->verdict_lock);
	control_ended(vm);
}

void vm_end(struct vm *vm, enum outcome outcome, int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	decide(vm, false, outcome, status, fmt, args);
	va_end(args);
}

void vm_fail(struct vm *vm, enum outcome outcome, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	decide(vm, true, outcome, 0, fmt, args);
	va_end(args);
}

void vm_output_lost(struct vm *vm, const char *stream, int error)
{
	/* A reader may leave when it has seen enough, as head does. */
	if (error != EPIPE)
		vm_fail(vm, OUTCOME_HOST, "%s: %s", stream, strerror(error));
}

bool vm_has_ended(struct vm *vm)
{
	bool ended;

	pthread_mutex_lock(&vm->verdict_lock);
	ended = vm->ended;
	pthread_mutex_unlock(&vm->verdict_lock);
	return ended;
}

bool vm_is_hurried(struct vm *vm)
{
	enum outcome outcome;

	pthread_mutex_lock(&vm->verdict_lock);
	outcome = vm->verdict.outcome;
	pthread_mutex_unlock(&vm->verdict_lock);
	return outcome == OUTCOME_SIGNAL || outcome == OUTCOME_TIMEOUT || outcome == OUTCOME_QUIT;
}

/* The guest has gone down, and what is known of a panic is no less than `proof`. */
static bool ended_by_panic(struct vm *vm, enum console_panic proof)
{
	struct panic_report panic;

	pthread_mutex_lock(&vm->console_lock);
	panic = vm->panic;
	pthread_mutex_unlock(&vm->console_lock);
	if (panic.stage < proof)
		return false;
	vm_end(vm, OUTCOME_PANIC, 0, "%s", panic.len ? panic.line : "the guest reported a panic");
	return true;
}

void vm_guest_status(struct vm *vm, uint8_t status)
{
	pthread_mutex_lock(&vm->verdict_lock);
	vm->guest_status = status;
	pthread_mutex_unlock(&vm->verdict_lock);
}

void vm_guest_drained(struct vm *vm)
{
	int status;

	if (!vm->config->program)
		return;
	pthread_mutex_lock(&vm->verdict_lock);
	status = vm->guest_status;
	pthread_mutex_unlock(&vm->verdict_lock);
	vm_end(vm, OUTCOME_STATUS, status, "the program ended");
}

/* The guest went down by itself: its own status counts, if it has set one. */
static void end_by_guest(struct vm *vm, enum outcome outcome, const char *how)
{
	int status;

	pthread_mutex_lock(&vm->verdict_lock);
	status = vm->guest_status;
	pthread_mutex_unlock(&vm->verdict_lock);
	if (status > 0)
		vm_end(vm, OUTCOME_STATUS, status, "port kinglet.status, then %s", how);
	else
		vm_end(vm, outcome, 0, "%s", how);
}

/* What the guest prints, from power-on. */
static void begin_scans(struct vm *vm)
{
	vm->panic = (struct panic_report){ 0 };
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		console_scan_init(&vm->scans[i], &vm->panic);
}

void vm_forget_boot(struct vm *vm)
{
	pthread_mutex_lock(&vm->verdict_lock);
	vm->guest_status = -1;
	pthread_mutex_unlock(&vm->verdict_lock);
	pthread_mutex_lock(&vm->console_lock);
	begin_scans(vm);
	pthread_mutex_unlock(&vm->console_lock);
}

void vm_power_off(struct vm *vm)
{
	if (!ended_by_panic(vm, CONSOLE_PANIC_CRASH))
		end_by_guest(vm, OUTCOME_POWEROFF, "powered off");
}

void vm_reset(struct vm *vm)
{
	if (ended_by_panic(vm, CONSOLE_PANIC_TEXT))
		return;
	if (vm->config->on_reboot == ON_REBOOT_EXIT)
		end_by_guest(vm, OUTCOME_REBOOT, "rebooted");
	else
		vm_restart(vm);
}

void vm_guest_panicked(struct vm *vm)
{
	ended_by_panic(vm, CONSOLE_PANIC_NONE);
}

void vm_guest_crashes(struct vm *vm)
{
	pthread_mutex_lock(&vm->console_lock);
	vm->panic.stage = CONSOLE_PANIC_CRASH;
	pthread_mutex_unlock(&vm->console_lock);
}

void vm_watch_console(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len)
{
	bool printed;

	vm_show_console(vm, stream, data, len);
	pthread_mutex_lock(&vm->console_lock);
	watch_console(vm, stream, data, len);
	console_scan_feed(&vm->scans[stream], data, len);
	printed = vm->panic.stage == CONSOLE_PANIC_END;
	pthread_mutex_unlock(&vm->console_lock);
	if (printed)
		vm_guest_panicked(vm);
}

void vm_vcpu_ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail)
{
	struct vm *vm = owner;
	char where[160];

	switch (end) {
	case VCPU_HALTED:
		vm_end(vm, OUTCOME_HALTED, 0, "halted");
		break;
	case VCPU_POWEROFF:
		vm_request(vm, VM_POWER_OFF);
		break;
	case VCPU_RESET:
		vm_request(vm, VM_RESET);
		break;
	case VCPU_CRASH:
		vm_guest_panicked(vm);
		break;
	case VCPU_SHUTDOWN:
		if (ended_by_panic(vm, CONSOLE_PANIC_TEXT))
			break;
		vm_show_vcpu(vm, vcpu);
		arch_vcpu_describe(vcpu, where, sizeof(where));
		vm_end(vm, OUTCOME_TRIPLE_FAULT, 0, "vCPU %u: %s", vcpu->id, where);
		break;
	case VCPU_RUNNING:
	case VCPU_INTERNAL_ERROR:
	case VCPU_FAIL_ENTRY:
	case VCPU_UNKNOWN_EXIT:
	case VCPU_RUN_FAILED:
		vm_show_vcpu(vm, vcpu);
		vm_end(vm, OUTCOME_INTERNAL_ERROR, 0, "vCPU %u: %s", vcpu->id, detail);
		break;
	}
}

void vm_verdict_init(struct vm *vm)
{
	vm->guest_status = -1;
	pthread_mutex_init(&vm->verdict_lock, NULL);
	pthread_mutex_init(&vm->console_lock, NULL);
	begin_scans(vm);
}

void vm_verdict_destroy(struct vm *vm)
{
	pthread_mutex_destroy(&vm->console_lock);
	pthread_mutex_destroy(&vm->verdict_lock);
}
