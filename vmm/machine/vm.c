/* SPDX-License-Identifier: Apache-2.0 */
/* machine_run(): the environment of a machine: its process, threads and observers. */
#include "migration.h"
#include "pause.h"
#include "run.h"
#include "save.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

/* --- For observers ---------------------------------------------------------------------------- */

static void end(struct vm *vm, const struct verdict *verdict)
{
	ending_decide(&vm->ending, verdict->outcome, verdict->status, "%s", verdict->detail);
}

static void pausing(struct vm *vm)
{
	serial_stop(vm->serial);
}

static void paused(struct vm *vm)
{
	serial_continue(vm->serial);
}

static void progressed(struct vm *vm)
{
	atomic_fetch_add(&vm->ending.progress, 1);
}

static size_t type(struct vm *vm, const uint8_t *keys, size_t len)
{
	return console_type(&vm->console, keys, len);
}

static void ask(struct vm *vm, struct machine_ask *ask)
{
	asks_add(&vm->asks, ask);
	requests_post(&vm->requests, REQUEST_ASK);
}

static int pause_all(struct vm *vm)
{
	return vm->moving ? -EINPROGRESS : run_pause(vm);
}

/* A machine whose target is silent is let go by the one who knows that it does not run there. */
static int resume(struct vm *vm)
{
	bool moving = vm->moving;
	int ret = vm_take_back(vm);

	return ret || moving ? ret : run_resume(vm);
}

static int save(struct vm *vm, const char *dir, const char *base)
{
	return vm_save(vm, dir, base, 0);
}

static void save_soon(struct vm *vm)
{
	requests_post(&vm->requests, REQUEST_SAVE);
}

/* The parts that are known before anything is built. */
static void init_parts(struct vm *vm)
{
	static const struct machine_ops ops = {
		.end = end,
		.pausing = pausing,
		.paused = paused,
		.progressed = progressed,
		.ask = ask,
		.pause = pause_all,
		.resume = resume,
		.migrate = vm_migrate,
		.cancel_migration = vm_migrate_cancel,
		.save = save,
		.save_soon = save_soon,
		.press_power = board_press_power,
		.type = type,
	};

	vm->parts = (struct machine_parts){
		.config = vm->config,
		.sys = vm->sys,
		.loop = &vm->loop,
		.control_loop = &vm->control.loop,
		.pio = &vm->pio,
		.mmio = &vm->mmio,
		.mem = &vm->mem,
		.irqs = &vm->irqs,
		.pci = &vm->pci,
		.devices = vm->devices,
		.loaded = &vm->loaded,
		.ops = &ops,
		.vm = vm,
	};
}

/* --- A run ------------------------------------------------------------------------------------ */

/*
 * Linux has a table of 64 descriptors, and grows it: at once in a process of one thread, else after
 * an RCU grace period, which is 10 ms and more.
 */
static void make_room_for_fds(void)
{
	close(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 255));
}

/* What a machine asks of its process. Stays so: the verdict's reader, too, may have left. */
static void prepare_process(void)
{
	struct rlimit files;

	/*
	 * A failed write returns an error instead: a closed reader, or a file at its limit
	 * (RLIMIT_FSIZE).
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/*
	 * The default soft limit of 1,024 is for select(2); a vCPU has a descriptor, a queue two.
	 */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	make_room_for_fds();
}

/* Prepares a run: the two loops, and what connects them. */
static int prepare(struct vm *vm)
{
	struct control_options control = {
		.timeout_ns = vm->config->timeout_ns,
		.started_ns = vm->config->started_ns,
		.ending = &vm->ending,
		.requests = &vm->requests,
		.loop = &vm->loop,
	};
	int ret = loop_init(&vm->loop);

	if (ret)
		return ret;
	ret = ending_init(&vm->ending);
	if (ret)
		goto err_loop;
	ret = requests_init(&vm->requests, &vm->loop, run_serve, vm);
	if (ret)
		goto err_ending;
	ret = observers_init(&vm->observers, vm->config, &vm->ending, &vm->loop);
	if (ret)
		goto err_requests;
	control.reports = observers_can_report(&vm->observers);
	ret = control_init(&vm->control, &control);
	if (ret)
		goto err_observers;
	ret = asks_init(&vm->asks, &vm->control.loop);
	if (ret)
		goto err_control;
	init_parts(vm);
	return 0;

err_control:
	control_destroy(&vm->control);
err_observers:
	observers_destroy(&vm->observers, &vm->loop);
err_requests:
	requests_destroy(&vm->requests, &vm->loop);
err_ending:
	ending_destroy(&vm->ending);
err_loop:
	loop_destroy(&vm->loop);
	return ret;
}

static void dispose(struct vm *vm)
{
	asks_destroy(&vm->asks, &vm->control.loop);
	control_destroy(&vm->control);
	observers_destroy(&vm->observers, &vm->loop);
	requests_destroy(&vm->requests, &vm->loop);
	ending_destroy(&vm->ending);
	loop_destroy(&vm->loop);
	free(vm);
}

/*
 * The machine's thread is stuck, and others may be, too. Removes what would outlive the process;
 * everything else ends with it.
 */
static void abandon(struct vm *vm)
{
	if (!observers_silence(&vm->observers))
		ending_fail(&vm->ending, OUTCOME_HOST, 0,
			    "the console's output was not read completely");
	terminal_restore(&vm->console.terminal);
	observers_abandon(&vm->observers);
	vm_abandon_devices(vm);
	if (!atomic_load(&vm->ending.unfinished))
		return;
	log_warning("the machine does not stop: pending output may be lost");
	ending_fail(&vm->ending, OUTCOME_HOST, 0, "the machine did not stop");
}

bool machine_run(const struct machine_config *config, struct sys *sys, struct verdict *verdict)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	bool gone;
	int ret;

	*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = 101 };
	if (!vm) {
		log_error("machine: %s", strerror(ENOMEM));
		return true;
	}
	vm->config = config;
	vm->sys = sys;
	prepare_process();
	ret = prepare(vm);
	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		free(vm);
		return true;
	}
	gone = control_run(&vm->control, vm_live, vm);
	if (!gone)
		abandon(vm);
	*verdict = ending_verdict(&vm->ending);
	if (gone)
		dispose(vm);
	return gone;
}
