/* SPDX-License-Identifier: Apache-2.0 */
/* The platform devices of the x86_64 machine, at the addresses of arch/x86_64/layout.h. */
#include "board.h"

#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "base/log.h"
#include "platform/cmos.h"
#include "platform/i8042.h"
#include "platform/power.h"

#include <string.h>

struct board {
	struct board_common common;
	struct i8042 i8042;
	struct cmos cmos;
	struct power power;
};

static void power_off(void *owner)
{
	struct vm *vm = owner;

	requests_post(&vm->requests, REQUEST_POWER_OFF);
}

static void reset(void *owner)
{
	struct vm *vm = owner;

	requests_post(&vm->requests, REQUEST_RESET);
}

/* Without an interrupt controller there are no drivers that wait for it. */
static int notify_vmgenid(void *owner)
{
	struct vm *vm = owner;

	return vm->config->irqchip ? power_raise(&vm->board->power, POWER_EVENT_VMGENID) : 0;
}

static void init_common(struct vm *vm, board_crashed_fn *crashed)
{
	const struct board_addresses at = {
		.serial_name = "COM1",
		.serial = X86_COM1_PORT,
		.serial_gsi = X86_COM1_GSI,
		.exit_port = X86_EXIT_PORT,
		.pvpanic = X86_PVPANIC_PORT,
		.vmgenid = X86_VMGENID,
		.notify_vmgenid = notify_vmgenid,
	};

	board_common_init(vm, &at, crashed);
}

static void init_power(struct vm *vm)
{
	const struct power_options options = {
		.base = X86_POWER_PORT,
		.irqs = &vm->irqs,
		.gsi = X86_POWER_GSI,
		.power_off = power_off,
		.reset = reset,
		.owner = vm,
	};

	power_init(&vm->board->power, &options);
}

static int add_ports(struct vm *vm)
{
	struct board *board = vm->board;
	struct bus_region *const own[] = {
		&board->i8042.data,
		&board->i8042.command,
		&board->cmos.region,
		&board->power.region,
	};

	return board_common_connect(vm, &vm->pio, own, ARRAY_SIZE(own));
}

int board_init(struct vm *vm, board_crashed_fn *crashed)
{
	struct board *board = calloc(1, sizeof(*board));
	int ret;

	if (!board)
		return -ENOMEM;
	vm->board = board;
	init_common(vm, crashed);
	i8042_init(&board->i8042, X86_I8042_DATA, X86_I8042_COMMAND, reset, vm);
	cmos_init(&board->cmos, X86_CMOS_INDEX);
	init_power(vm);
	ret = add_ports(vm);
	if (ret) {
		log_error("platform devices: %s", strerror(-ret));
		board_destroy(vm);
	}
	return ret;
}

void board_destroy(struct vm *vm)
{
	power_destroy(&vm->board->power);
	board_common_destroy(vm);
	free(vm->board);
	vm->board = NULL;
}

void board_pci_options(struct vm *vm, struct pci_bus_options *options)
{
	static const uint32_t gsis[4] = X86_INTX_GSIS;
	const struct gmem_slot *top = &vm->mem.slots[vm->mem.count - 1];
	uint64_t ram_end = top->gpa + top->len;

	options->ecam_base = X86_ECAM_BASE;
	options->ecam_len = X86_ECAM_LEN;
	options->pio = &vm->pio;
	options->config_port = X86_PCI_CONFIG_ADDRESS;
	options->mmio32_base = X86_PCI_MMIO32_BASE;
	options->mmio32_len = X86_PCI_MMIO32_LEN;
	options->mmio64_base = x86_pci_mmio64_base(ram_end);
	options->mmio64_len = X86_PCI_MMIO64_LEN;
	memcpy(options->intx_gsis, gsis, sizeof(gsis));
}

int board_press_power(struct vm *vm)
{
	/* Only its firmware tables tell the guest of the button. */
	return vm->config->acpi ? power_raise(&vm->board->power, POWER_EVENT_BUTTON) :
				  -EOPNOTSUPP;
}

void board_reset(struct vm *vm)
{
	serial_reset(&vm->board->common.serial);
	i8042_reset(&vm->board->i8042);
	cmos_reset(&vm->board->cmos);
	power_reset(&vm->board->power);
}

const struct state_table *const board_state_tables[] = {
	&serial_state_table, &i8042_state_table, &cmos_state_table, &power_state_table, NULL,
};

int board_state(struct vm *vm, struct state *state)
{
	struct board *board = vm->board;

	return serial_state(&board->common.serial, state) ?:
	       i8042_state(&board->i8042, state) ?:
	       cmos_state(&board->cmos, state) ?:
	       power_state(&board->power, state);
}
