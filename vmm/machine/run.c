/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "pause.h"
#include "save.h"

#include "base/log.h"
#include "base/real_time.h"
#include "machine/snapshot.h"

#include <string.h>
#include <sys/stat.h>

/* --- The vCPUs' life -------------------------------------------------------------------------- */

int run_load(struct vm *vm)
{
	const struct machine_config *config = vm->config;
	struct boot_state state;
	const struct boot_summary *summary = &state.summary;
	int ret;

	observers_phase(&vm->observers, MACHINE_LOADS);
	ret = arch_boot_load(&vm->arch, &vm->mem, config->reboot ? config->reboot : &config->boot,
			     &state);
	if (ret)
		return ret;
	sys_note(vm->sys, SYS_TOPIC_PHASE, -1,
		 "the kernel (%s) is in guest RAM from 0x%llx to 0x%llx, its entry is 0x%llx",
		 summary->format, (unsigned long long)summary->kernel_start,
		 (unsigned long long)summary->kernel_end - 1, (unsigned long long)summary->entry);
	if (summary->initrd_len)
		sys_note(vm->sys, SYS_TOPIC_PHASE, -1,
			 "the initrd is in guest RAM from 0x%llx on, %llu bytes",
			 (unsigned long long)summary->initrd_start,
			 (unsigned long long)summary->initrd_len);
	vm->loaded = *summary;
	ret = board_begin_generation(vm);
	return ret ? ret : arch_boot_vcpu(&vm->vcpus[0], &state);
}

void run_stop(struct vm *vm)
{
	/* Otherwise a vCPU would wait for room in the output, and we for the vCPU. */
	serial_stop(vm->serial);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_stop(&vm->vcpus[i]);
}

int run_start(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		int ret = vcpu_start(&vm->vcpus[i]);

		if (ret) {
			log_error("vCPU %u: starting its thread: %s", i, strerror(-ret));
			run_stop(vm);
			return ret;
		}
	}
	return 0;
}

/* --- Restart ---------------------------------------------------------------------------------- */

static int reset(struct vm *vm)
{
	int ret;

	pci_bus_reset(&vm->pci);
	board_reset(vm);
	ret = gmem_clear(&vm->mem);
	if (!ret)
		ret = arch_vm_reset(&vm->arch);
	for (unsigned i = 0; i < vm->vcpu_count && !ret; i++)
		ret = arch_vcpu_reset(&vm->arch, &vm->vcpus[i]);
	return ret;
}

/* Reboots within the process. */
static void restart(struct vm *vm)
{
	int ret;

	run_stop(vm);
	if (ending_is_known(&vm->ending))
		return;
	requests_forget_guest(&vm->requests);
	ending_forget_boot(&vm->ending);
	observers_restarting(&vm->observers);
	ret = reset(vm);
	if (!ret)
		ret = run_load(vm);
	/* It was paused after the guest had asked for the reset. */
	if (!ret && vm->paused)
		run_park(vm);
	if (!ret)
		ret = run_start(vm);
	if (!ret)
		observers_restarted(&vm->observers);
	else
		ending_decide(&vm->ending, OUTCOME_HOST, 0, "reboot: %s", strerror(-ret));
}

/* By now it may be another file than what the saved guest was booted from. */
static bool is_as_saved(struct vm *vm, const char *path)
{
	struct stat st;

	if (!path || (!stat(path, &st) &&
		      timespec_ns(st.st_mtim) <= vm->config->restore->info.saved_ns))
		return true;
	ending_decide(&vm->ending, OUTCOME_HOST, 0,
		      "reboot: %.200s: not there, or changed since the machine was saved", path);
	return false;
}

static bool can_restart(struct vm *vm)
{
	const struct boot_options *boot = vm->config->reboot;
	bool can;

	if (!vm->config->restore)
		return true;
	if (!boot) {
		ending_decide(&vm->ending, OUTCOME_HOST, 0,
			      "reboot: the snapshot does not say which kernel");
		return false;
	}
	can = is_as_saved(vm, boot->kernel) && is_as_saved(vm, boot->initrd);
	for (unsigned i = 0; i < boot->module_count && can; i++)
		can = is_as_saved(vm, boot->modules[i].path);
	return can;
}

