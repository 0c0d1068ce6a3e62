/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams of a program in the guest, as streams of the virtio console, and the end of
 * the run with the program's.
 */
#include "vm.h"

#include "base/log.h"
#include "host/stream.h"
#include "devices/console.h"

#include <string.h>

enum {
	PORT_STDIN = VIRTIO_CONSOLE_FIRST_STREAM,
	PORT_STDOUT,
	PORT_STDERR,
};

const char *const vm_program_ports[VM_PROGRAM_PORTS] = {
	"kinglet.stdin",
	"kinglet.stdout",
	"kinglet.stderr",
};

struct program_out {
	struct vm *vm;
	unsigned port;
	const char *name;
	struct stream_out stream;
};

struct program {
	struct stream_in in;
	struct program_out out, err;
};

static size_t input(void *owner, const uint8_t *data, size_t len)
{
	struct vm *vm = owner;

	return virtio_console_input(vm->hvc, PORT_STDIN, data, len);
}

static void input_ended(void *owner)
{
	struct vm *vm = owner;

	virtio_console_hang_up(vm->hvc, PORT_STDIN);
}

static void output_ready(void *owner)
{
	struct program_out *out = owner;

	virtio_console_output_ready(out->vm->hvc, out->port);
}

static void output_broken(void *owner)
{
	struct program_out *out = owner;

	virtio_console_hang_up(out->vm->hvc, out->port);
}

size_t vm_program_output(struct vm *vm, unsigned port, const uint8_t *data, size_t len)
{
	struct program_out *out = port == PORT_STDOUT ? &vm->program->out : &vm->program->err;
	size_t taken;

	if (port == PORT_STDIN)
		return len;
	taken = stream_out_write(&out->stream, data, len);
	/* At once: the program's status may come before the loop's next turn. */
	if (out->stream.error)
		vm_output_lost(vm, out->name, out->stream.error);
	return taken;
}

void vm_program_input_wanted(struct vm *vm)
{
	stream_in_resume(&vm->program->in);
}

static int init_out(struct vm *vm, struct program_out *out, unsigned port, int fd, const char *name)
{
	static const struct stream_out_ops ops = { .ready = output_ready, .broken = output_broken };

	out->vm = vm;
	out->port = port;
	out->name = name;
	return stream_out_init(&out->stream, &vm->loop, fd, &ops, out);
}

static int init_streams(struct vm *vm, struct program *program)
{
	static const struct stream_in_ops ops = { .input = input, .ended = input_ended };
	int ret;

	ret = init_out(vm, &program->out, PORT_STDOUT, STDOUT_FILENO, "standard output");
	if (ret)
		return ret;
	ret = init_out(vm, &program->err, PORT_STDERR, STDERR_FILENO, "standard error");
	if (ret)
		goto err_out;
	ret = stream_in_init(&program->in, &vm->loop, STDIN_FILENO, &ops, vm);
	if (ret)
		goto err_err;
	return 0;

err_err:
	stream_out_destroy(&program->err.stream);
err_out:
	stream_out_destroy(&program->out.stream);
	return ret;
}

int vm_program_init(struct vm *vm)
{
	struct program *program;
	int ret;

	if (!vm->config->program)
		return 0;
	program = malloc(sizeof(*program));
	if (!program)
		return -ENOMEM;
	ret = init_streams(vm, program);
	if (ret) {
		log_error("standard streams: %s", strerror(-ret));
		free(program);
		return ret;
	}
	vm->program = program;
	return 0;
}

void vm_program_destroy(struct vm *vm)
{
	if (!vm->program)
		return;
	stream_in_destroy(&vm->program->in);
	stream_out_destroy(&vm->program->err.stream);
	stream_out_destroy(&vm->program->out.stream);
	free(vm->program);
	vm->program = NULL;
}
