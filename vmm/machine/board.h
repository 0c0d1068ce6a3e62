/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices common to every architecture's board: a serial port, the exit port, pvpanic. A
 * board_ARCH.c has the rest: the platform devices of the arch's machine. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_BOARD_H
#define KINGLET_MACHINE_BOARD_H

#include "vm.h"

#include "platform/exit_port.h"
#include "platform/pvpanic.h"
#include "platform/serial.h"
#include "platform/vmgenid.h"

/* An event from pvpanic; owner is the vm. vCPU threads. */
typedef void board_crashed_fn(void *owner, enum pvpanic_event event);

__must_check int board_init(struct vm *vm, board_crashed_fn *crashed);
void board_destroy(struct vm *vm);
/* What the host bridge decodes: addresses, and port I/O if the machine has it. */
void board_pci_options(struct vm *vm, struct pci_bus_options *options);
/* The power button of the guest; -EOPNOTSUPP: it has none. Negative errno of KVM_IRQ_LINE. */
__must_check int board_press_power(struct vm *vm);
/*
 * The guest's VM generation id: a first one after the kernel has been loaded, and another one, with
 * an interrupt, after a machine has been restored and before its vCPUs run. A machine without
 * firmware tables has none. Logs on failure.
 */
__must_check int board_begin_generation(struct vm *vm);
__must_check int board_renew_generation(struct vm *vm);
/* Power-on state; no vCPU runs. */
void board_reset(struct vm *vm);
/*
 * Saves or loads all devices of the board; vCPUs must not run, and the interrupt controllers are
 * saved in the same pause and loaded before. -EBADMSG, logged.
 */
__must_check int board_state(struct vm *vm, struct state *state);
/* The tables that it uses; NULL ends the list. */
extern const struct state_table *const board_state_tables[];

/* --- board.c: for a board_ARCH.c --- */

/* The first member of every struct board. */
struct board_common {
	struct serial serial;
	struct exit_port exit_port;
	struct pvpanic pvpanic;
	struct vmgenid vmgenid;
};

struct board_addresses {
	const char *serial_name;
	uint64_t serial, exit_port, pvpanic;
	uint32_t serial_gsi;
	uint64_t vmgenid;
	int (*notify_vmgenid)(void *owner); /* owner is the vm */
};

/* Prepares the devices, including vm->serial; vm->board exists. They are not yet on a bus. */
void board_common_init(struct vm *vm, const struct board_addresses *at, board_crashed_fn *crashed);
void board_common_destroy(struct vm *vm);

/* Puts these and the board's own regions on a bus. */
__must_check int board_common_connect(struct vm *vm, struct bus *bus,
				      struct bus_region *const *own, unsigned count);

#endif
