/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct vm owns everything of a running machine. Private to vmm/machine; other layers see only
 * machine_run().
 *
 * Threads: the machine's builds, runs the devices' event loop and takes down; one thread a vCPU;
 * and the main thread (control.h), which keeps the clock and does no device work. What they share
 * is the verdict, and requests that wake the loop.
 */
#ifndef KINGLET_MACHINE_VM_H
#define KINGLET_MACHINE_VM_H

#include "control.h"

#include "arch/arch.h"
#include "guestlog/console_scan.h"
#include "host/terminal.h"
#include "machine/machine.h"
#include "pci/pci.h"
#include "virtio/virtio.h"

#include <signal.h>

struct board;
struct program;
struct watch;
struct gdb_server;

/* What other threads ask of the machine's. */
enum vm_request {
	VM_POWER_OFF, /* the guest */
	VM_RESET,     /* the guest */
	VM_RESIZE,
	VM_SUSPEND,
	VM_CONTINUE,
	VM_PRINT_STATS,
	VM_LOCATE_VCPUS, /* time is up */
	VM_REQUESTS,
};

struct vm {
	const struct machine_config *config; /* borrowed */
	struct sys *sys;		     /* borrowed */
	struct control control;	     /* the main thread's */
	struct watch *watch;	     /* owned; NULL: nobody looks on */
	struct boot_summary loaded;	     /* what vm_load_guest() has put into RAM */
	struct loop loop;
	struct gmem mem;
	struct kvm kvm;
	struct gmem_kvm memslots;
	struct bus pio, mmio;
	struct arch_vm arch;
	struct irqs irqs;
	struct board *board; /* the arch's platform devices, owned */
	struct pci_bus pci;
	struct virtio_dev *devices[PCI_SLOTS]; /* those on the bus, owned by it */
	unsigned device_count;
	struct virtio_dev *hvc; /* virtio-console, owned by pci; or NULL */
	struct vcpu *vcpus;	/* owned */
	unsigned vcpu_count;	/* initialised so far */
	struct terminal terminal;
	struct gdb_server *gdb; /* owned; NULL without --gdb */
	struct program *program; /* owned; NULL without one */

	struct loop_event request_event; /* eventfd, owned: there are requests */
	_Atomic unsigned requests;	 /* bit n: enum vm_request n */
	bool guest_waits; /* the loop has gone round once since the guest asked to go down */
	struct loop_timer tick;
	atomic_bool running;	    /* all is built */
	_Atomic unsigned progress;  /* of taking it down: steps so far */
	_Atomic unsigned to_finish; /* what has still to be written to its end: console, watch */

	/* Held for no longer than it takes to read or write these. */
	pthread_mutex_t verdict_lock;
	struct verdict verdict;
	bool ended;	  /* verdict is known */
	int guest_status; /* what the guest wrote to the port kinglet.status; -1: nothing */

	/* What looks at the guest's consoles is called with it held. */
	pthread_mutex_t console_lock;
	struct console_scan scans[GUEST_STREAMS];
	struct panic_report panic; /* what they know of one */
};

/* --- machine.c --- */

/* Builds the machine, runs its devices until there is a verdict, takes it down. Its own thread. */
void vm_main(struct vm *vm);

/* --- verdict.c: how the run ends. Any thread, no lock needed. --- */

void vm_verdict_init(struct vm *vm);
void vm_verdict_destroy(struct vm *vm);
/* The first caller decides; later calls are ignored. */
void vm_end(struct vm *vm, enum outcome outcome, int status, const char *fmt, ...) __printf(4, 5);
/*
 * The same, also over an end that would count as success: something that the run was to do could
 * not be done, or not in time.
 */
void vm_fail(struct vm *vm, enum outcome outcome, const char *fmt, ...) __printf(3, 4);
/* What the guest wrote to this stream of the host is lost, for an errno. */
void vm_output_lost(struct vm *vm, const char *stream, int error);
bool vm_has_ended(struct vm *vm);
/* It ended, and not by the guest's doing: by a signal, its time, or the user. */
bool vm_is_hurried(struct vm *vm);
/* At a reset: the status and the consoles' text of one boot are not of the next. */
void vm_forget_boot(struct vm *vm);
/* Kept for a clean end: it becomes the exit status then. */
void vm_guest_status(struct vm *vm, uint8_t status);
/* What the guest wrote before its status has been passed on: with a program, the run's end. */
void vm_guest_drained(struct vm *vm);
/* VM_POWER_OFF: a clean end, unless it is proved that the guest has panicked. Machine's thread. */
void vm_power_off(struct vm *vm);
/* VM_RESET: the same, or a reboot; here a panic's text is proof, too. Machine's thread. */
void vm_reset(struct vm *vm);
/* pvpanic, KVM's crash event, or the last line of a panic on a console. */
void vm_guest_panicked(struct vm *vm);
/* pvpanic: a crash kernel runs next, so that the run goes on; however it ends, it was a panic. */
void vm_guest_crashes(struct vm *vm);
/*
 * Shows what the guest prints to the observers, and looks for a panic in it. The run goes on until
 * the guest has printed the rest or gone down, so that the log is whole.
 */
