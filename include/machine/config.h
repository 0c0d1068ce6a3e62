/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine to build, as plain data: filled from the command line, read by machine.c. Strings are
 * borrowed (argv, or the option parser's storage) and must outlive the machine.
 */
#ifndef KINGLET_MACHINE_CONFIG_H
#define KINGLET_MACHINE_CONFIG_H

#include "arch/arch.h"
#include "devices/kind.h"
#include "machine/observer.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

enum { CONFIG_MAX_OBSERVERS = 10, RESTORE_ARGS_MAX = 4000 };

enum on_reboot { ON_REBOOT_EXIT, ON_REBOOT_RESTART };
enum serial_mode { SERIAL_STDIO, SERIAL_OFF };
/* CONSOLE_NULL: the device exists, for its port kinglet.status; output of hvc0 is dropped. */
enum console_mode { CONSOLE_OFF, CONSOLE_NULL, CONSOLE_STDIO };

struct machine_config {
	struct boot_options boot;
	unsigned cpus;
	uint64_t memory; /* bytes */
	bool shared_memory, hugepages, prefault;
	bool irqchip; /* --irqchip off: no in-kernel interrupt controller, HLT ends the run */
	bool acpi;    /* firmware tables */
	enum serial_mode serial;
	enum console_mode console; /* virtio-console; its second port is kinglet.status */
	struct device_set devices; /* all others */
	enum on_reboot on_reboot;
	bool debugged; /* an observer is a debugger, which may decide which vCPUs run */
	/*
	 * Where the run begins: a saved machine, borrowed, from which cpus, memory and the devices
	 * of this config must come; NULL: boot.
	 */
	struct snapshot *restore;
	const struct boot_options *reboot; /* of that machine, borrowed; NULL: it cannot */
	/*
	 * A live migration: `restore` says only what the machine is, and the rest comes from this
	 * stream socket, borrowed, after machine_expect() (machine/migration.h).
	 */
	bool incoming;
	int incoming_fd;
	const char *restore_args; /* for the guest's port kinglet.snapshot; or NULL. Borrowed */
	/* For a snapshot: the options that say what this machine is ("--cpus=2"), borrowed. */
	const char *const *words;
	unsigned word_count;
	/* What is saved when the guest or an observer says so: --snapshot; NULL: nothing. */
	const char *snapshot;
	bool snapshot_ends; /* and then the run ends */
	/* It only spares later runs a boot: it is not synced, and a failure is not told. */
	bool snapshot_cached;
	bool snapshot_port; /* the guest has the port kinglet.snapshot, and may say so there */
	uint64_t timeout_ns; /* 0: none */
	uint64_t started_ns; /* start of the timeout, CLOCK_MONOTONIC; 0: at machine_run() */
	bool no_input;	/* standard input is not used */
	bool no_output; /* nor standard output: guest output is only for the observers */
	bool output_on_stderr; /* guest output goes to standard error */
	/*
	 * One program runs in the guest: the virtio console carries its standard streams, on ports
	 * kinglet.stdin, kinglet.stdout and kinglet.stderr, to and from those of this process. A
	 * status on kinglet.status ends the run, once everything written before it has been passed
	 * on. Needs no_input, and a console.
	 */
	bool program;
	/*
	 * Of a program: what port kinglet.files gives to the guest, from its start; borrowed. The
	 * standard input follows once the guest has taken some of it.
	 */
	int program_files;
	bool *program_begun; /* set once the guest has taken some of them; borrowed; or NULL */
	/*
	 * KVM takes its VM down when the process ends, which therefore is to happen soon: it waits for
	 * several RCU grace periods, some 50 ms, in which a result can be on its way already.
	 */
	bool leaves_vm;
	struct machine_observer observers[CONFIG_MAX_OBSERVERS];
	unsigned observer_count;
};

/* Whether standard input and output are this console. */
static inline bool config_has_terminal(const struct machine_config *config,
				       enum guest_stream stream)
{
	return stream == GUEST_HVC ? config->console == CONSOLE_STDIO :
				     config->serial == SERIAL_STDIO;
}

#endif
