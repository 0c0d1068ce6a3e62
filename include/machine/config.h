/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine to build, as plain data: the command line fills it, machine.c reads it. Strings are
 * borrowed (argv, or the option parser's own storage) and must outlive the machine.
 */
#ifndef KINGLET_MACHINE_CONFIG_H
#define KINGLET_MACHINE_CONFIG_H

#include "arch/arch.h"
#include "devices/blk.h"
#include "devices/net.h"
#include "devices/scsi.h"
#include "devices/vsock.h"
#include "machine/observer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CONFIG_MAX_DISKS = 16,
	CONFIG_MAX_NETS = 8,
	CONFIG_MAX_SCSIS = 8,
	CONFIG_MAX_OBSERVERS = 4,
};

struct gdb_config {
	const char *listen; /* a port's number, or a socket's path; NULL: no debugger */
	unsigned port;	    /* on 127.0.0.1; 0: `listen` is a path */
	bool nowait;	    /* the guest runs before a debugger comes */
};

enum on_reboot { ON_REBOOT_EXIT, ON_REBOOT_RESTART };
enum serial_mode { SERIAL_STDIO, SERIAL_OFF };
/* CONSOLE_NULL: the device is there, for its port kinglet.status; what hvc0 prints is dropped. */
enum console_mode { CONSOLE_OFF, CONSOLE_NULL, CONSOLE_STDIO };

/*
 * Moments of a run, in the order in which they usually come. Those behind PHASE_RUN are the guest's
 * own, and not every guest shows them: a quiet kernel prints neither banner nor the start of init.
 */
enum phase {
	PHASE_EXEC,   /* machine_run() begins */
	PHASE_LOAD,   /* the machine is built; the kernel is going to be loaded */
	PHASE_RUN,    /* the first KVM_RUN */
	PHASE_DEVICE, /* the first access to a device; a decompressor makes none, as a rule */
	PHASE_KERNEL, /* "Linux version" on a console */
	PHASE_DRIVER, /* the first virtio device got DRIVER_OK */
	PHASE_INIT,   /* "Run /init as init process" on a console */
	PHASE_DOWN,   /* the verdict is known */
	PHASE_GONE,   /* all is taken down */
	PHASES,
};

/* What is told of a run while it goes on, or when it is over. All off: it costs nothing. */
struct watch_config {
	bool explain;		  /* narrate to standard error */
	const char *explain_page; /* an HTML file to write; or NULL */
	const char *trace;	  /* a trace-event file to write; or NULL */
	/* A phase must be reached within so many ns from PHASE_EXEC on; 0: whenever. */
	uint64_t budgets[PHASES];
};

struct machine_config {
	struct boot_options boot;
	unsigned cpus;
	uint64_t memory; /* bytes */
	bool shared_memory, hugepages, prefault;
	bool irqchip; /* --irqchip off: no in-kernel interrupt controller, HLT ends the run */
	bool acpi;    /* firmware tables */
	enum serial_mode serial;
	enum console_mode console; /* virtio-console; its second port is kinglet.status */
	bool rng;
	struct disk_config disks[CONFIG_MAX_DISKS];
	unsigned disk_count;
	struct net_config nets[CONFIG_MAX_NETS];
	unsigned net_count;
	struct scsi_config scsis[CONFIG_MAX_SCSIS];
	unsigned scsi_count;
	struct vsock_config vsock;
	enum on_reboot on_reboot;
	struct gdb_config gdb;
	uint64_t timeout_ns; /* 0: none */
	uint64_t started_ns; /* since when it counts, CLOCK_MONOTONIC; 0: machine_run() */
	struct watch_config watch;
	bool stats; /* print what the run cost, at its end and on SIGUSR1 */
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
