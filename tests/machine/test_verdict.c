/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on a guest's end: from what it printed, what it reported, and how it ended. */
#include "../../vmm/machine/run.h"
#include "guestlog/guest_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct machine_config config;
	struct guest_log log;
	struct vm vm;
};

static void begin(struct rig *rig)
{
	*rig = (struct rig){ 0 };
	rig->vm.config = &rig->config;
	rig->config.observers[0] = (struct machine_observer){ &guest_log_ops, &rig->log };
	rig->config.observer_count = 1;
	assert_int_equal(ending_init(&rig->vm.ending), 0);
	assert_int_equal(observers_init(&rig->vm.observers, &rig->config, &rig->vm.ending, NULL),
			 0);
}

static void end(struct rig *rig)
{
	pthread_mutex_destroy(&rig->vm.observers.lock);
	ending_destroy(&rig->vm.ending);
}

static void prints(struct rig *rig, enum guest_stream stream, const char *text)
{
	observers_console(&rig->vm.observers, stream, (const uint8_t *)text, strlen(text));
}

#define PANIC "[    1.8] Kernel panic - not syncing: no init\n"
#define DUMP "[    1.8] CPU: 0 PID: 1 Comm: swapper/0\n[    1.8] Kernel Offset: disabled\n"
#define LAST "[    1.8] ---[ end Kernel panic - not syncing: no init ]---\n"
#define BANNER "[    0.0] Linux version 6.1.0 (a@b)\n"
#define POWER_DOWN "[    9.9] reboot: Power down\n"
#define RESTARTING "[    9.9] reboot: Restarting system\n"

static void powers_off(struct vm *vm)
{
	run_serve(vm, REQUEST_POWER_OFF);
}

static void resets(struct vm *vm)
{
	run_serve(vm, REQUEST_RESET);
}

static void reports_panic(struct vm *vm)
{
	run_crashed(vm, PVPANIC_PANICKED);
}

static void crash_kernel_powers_off(struct vm *vm)
{
	run_crashed(vm, PVPANIC_CRASH_LOADED);
	run_serve(vm, REQUEST_POWER_OFF);
}

static void goes_on(struct vm *vm)
{
	(void)vm;
}

static void a_panic_is_told_from_the_text_of_one(void **state)
{
	static const struct {
		const char *serial;
		void (*goes_down)(struct vm *vm);
		enum outcome outcome;
	} cases[] = {
		{ "hello\n", powers_off, OUTCOME_POWEROFF },
		{ "hello\n", resets, OUTCOME_REBOOT },
		/* panic=-1 */
		{ BANNER PANIC DUMP, resets, OUTCOME_PANIC },
		{ BANNER "login: Kernel panic - not syncing: x", resets, OUTCOME_PANIC },
		/* panic=0: it hangs, and would until the timeout. */
		{ BANNER PANIC DUMP LAST, goes_on, OUTCOME_PANIC },
		{ BANNER PANIC DUMP "[ 1.8] Rebooting in 5 seconds..\n", resets, OUTCOME_PANIC },
		{ BANNER, reports_panic, OUTCOME_PANIC },
		{ BANNER PANIC DUMP, reports_panic, OUTCOME_PANIC },
		/* An old log is printed, and the guest powers off normally. */
		{ BANNER PANIC DUMP, powers_off, OUTCOME_POWEROFF },
		{ BANNER PANIC DUMP POWER_DOWN, powers_off, OUTCOME_POWEROFF },
		{ BANNER PANIC DUMP "guest# " RESTARTING, resets, OUTCOME_REBOOT },
		/* And then it panics. */
		{ BANNER PANIC DUMP RESTARTING PANIC DUMP, resets, OUTCOME_PANIC },
		/* A crash kernel powers off normally: the panic still counts. */
		{ BANNER PANIC DUMP BANNER POWER_DOWN, powers_off, OUTCOME_PANIC },
		{ BANNER PANIC DUMP BANNER RESTARTING, resets, OUTCOME_PANIC },
		{ "quiet\n", crash_kernel_powers_off, OUTCOME_PANIC },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig rig;

		begin(&rig);
		prints(&rig, GUEST_SERIAL, cases[i].serial);
		cases[i].goes_down(&rig.vm);
		if (!rig.vm.ending.known || rig.vm.ending.verdict.outcome != cases[i].outcome)
			fail_msg("case %zu: outcome %d", i, (int)rig.vm.ending.verdict.outcome);
		end(&rig);
	}
}

