/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "backend/local.h"
#include "devices/blk.h"
#include "devices/console.h"
#include "virtio/pci.h"
#include "devices/rng.h"

struct virtio_env vm_virtio_env(struct vm *vm)
{
	return (struct virtio_env){ .mem = &vm->mem, .loop = &vm->loop, .irqs = &vm->irqs };
}

int vm_add_virtio(struct vm *vm, struct virtio_dev *dev)
{
	int ret = virtio_pci_add(&vm->pci, dev);

	if (!ret)
		vm->devices[vm->device_count++] = dev;
	return ret;
}

/* All queues served in this process, then onto the bus, which owns dev in any case. */
static int add_local(struct vm *vm, struct virtio_dev *dev)
{
	int ret = local_backend_bind(dev, 0, dev->queue_count);

	if (ret) {
		dev->model->destroy(dev);
		return ret;
	}
	return vm_add_virtio(vm, dev);
}

static int add_rng(struct vm *vm)
{
	const struct virtio_env env = vm_virtio_env(vm);
	struct virtio_dev *dev;
	int ret = virtio_rng_new(&dev, &env, 0);

	return ret ? ret : add_local(vm, dev);
}

static int add_disk(struct vm *vm, unsigned instance)
{
	const struct disk_config *disk = &vm->config->disks[instance];
	const struct virtio_blk_options options = {
		.path = disk->path,
		.readonly = disk->readonly,
		.direct = disk->direct,
		.raw = disk->raw,
		.threads = disk->io_threads,
		.serial = disk->serial,
		.queues = disk->queues,
	};
	const struct virtio_env env = vm_virtio_env(vm);
	struct virtio_dev *dev;
	int ret = virtio_blk_new(&dev, &env, instance, &options);

	return ret ? ret : add_local(vm, dev);
}

static size_t hvc_output(void *owner, unsigned port, const uint8_t *data, size_t len)
{
	if (port != VIRTIO_CONSOLE_PORT)
		return vm_program_output(owner, port, data, len);
	return vm_console_write(owner, GUEST_HVC, data, len);
}

static void hvc_input_wanted(void *owner, unsigned port)
{
	struct vm *vm = owner;

	if (port != VIRTIO_CONSOLE_PORT)
		vm_program_input_wanted(vm);
	else if (vm->config->console == CONSOLE_STDIO)
		terminal_resume_input(&vm->terminal);
}

static void hvc_status(void *owner, uint8_t status)
{
	vm_guest_status(owner, status);
}

static void hvc_drained(void *owner)
{
	vm_guest_drained(owner);
}

static int add_console(struct vm *vm)
{
	static const struct virtio_console_ops ops = {
		.output = hvc_output,
		.input_wanted = hvc_input_wanted,
		.status = hvc_status,
		.drained = hvc_drained,
	};
	const struct virtio_console_options options = {
		.ops = &ops,
		.owner = vm,
		.streams = vm_program_ports,
		.stream_count = vm->config->program ? VM_PROGRAM_PORTS : 0,
	};
	const struct virtio_env env = vm_virtio_env(vm);
	struct virtio_dev *dev;
	int ret = virtio_console_new(&dev, &env, 0, &options);

	if (!ret)
		ret = add_local(vm, dev);
	if (!ret)
		vm->hvc = dev;
	return ret;
}

int vm_add_devices(struct vm *vm)
{
	const struct machine_config *config = vm->config;
	int ret = 0;

	/* For bare metal: machine_check(). */
	if (!config->irqchip)
		return 0;
	if (config->console != CONSOLE_OFF)
		ret = add_console(vm);
	if (!ret && config->rng)
		ret = add_rng(vm);
	for (unsigned i = 0; i < config->disk_count && !ret; i++)
		ret = add_disk(vm, i);
	for (unsigned i = 0; i < config->net_count && !ret; i++)
		ret = vm_add_net(vm, i);
	for (unsigned i = 0; i < config->scsi_count && !ret; i++)
		ret = vm_add_scsi(vm, i);
	if (!ret && config->vsock.cid)
		ret = vm_add_vsock(vm);
	return ret;
}