void vm_watch_console(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len);
/* vcpu_ops.ended; owner is the vm. */
void vm_vcpu_ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail);

/* --- observe.c: what observers are shown. Any thread; takes console_lock. --- */

/* They may end the run. */
void vm_show_console(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len);
void vm_show_tick(struct vm *vm);
/* Of a vCPU that is parked or has ended. */
void vm_show_vcpu(struct vm *vm, struct vcpu *vcpu);
bool vm_has_ticks(const struct vm *vm);

/* --- requests.c: of other threads to the machine's. --- */

/* vm->loop is there. Logs on failure. */
__must_check int vm_requests_init(struct vm *vm);
void vm_requests_destroy(struct vm *vm);
/* Any thread. What the guest asks is done after what it had asked of devices before. */
void vm_request(struct vm *vm, enum vm_request request);
/*
 * What the guest asked for until its vCPUs stopped is not for the next boot: Linux pulses the reset
 * line ten times. Machine's thread.
 */
void vm_forget_guest_requests(struct vm *vm);

/* --- run.c: the vCPUs' life. Machine's thread. --- */

/* Kernel, initrd and firmware tables into RAM, vCPU 0 to the entry. */
__must_check int vm_load_guest(struct vm *vm);
/* On failure some may run. */
__must_check int vm_start_vcpus(struct vm *vm);
void vm_stop_vcpus(struct vm *vm);
/* Reboots inside the process; a failure ends the run. */
void vm_restart(struct vm *vm);

/* --- gdb_server.c: the debugger. Machine's thread. --- */

/* Listens for one, as the config says; vCPUs that are started then wait for it. Logs on failure. */
__must_check int vm_gdb_init(struct vm *vm);
/* Tells it how the run has ended; the vCPUs are stopped. */
void vm_gdb_destroy(struct vm *vm);
/* The machine's thread is stuck: removes its socket. Any thread. */
void vm_gdb_abandon(struct vm *vm);
/* Around the start of the vCPUs after a reset. */
void vm_gdb_restarting(struct vm *vm);
void vm_gdb_restarted(struct vm *vm);
/* vcpu_ops.debugged; owner is the vm. vCPU thread. */
void vm_vcpu_debugged(void *owner, struct vcpu *vcpu);

/* --- console.c: who has the terminal. Machine's thread where not said otherwise. --- */

__must_check int vm_console_init(struct vm *vm);
void vm_console_destroy(struct vm *vm);
void vm_console_resized(struct vm *vm);
/* To a person at a terminal: one line that says how to leave. */
void vm_console_greet(const struct vm *vm);
/* Guest output, shown if its console has the terminal; returns what was taken. Any thread. */
size_t vm_console_write(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len);

/* --- program.c: the streams of a program in the guest. Machine's thread where not said otherwise. -- */

enum { VM_PROGRAM_PORTS = 3 };
extern const char *const vm_program_ports[VM_PROGRAM_PORTS];

/* Nothing is done when the config names no program. Machine's thread. */
__must_check int vm_program_init(struct vm *vm);
void vm_program_destroy(struct vm *vm);
/* Both inside the console's callbacks: returns what was taken. */
size_t vm_program_output(struct vm *vm, unsigned port, const uint8_t *data, size_t len);
void vm_program_input_wanted(struct vm *vm);

/* --- stats.c --- */

/* To standard error. The vCPUs may run. Machine's thread. */
void vm_print_stats(struct vm *vm);

/* --- crash.c: a fault of our own restores this terminal and exits with 104. --- */

void vm_crash_guard(struct terminal *terminal);
void vm_crash_unguard(void);

/* --- devices.c --- */

/* The virtio devices that the config names. On failure the bus has those that were made. */
__must_check int vm_add_devices(struct vm *vm);
/* The machine's thread is stuck: what of devices would outlive the process is seen to. Any thread. */
void vm_abandon_devices(struct vm *vm);

/* --- board_ARCH.c: the platform devices of the arch's machine. --- */

__must_check int board_init(struct vm *vm);
void board_destroy(struct vm *vm);
/* Where the host bridge decodes: addresses, and port I/O where the machine has it. */
void board_pci_options(struct vm *vm, struct pci_bus_options *options);
/* Power-on state; no vCPU runs. */
void board_reset(struct vm *vm);
/* The serial console: input from, and room for output at, the terminal. Machine's thread. */
size_t board_serial_input(struct vm *vm, const uint8_t *data, size_t len);
void board_serial_output_ready(struct vm *vm);
/*
 * No vCPU waits for room any more, so that it can be stopped; until _continue() or board_reset().
 */
void board_serial_stop(struct vm *vm);
void board_serial_continue(struct vm *vm);

#endif