/* --- How the guest goes down ------------------------------------------------------------------ */

/* The guest has gone down, and there is at least `proof` of a panic. */
static bool ended_by_panic(struct vm *vm, enum panic_proof proof)
{
	const struct machine_panic panic = observers_panic(&vm->observers);

	if (panic.proof < proof)
		return false;
	ending_decide(&vm->ending, OUTCOME_PANIC, 0, "%s",
		      *panic.line ? panic.line : "the guest reported a panic");
	return true;
}

/* The guest ended by itself: its own status counts, if it has set one. */
static void end_by_guest(struct vm *vm, enum outcome outcome, const char *how)
{
	int status = atomic_load(&vm->ending.guest_status);

	if (status > 0)
		ending_decide(&vm->ending, OUTCOME_STATUS, status, "port kinglet.status, then %s",
			      how);
	else
		ending_decide(&vm->ending, outcome, 0, "%s", how);
}

/* A clean end, unless there is proof of a panic. */
static void power_off(struct vm *vm)
{
	if (!ended_by_panic(vm, PANIC_SURE))
		end_by_guest(vm, OUTCOME_POWEROFF, "powered off");
}

/* The same, or a reboot; here the text of a panic is also proof. */
static void guest_reset(struct vm *vm)
{
	if (ended_by_panic(vm, PANIC_TEXT))
		return;
	if (vm->config->on_reboot == ON_REBOOT_EXIT)
		end_by_guest(vm, OUTCOME_REBOOT, "rebooted");
	else if (can_restart(vm))
		restart(vm);
}

void run_crashed(void *owner, enum pvpanic_event event)
{
	struct vm *vm = owner;
	bool known = ending_panic(&vm->ending).proof == PANIC_SURE;
	struct machine_panic panic;

	if (event == PVPANIC_PANICKED) {
		ended_by_panic(vm, PANIC_UNKNOWN);
		return;
	}
	/* A crash kernel runs next, so the run continues; its verdict is a panic in any case. */
	panic = observers_panic(&vm->observers);
	panic.proof = PANIC_SURE;
	ending_set_panic(&vm->ending, &panic);
	/* A guest may say so any number of times. */
	if (!known)
		observers_happened(&vm->observers, MACHINE_PANICKED,
				   *panic.line ? panic.line : "the guest reported a panic");
}

static void vcpu_ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail)
{
	struct vm *vm = owner;
	char where[160];

	switch (end) {
	case VCPU_HALTED:
		ending_decide(&vm->ending, OUTCOME_HALTED, 0, "halted");
		break;
	case VCPU_POWEROFF:
		requests_post(&vm->requests, REQUEST_POWER_OFF);
		break;
	case VCPU_RESET:
		requests_post(&vm->requests, REQUEST_RESET);
		break;
	case VCPU_CRASH:
		ended_by_panic(vm, PANIC_UNKNOWN);
		break;
	case VCPU_SHUTDOWN:
		if (ended_by_panic(vm, PANIC_TEXT))
			break;
		observers_vcpu(&vm->observers, vcpu);
		arch_vcpu_describe(vcpu, where, sizeof(where));
		ending_decide(&vm->ending, OUTCOME_TRIPLE_FAULT, 0, "vCPU %u: %s", vcpu->id, where);
		break;
	case VCPU_RUNNING:
	case VCPU_INTERNAL_ERROR:
	case VCPU_FAIL_ENTRY:
	case VCPU_UNKNOWN_EXIT:
	case VCPU_RUN_FAILED:
		observers_vcpu(&vm->observers, vcpu);
		ending_decide(&vm->ending, OUTCOME_INTERNAL_ERROR, 0, "vCPU %u: %s", vcpu->id,
			      detail);
		break;
	}
}

static void vcpu_debugged(void *owner, struct vcpu *vcpu)
{
	struct vm *vm = owner;

	if (!observers_debugged(&vm->observers, vcpu))
		ending_decide(&vm->ending, OUTCOME_INTERNAL_ERROR, 0,
			      "vCPU %u: KVM_EXIT_DEBUG without a debugger", vcpu->id);
}

