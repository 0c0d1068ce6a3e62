/* SPDX-License-Identifier: Apache-2.0 */
/* For whole runs of an x86_64 machine on a fake KVM: the least machine, and what its guest does. */
#ifndef KINGLET_TESTS_FAKE_MACHINE_H
#define KINGLET_TESTS_FAKE_MACHINE_H

#include "machine/config.h"

#include <linux/kvm.h>

/* HLT, in a file without a name. */
struct fake_kernel {
	char path[32];
	int fd; /* owned: close_fd() */
};

/*
 * Makes the kernel, which must live as long as the config, and a config that boots it: one vCPU,
 * 8 MiB, no devices.
 */
void fake_machine_init(struct machine_config *config, struct fake_kernel *kernel);

/* The exit of a vCPU that writes or reads a byte at a port (KVM_EXIT_IO_*); true. */
bool fake_port_access(struct kvm_run *run, uint8_t direction, uint16_t port, uint8_t value);

#endif
