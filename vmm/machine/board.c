/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include "base/log.h"

#include <string.h>

static struct board_common *common_of(struct vm *vm)
{
	return (struct board_common *)vm->board;
}

static size_t serial_out(void *owner, const uint8_t *data, size_t len)
{
	struct vm *vm = owner;

	return console_write(&vm->console, GUEST_SERIAL, data, len);
}

static void serial_input_ready(void *owner)
{
	struct vm *vm = owner;

	console_input_wanted(&vm->console, GUEST_SERIAL);
}

static void guest_exited(void *owner, uint8_t status)
{
	struct vm *vm = owner;

	/* With a program, only its own status counts. */
	ending_decide(&vm->ending, vm->config->program ? OUTCOME_HALTED : OUTCOME_STATUS, status,
		      "exit port %#llx",
		      (unsigned long long)common_of(vm)->exit_port.region.base);
}

void board_common_init(struct vm *vm, const struct board_addresses *at, board_crashed_fn *crashed)
{
	struct board_common *common = common_of(vm);
	const struct serial_options options = {
		.name = at->serial_name,
		.base = at->serial,
		.irqs = &vm->irqs,
		.gsi = at->serial_gsi,
		.output = serial_out,
		.input_ready = serial_input_ready,
		.owner = vm,
	};

	exit_port_init(&common->exit_port, at->exit_port, guest_exited, vm);
	pvpanic_init(&common->pvpanic, at->pvpanic, crashed, vm);
	common->vmgenid = (struct vmgenid){
		.mem = &vm->mem,
		.gpa = at->vmgenid,
		.notify = at->notify_vmgenid,
		.owner = vm,
	};
	vm->serial = &common->serial;
	serial_init(&common->serial, &options);
}

void board_common_destroy(struct vm *vm)
{
	serial_destroy(&common_of(vm)->serial);
}

int board_common_connect(struct vm *vm, struct bus *bus, struct bus_region *const *own,
			 unsigned count)
{
	struct board_common *common = common_of(vm);
	int ret = bus_add(bus, &common->serial.region);

	if (!ret)
		ret = bus_add(bus, &common->exit_port.region);
	if (!ret)
		ret = bus_add(bus, &common->pvpanic.region);
	for (unsigned i = 0; i < count && !ret; i++)
		ret = bus_add(bus, own[i]);
	return ret;
}

static int with_vmgenid(struct vm *vm, int (*fn)(struct vmgenid *vmgenid))
{
	int ret = vm->config->acpi ? fn(&common_of(vm)->vmgenid) : 0;

	if (ret)
		log_error("VM generation id: %s", strerror(-ret));
	return ret;
}

int board_begin_generation(struct vm *vm)
{
	return with_vmgenid(vm, vmgenid_boot);
}

int board_renew_generation(struct vm *vm)
{
	return with_vmgenid(vm, vmgenid_renew);
}