const struct vcpu_ops run_vcpu_ops = {
	.exit = arch_vcpu_exit,
	.ended = vcpu_ended,
	.debugged = vcpu_debugged,
};

/* --- Requests --------------------------------------------------------------------------------- */

static bool waits(struct vcpu *vcpu)
{
	struct arch_vcpu_state state;

	return !arch_vcpu_state(vcpu, &state) && strcmp(state.activity, "running") != 0;
}

/* The timeout ends the run: its line shows the first vCPU that does not wait. */
static void locate(struct vm *vm)
{
	bool waiting = true;
	unsigned told = 0;
	char where[160];

	/* A vCPU that waits for room in its output waits for this thread. */
	serial_stop(vm->serial);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		vcpu_pause(&vm->vcpus[i]);
		if (waiting) {
			waiting = waits(&vm->vcpus[i]);
			told = waiting ? 0 : i;
			if (told == i)
				arch_vcpu_describe(&vm->vcpus[i], where, sizeof(where));
		}
		observers_vcpu(&vm->observers, &vm->vcpus[i]);
		vcpu_resume(&vm->vcpus[i]);
	}
	ending_decide(&vm->ending, OUTCOME_TIMEOUT, 0, "vCPU %u: %s", told, where);
}

/* --snapshot: once. The guest goes on if it fails; run_check_saved() makes it count. */
static void try_to_save(struct vm *vm)
{
	const char *dir = vm->config->snapshot;
	bool cached = vm->config->snapshot_cached;

	vm->save_tried = true;
	log_mute(cached);
	vm->saved = !vm_save(vm, dir, NULL, (vm->config->snapshot_ends ? SAVE_LAST : 0) |
					    (cached ? SAVE_UNSYNCED : 0));
	log_mute(false);
	if (vm->saved && vm->config->snapshot_ends)
		ending_decide(&vm->ending, OUTCOME_QUIT, 0, "saved in %s", dir);
}

static void save(struct vm *vm)
{
	bool again = !vm->config->snapshot || vm->save_tried;

	if (!again)
		try_to_save(vm);
	/* A guest that asks has its answer in any case; one that has ended must not go on. */
	if (!ending_is_known(&vm->ending))
		snapshot_port_answer(&vm->snapshot_port, vm->saved && !again ? "saved" : "failed",
				     NULL);
}

/* One that has moved is not here to be saved. */
void run_check_saved(struct vm *vm)
{
	if (vm->config->snapshot && !vm->config->snapshot_cached && !vm->saved && !vm->moving)
		ending_fail(&vm->ending, OUTCOME_HOST, 0, "%s",
			    vm->save_tried ? "the snapshot could not be saved" :
					     "no snapshot was saved: nothing asked for it");
}

static void answer(struct vm *vm)
{
	snapshot_port_send(&vm->snapshot_port);
}

static void resize(struct vm *vm)
{
	console_resized(&vm->console);
}

static void suspend(struct vm *vm)
{
	terminal_suspend(&vm->console.terminal);
}

static void resume(struct vm *vm)
{
	terminal_continue(&vm->console.terminal);
}

static void report(struct vm *vm)
{
	observers_report(&vm->observers);
}

static void serve_asks(struct vm *vm)
{
	asks_serve(&vm->asks);
}

void run_serve(void *owner, enum request request)
{
	static void (*const handlers[REQUESTS])(struct vm *vm) = {
		[REQUEST_POWER_OFF] = power_off,
		[REQUEST_RESET] = guest_reset,
		[REQUEST_SAVE] = save,
		[REQUEST_ANSWER] = answer,
		[REQUEST_RESIZE] = resize,
		[REQUEST_SUSPEND] = suspend,
		[REQUEST_CONTINUE] = resume,
		[REQUEST_REPORT] = report,
		[REQUEST_ASK] = serve_asks,
		[REQUEST_LOCATE] = locate,
	};
	struct vm *vm = owner;

	if (!ending_is_known(&vm->ending))
		handlers[request](vm);
}
