/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"
#include "vm.h"

#include "backend/local.h"
#include "devices/console.h"
#include "virtio/pci.h"

#include <stdio.h>

static void broken(void *owner, const struct virtio_dev *dev, const char *reason)
{
	struct vm *vm = owner;
	char what[160];

	snprintf(what, sizeof(what), "%s: %s", dev->name, reason);
	observers_happened(&vm->observers, MACHINE_BROKEN, what);
}

static struct virtio_env env_of(struct vm *vm)
{
	return (struct virtio_env){
		.mem = &vm->mem,
		.loop = &vm->loop,
		.irqs = &vm->irqs,
		.sys = vm->sys,
		.watcher = { broken, vm },
		.arrives = vm->config->incoming,
	};
}

/* Adds dev to the bus, which owns it in any case. The last queues, not bound yet, run here. */
static int add(struct vm *vm, struct virtio_dev *dev)
{
	unsigned bound = 0;
	int ret = 0;

	while (bound < dev->queue_count && dev->queues[bound].backend)
		bound++;
	if (bound < dev->queue_count)
		ret = local_backend_bind(dev, bound, dev->queue_count - bound);
	if (ret) {
		dev->model->destroy(dev);
		return ret;
	}
	ret = virtio_pci_add(&vm->pci, dev);
	if (!ret)
		vm->devices[vm->device_count++] = dev;
	return ret;
}

static size_t hvc_output(void *owner, unsigned port, const uint8_t *data, size_t len)
{
	struct vm *vm = owner;

	if (port && port == vm->snapshot_port.port) {
		vm->snapshot_port.asked = true;
		requests_post(&vm->requests, REQUEST_SAVE);
		return len;
	}
	if (port != VIRTIO_CONSOLE_PORT)
		return program_output(vm->program, port, data, len);
	return console_write(&vm->console, GUEST_HVC, data, len);
}

static void hvc_input_wanted(void *owner, unsigned port)
{
	struct vm *vm = owner;

	if (port && port == vm->snapshot_port.port)
		requests_post(&vm->requests, REQUEST_ANSWER);
	else if (port != VIRTIO_CONSOLE_PORT)
		program_input_wanted(vm->program, port);
	else
		console_input_wanted(&vm->console, GUEST_HVC);
}

static void hvc_status(void *owner, uint8_t status)
{
	struct vm *vm = owner;

	atomic_store(&vm->ending.guest_status, status);
}

static void hvc_drained(void *owner)
{
	struct vm *vm = owner;

	if (vm->program)
		program_ended(vm->program);
}

static void add_program(struct vm *vm, struct virtio_console_options *options)
{
	vm->program_port = VIRTIO_CONSOLE_FIRST_STREAM + options->stream_count;
	options->bulk = vm->program_port + PROGRAM_FILES;
	for (unsigned i = 0; i < PROGRAM_PORTS; i++)
		vm->streams[options->stream_count++] = program_ports[i];
}

static int add_console(struct vm *vm)
{
	static const struct virtio_console_ops ops = {
		.output = hvc_output,
		.input_wanted = hvc_input_wanted,
		.status = hvc_status,
		.drained = hvc_drained,
	};
	struct virtio_console_options options = {
		.ops = &ops,
		.owner = vm,
		.streams = vm->streams,
	};
	const struct virtio_env env = env_of(vm);
	struct virtio_dev *dev;
	int ret;

	if (vm->config->snapshot_port) {
		vm->snapshot_port.port = VIRTIO_CONSOLE_FIRST_STREAM + options.stream_count;
		vm->streams[options.stream_count++] = SNAPSHOT_PORT_NAME;
	}
	if (vm->config->program)
		add_program(vm, &options);
	ret = virtio_console_new(&dev, &env, 0, &options);
	if (!ret)
		ret = add(vm, dev);
	if (ret)
		return ret;
	vm->hvc = dev;
	if (vm->snapshot_port.port)
		vm->snapshot_port.console = dev;
	return 0;
}

static int add_device(struct vm *vm, const struct device_config *device)
{
	const struct virtio_env env = env_of(vm);
	struct virtio_dev *dev;
	int ret = device->kind->create(&dev, &env, device->instance, device->config);

	return ret || !dev ? ret : add(vm, dev);
}

int vm_add_devices(struct vm *vm)
{
	const struct device_set *devices = &vm->config->devices;
	int ret = 0;

	/* For bare-metal guests: machine_check(). */
	if (!vm->config->irqchip)
		return 0;
	if (vm->config->console != CONSOLE_OFF)
		ret = add_console(vm);
	for (unsigned i = 0; i < devices->count && !ret; i++)
		ret = add_device(vm, &devices->items[i]);
	return ret;
}

void vm_abandon_devices(struct vm *vm)
{
	const struct device_set *devices = &vm->config->devices;
	const struct device_kind *done = NULL;

	for (unsigned i = 0; i < devices->count; i++) {
		const struct device_config *device = &devices->items[i];

		if (device->kind != done && device->kind->abandon &&
		    device->kind->abandon(device->config))
			done = device->kind;
	}
}
