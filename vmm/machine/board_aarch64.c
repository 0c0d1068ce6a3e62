/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform devices of the aarch64 machine, at the addresses of arch/aarch64/layout.h. Power-off
 * and reset are PSCI calls, which KVM passes on (core/vcpu.h).
 */
#include "board.h"

#include "arch/aarch64/layout.h"
#include "base/log.h"
#include "platform/pl031.h"

#include <string.h>

struct board {
	struct board_common common;
	struct pl031 rtc;
};

static int connect_all(struct vm *vm)
{
	struct bus_region *const own[] = { &vm->board->rtc.region };

	return board_common_connect(vm, &vm->mmio, own, ARRAY_SIZE(own));
}

/* An edge. */
static int notify_vmgenid(void *owner)
{
	struct vm *vm = owner;
	uint32_t gsi = ARM64_SPI_PIN(ARM64_VMGENID_SPI);

	return irqs_set_level(&vm->irqs, gsi, true) ?: irqs_set_level(&vm->irqs, gsi, false);
}

int board_init(struct vm *vm, board_crashed_fn *crashed)
{
	const struct board_addresses at = {
		.serial_name = "serial port",
		.serial = ARM64_SERIAL_BASE,
		.serial_gsi = ARM64_SPI_PIN(ARM64_SERIAL_SPI),
		.exit_port = ARM64_EXIT_BASE,
		.pvpanic = ARM64_PVPANIC_BASE,
		.vmgenid = arm64_vmgenid(vm->mem.slots[0].gpa + vm->mem.slots[0].len),
		.notify_vmgenid = notify_vmgenid,
	};
	int ret;

	vm->board = calloc(1, sizeof(*vm->board));
	if (!vm->board)
		return -ENOMEM;
	pl031_init(&vm->board->rtc, ARM64_RTC_BASE);
	board_common_init(vm, &at, crashed);
	ret = connect_all(vm);
	if (ret) {
		log_error("platform devices: %s", strerror(-ret));
		board_destroy(vm);
	}
	return ret;
}

void board_destroy(struct vm *vm)
{
	board_common_destroy(vm);
	free(vm->board);
	vm->board = NULL;
}

void board_pci_options(struct vm *vm, struct pci_bus_options *options)
{
	const struct gmem_slot *ram = &vm->mem.slots[0];

	options->ecam_base = ARM64_ECAM_BASE;
	options->ecam_len = ARM64_ECAM_LEN;
	options->mmio32_base = ARM64_PCI_MMIO32_BASE;
	options->mmio32_len = ARM64_PCI_MMIO32_LEN;
	options->mmio64_base = arm64_pci_mmio64_base(ram->gpa + ram->len);
	options->mmio64_len = ARM64_PCI_MMIO64_LEN;
	for (unsigned i = 0; i < ARRAY_SIZE(options->intx_gsis); i++)
		options->intx_gsis[i] = ARM64_SPI_PIN(ARM64_INTX_SPI + i);
}

int board_press_power(struct vm *vm)
{
	(void)vm;
	return -EOPNOTSUPP;
}

void board_reset(struct vm *vm)
{
	serial_reset(&vm->board->common.serial);
}

/* The clock has none: it shows the host's time. */
const struct state_table *const board_state_tables[] = { &serial_state_table, NULL };

int board_state(struct vm *vm, struct state *state)
{
	return serial_state(&vm->board->common.serial, state);
}
