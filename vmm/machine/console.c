/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal has one guest console behind it: the serial port, or the virtio console. */
#include "vm.h"

#include "base/log.h"
#include "devices/console.h"

static bool console_is_hvc(const struct vm *vm)
{
	return vm->config->console == CONSOLE_STDIO;
}

static size_t input(void *owner, const uint8_t *data, size_t len)
{
	struct vm *vm = owner;

	return console_is_hvc(vm) ? virtio_console_input(vm->hvc, VIRTIO_CONSOLE_PORT, data, len) :
				    board_serial_input(vm, data, len);
}

static void output_ready(void *owner)
{
	struct vm *vm = owner;

	if (console_is_hvc(vm))
		virtio_console_output_ready(vm->hvc, VIRTIO_CONSOLE_PORT);
	else
		board_serial_output_ready(vm);
}

static void output_lost(void *owner, int error)
{
	struct vm *vm = owner;

	vm_output_lost(vm, vm->config->output_on_stderr ? "standard error" : "standard output",
		       error);
}

static void quit(void *owner)
{
	vm_end(owner, OUTCOME_QUIT, 0, "ended by Ctrl-A x");
}

int vm_console_init(struct vm *vm)
{
	bool interactive = console_is_hvc(vm) || vm->config->serial == SERIAL_STDIO;
	const struct terminal_options options = {
		.loop = &vm->loop,
		.in_fd = interactive && !vm->config->no_input ? STDIN_FILENO : -1,
		.out_fd = vm->config->output_on_stderr ? STDERR_FILENO : STDOUT_FILENO,
		.input = input,
		.output_ready = output_ready,
		.output_lost = output_lost,
		.quit = quit,
		.owner = vm,
	};
	int ret = terminal_init(&vm->terminal, &options);

	if (ret)
		return ret;
	atomic_fetch_add(&vm->to_finish, 1);
	vm_crash_guard(&vm->terminal);
	vm_console_resized(vm);
	return 0;
}

void vm_console_destroy(struct vm *vm)
{
	vm_crash_unguard();
	terminal_destroy(&vm->terminal);
	atomic_fetch_sub(&vm->to_finish, 1);
}

void vm_console_resized(struct vm *vm)
{
	uint16_t columns, rows;

	if (console_is_hvc(vm) && !terminal_get_size(&vm->terminal, &columns, &rows))
		virtio_console_resize(vm->hvc, columns, rows);
}

void vm_console_greet(const struct vm *vm)
{
	if (vm->terminal.raw && isatty(STDERR_FILENO))
		log_plain("kinglet: Ctrl-A x ends the run, Ctrl-A h lists the keys");
}

static bool is_shown(const struct vm *vm, enum guest_stream stream)
{
	if (vm->config->no_output)
		return false;
	return stream == GUEST_HVC ? console_is_hvc(vm) : vm->config->serial == SERIAL_STDIO;
}

size_t vm_console_write(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len)
{
	size_t taken = is_shown(vm, stream) ? terminal_write(&vm->terminal, data, len) : len;

	vm_watch_console(vm, stream, data, taken);
	return taken;
}
