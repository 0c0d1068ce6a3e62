/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_machine.h"

#include "unit.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DATA_OFFSET = 4096 };

void fake_machine_init(struct machine_config *config, struct fake_kernel *kernel)
{
	kernel->fd = memfd_create("kernel", MFD_CLOEXEC);
	assert_int_equal(write(kernel->fd, "\xf4", 1), 1);
	snprintf(kernel->path, sizeof(kernel->path), "/proc/self/fd/%d", kernel->fd);
	*config = (struct machine_config){
		.boot = {
			.kernel = kernel->path,
			.cmdline = "",
			.format = BOOT_FORMAT_FLAT,
			.flat_address = 0x1000,
			.flat_mode = CPU_MODE_16,
			.cpus = 1,
		},
		.cpus = 1,
		.memory = 8 << 20,
		.irqchip = true,
		.serial = SERIAL_OFF,
	};
}

bool fake_port_access(struct kvm_run *run, uint8_t direction, uint16_t port, uint8_t value)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = direction;
	run->io.port = port;
	run->io.size = 1;
	run->io.count = 1;
	run->io.data_offset = DATA_OFFSET;
	*((uint8_t *)run + DATA_OFFSET) = value;
	return true;
}
