/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to test this host's KVM: the extensions that Kinglet needs, and guests of some dozen
 * instructions. Implemented once per folder under arch/, all in static storage. Any thread.
 */
#ifndef KINGLET_ARCH_PROBE_H
#define KINGLET_ARCH_PROBE_H

#include "arch/arch.h"

struct arch_capability {
	long number; /* KVM_CAP_* */
	const char *name;
	const char *without; /* NULL: no guest runs without it; else what a guest then lacks */
};

#define ARCH_REQUIRED(name) { name, #name, NULL }
#define ARCH_WANTED(name, without) { name, #name, without }

/* A guest: its bytes, loaded at `address` of guest RAM and entered at the first byte, in `mode`. */
struct arch_probe {
	const char *mode_name; /* "16-bit" */
	enum cpu_mode mode;
	uint64_t address; /* GPA */
	const uint8_t *code, *end;
};

/* A KVM module for a CPU vendor, and the CPU's flag in /proc/cpuinfo. */
struct arch_kvm_module {
	const char *name, *flag;
};

/* What is asked of an architecture's virtualisation, and what people are told. */
struct arch_virtualisation {
	const struct arch_capability *capabilities;
	unsigned capability_count;
	/*
	 * Guests that time a short loop several times and set, as their exit status, the binary
	 * logarithm of the fewest ticks that it took: one for each mode of the CPU.
	 */
	const struct arch_probe *speed_probes;
	unsigned speed_probe_count;
	/*
	 * A guest that does what Linux does before its first line of output, and which a KVM that
	 * emulates its guests cannot execute. Its exit status is 0 if all of it worked.
	 */
	struct arch_probe linux_probe;
	const struct arch_kvm_module *modules;
	unsigned module_count;	/* 0: KVM is part of the kernel */
	const char *absent;	/* why a host may lack it, and what to do */
	const char *no_nesting; /* why no guest can have it; NULL: the modules decide */
};
extern const struct arch_virtualisation arch_virtualisation;

/* The ticks of the same loop on the host's CPU, timed once (probe_guests.S). */
unsigned arch_host_rounds(void);

/* Their fewest as a binary logarithm: what a guest at native speed measures. */
unsigned arch_host_speed(void);

#endif
