/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every architecture's board has, wherever it is: a serial port, the exit port, pvpanic.
 * Private to vmm/machine; a board_ARCH.c has the rest and implements the board functions of vm.h.
 */
#ifndef KINGLET_MACHINE_BOARD_H
#define KINGLET_MACHINE_BOARD_H

#include "vm.h"

#include "platform/exit_port.h"
#include "platform/pvpanic.h"
#include "platform/serial.h"

/* The first member of every struct board. */
struct board_common {
	struct serial serial;
	struct exit_port exit_port;
	struct pvpanic pvpanic;
};

struct board_addresses {
	const char *serial_name;
	uint64_t serial, exit_port, pvpanic;
	uint32_t serial_gsi;
};

/* Prepares the devices; vm->board is there. They are not yet on a bus. */
__must_check int board_common_init(struct vm *vm, const struct board_addresses *at);
void board_common_destroy(struct vm *vm);

/* Puts these and the board's own regions on a bus. */
__must_check int board_common_connect(struct vm *vm, struct bus *bus,
				      struct bus_region *const *own, unsigned count);

#endif
