/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI hosts: each runs in the kernel, on a target that exists or on one that is made for it here.
 */
#include "vm.h"

#include "devices/vhost_scsi.h"
#include "base/log.h"
#include "devices/lio.h"
#include "devices/scsi.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

struct scsi_targets {
	struct lio lio;
	struct lio_target targets[CONFIG_MAX_SCSIS]; /* those of devices with a path */
	unsigned count; /* seen so far */
};

static const struct scsi_config *config_of(const struct vm *vm, unsigned instance)
{
	return &vm->config->scsis[instance];
}

/* Trouble of the host, also where its errno is one that speaks of the input elsewhere. */
static int host_error(int err)
{
	return err ? -EIO : 0;
}

/* A target that is not there is found now and not at DRIVER_OK, if configfs can be seen. */
static int check_existing(const struct lio *lio, int found, const char *wwpn)
{
	return found ? 0 : host_error(lio_check_target(lio, wwpn));
}

static bool makes_targets(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->scsi_count; i++)
		if (config_of(vm, i)->path)
			return true;
	return false;
}

static int target_up(struct scsi_targets *scsi, const struct scsi_config *config, unsigned i,
		     int found)
{
	const struct lio_disk disk = {
		.path = config->path,
		.readonly = config->readonly,
		.raw = config->raw,
	};

	if (config->wwpn)
		return check_existing(&scsi->lio, found, config->wwpn);
	if (found) {
		lio_log_not_found(found);
		return host_error(found);
	}
	return lio_target_create(&scsi->targets[i], &scsi->lio, &disk, i);
}

int vm_scsi_targets_up(struct vm *vm)
{
	struct scsi_targets *scsi;
	int found, ret = 0;

	if (!vm->config->scsi_count)
		return 0;
	scsi = calloc(1, sizeof(*scsi));
	if (!scsi)
		return -ENOMEM;
	vm->scsi = scsi;
	found = lio_find(&scsi->lio, "/proc/mounts");
	if (!found && makes_targets(vm))
		lio_remove_stale(&scsi->lio);
	while (scsi->count < vm->config->scsi_count) {
		ret = target_up(scsi, config_of(vm, scsi->count), scsi->count, found);
		if (ret)
			break;
		scsi->count++;
	}
	if (ret)
		vm_scsi_targets_down(vm);
	return ret;
}

void vm_scsi_targets_down(struct vm *vm)
{
	struct scsi_targets *scsi = vm->scsi;

	if (!scsi)
		return;
	while (scsi->count--)
		if (config_of(vm, scsi->count)->path)
			lio_target_destroy(&scsi->targets[scsi->count]);
	free(scsi);
	vm->scsi = NULL;
}

/* In a process of its own, which has nothing open: a target that is in use cannot be removed. */
static _Noreturn void remove_after(int process, const struct lio *lio)
{
	struct pollfd gone = { .fd = STDERR_FILENO + 1, .events = POLLIN };

	setsid();
	if (dup2(process, gone.fd) < 0 || close_range((unsigned)gone.fd + 1, ~0U, 0))
		_exit(1);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	while (poll(&gone, 1, -1) != 1)
		;
	lio_remove_stale(lio);
	_exit(0);
}

void vm_scsi_targets_abandon(struct vm *vm)
{
	_cleanup_close_ int process = -1;

	if (!vm->scsi || !makes_targets(vm))
		return;
	process = pidfd_open(getpid(), 0);
	if (process >= 0 && fork() == 0)
		remove_after(process, &vm->scsi->lio);
}

int vm_add_scsi(struct vm *vm, unsigned instance)
{
	const struct scsi_config *config = config_of(vm, instance);
	const char *wwpn = config->wwpn ? config->wwpn : vm->scsi->targets[instance].wwpn;
	struct virtio_scsi_options options = {
		.request_queues = config->queues,
		.max_target = config->path ? LIO_TARGET : VIRTIO_SCSI_MAX_TARGET,
	};
	const struct virtio_env env = vm_virtio_env(vm);
	struct virtio_dev *dev;
	struct vhost *vhost;
	int ret;

	ret = vhost_scsi_open(&vhost, vm->sys, wwpn);
	if (ret)
		return host_error(ret);
	options.features = vhost_scsi_features(vhost);
	ret = virtio_scsi_new(&dev, &env, instance, &options);
	if (ret) {
		vhost_scsi_close(vhost);
		return ret;
	}
	ret = vhost_scsi_bind(vhost, dev);
	if (ret) {
		log_error("%s: %s", dev->name, strerror(-ret));
		dev->model->destroy(dev);
		return ret;
	}
	return vm_add_virtio(vm, dev);
}