/* A program's output on one console, the kernel's on the other. */
static void both_consoles_tell_one_story(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	prints(&rig, GUEST_SERIAL, PANIC);
	prints(&rig, GUEST_HVC, RESTARTING);
	run_serve(&rig.vm, REQUEST_RESET);
	assert_int_equal(rig.vm.ending.verdict.outcome, OUTCOME_REBOOT);
	end(&rig);

	begin(&rig);
	prints(&rig, GUEST_HVC, PANIC);
	prints(&rig, GUEST_SERIAL, PANIC DUMP);
	run_serve(&rig.vm, REQUEST_RESET);
	assert_int_equal(rig.vm.ending.verdict.outcome, OUTCOME_PANIC);
	assert_string_equal(rig.vm.ending.verdict.detail, "Kernel panic - not syncing: no init");
	end(&rig);
}

static void count_panics(void *owner, enum machine_event event, const char *what)
{
	assert_int_equal(event, MACHINE_PANICKED);
	assert_string_equal(what, "the guest reported a panic");
	++*(unsigned *)owner;
}

/* The guest may write to the port in a loop. */
static void a_panic_before_a_crash_kernel_is_told_once(void **state)
{
	static const struct machine_observer_ops ops = { .happened = count_panics };
	unsigned told = 0;
	struct rig rig;

	(void)state;
	begin(&rig);
	rig.config.observers[0] = (struct machine_observer){ &ops, &told };
	run_crashed(&rig.vm, PVPANIC_CRASH_LOADED);
	run_crashed(&rig.vm, PVPANIC_CRASH_LOADED);
	assert_int_equal(told, 1);
	end(&rig);
}

/* A quiet crash kernel that goes down in order makes no old log of the panic before it. */
static void the_panic_before_a_crash_kernel_is_told(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	prints(&rig, GUEST_SERIAL, PANIC DUMP);
	run_crashed(&rig.vm, PVPANIC_CRASH_LOADED);
	prints(&rig, GUEST_SERIAL, POWER_DOWN);
	run_serve(&rig.vm, REQUEST_POWER_OFF);
	assert_int_equal(rig.vm.ending.verdict.outcome, OUTCOME_PANIC);
	assert_string_equal(rig.vm.ending.verdict.detail, "Kernel panic - not syncing: no init");
	end(&rig);
}

static void a_status_counts_when_the_guest_goes_down(void **state)
{
	static const struct {
		uint8_t status;
		void (*goes_down)(struct vm *vm);
		enum outcome outcome;
	} cases[] = {
		{ 7, powers_off, OUTCOME_STATUS },
		{ 7, resets, OUTCOME_STATUS },
		/* No failure; but the way it ended matters to `kinglet test`. */
		{ 0, powers_off, OUTCOME_POWEROFF },
		{ 0, resets, OUTCOME_REBOOT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig rig;

		begin(&rig);
		atomic_store(&rig.vm.ending.guest_status, cases[i].status);
		cases[i].goes_down(&rig.vm);
		assert_int_equal(rig.vm.ending.verdict.outcome, cases[i].outcome);
		assert_int_equal(rig.vm.ending.verdict.status, cases[i].status);
		end(&rig);
	}
}

static void a_boot_knows_nothing_of_the_one_before(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	atomic_store(&rig.vm.ending.guest_status, 7);
	prints(&rig, GUEST_SERIAL, PANIC);
	ending_forget_boot(&rig.vm.ending);
	observers_restarting(&rig.vm.observers);
	run_serve(&rig.vm, REQUEST_RESET);
	assert_int_equal(rig.vm.ending.verdict.outcome, OUTCOME_REBOOT);
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_panic_is_told_from_the_text_of_one),
		cmocka_unit_test(both_consoles_tell_one_story),
		cmocka_unit_test(the_panic_before_a_crash_kernel_is_told),
		cmocka_unit_test(a_panic_before_a_crash_kernel_is_told_once),
		cmocka_unit_test(a_status_counts_when_the_guest_goes_down),
		cmocka_unit_test(a_boot_knows_nothing_of_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
