/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine to build, as plain data: the command line fills it, machine.c reads it. Strings are
 * borrowed (argv, or the option parser's own storage) and must outlive the machine.
 */
#ifndef KINGLET_MACHINE_CONFIG_H
#define KINGLET_MACHINE_CONFIG_H

#include "arch/arch.h"
#include "devices/kind.h"
#include "machine/observer.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_MAX_OBSERVERS = 8 };

enum on_reboot { ON_REBOOT_EXIT, ON_REBOOT_RESTART };
enum serial_mode { SERIAL_STDIO, SERIAL_OFF };
/* CONSOLE_NULL: the device is there, for its port kinglet.status; what hvc0 prints is dropped. */
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
	uint64_t timeout_ns; /* 0: none */
	uint64_t started_ns; /* since when it counts, CLOCK_MONOTONIC; 0: machine_run() */
	bool no_input;	/* standard input is left alone */
	bool no_output; /* standard output, too: what the guest prints is for the observers only */
	bool output_on_stderr; /* what is shown goes there */
	/*
	 * One program runs in the guest: the virtio console carries its standard streams, on ports
	 * kinglet.stdin, kinglet.stdout and kinglet.stderr, to and from those of this process. A
	 * status on kinglet.status ends the run, once all that was written before it has been
	 * passed on. Goes with no_input, and with a console.
	 */
	bool program;
	struct machine_observer observers[CONFIG_MAX_OBSERVERS];
	unsigned observer_count;
};

#endif
