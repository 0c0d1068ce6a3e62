/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI hosts: each runs in the kernel, on a target that exists or on one that is made for it here.
 */
#include "devices/scsi.h"

#include "base/log.h"
#include "devices/lio.h"
#include "devices/vhost_scsi.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

static const char mounts[] = "/proc/mounts";

struct scsi_target {
	struct lio lio;
	struct lio_target made;
};

/* Trouble of the host, also where its errno is one that speaks of the input elsewhere. */
static int host_error(int err)
{
	return err ? -EIO : 0;
}

/* A target that is not there is found now and not at DRIVER_OK, if configfs can be seen. */
static int check_existing(const char *wwpn)
{
	struct lio lio;

	return lio_find(&lio, mounts) ? 0 : host_error(lio_check_target(&lio, wwpn));
}

static int target_new(struct scsi_target **out, const struct image_options *image, unsigned index)
{
	_cleanup_free_ struct scsi_target *target = calloc(1, sizeof(*target));
	int ret;

	if (!target)
		return -ENOMEM;
	ret = lio_find(&target->lio, mounts);
	if (ret) {
		lio_log_not_found(ret);
		return host_error(ret);
	}
	lio_remove_stale(&target->lio);
	ret = lio_target_create(&target->made, &target->lio, image, index);
	if (!ret)
		*out = steal_ptr(target);
	return ret;
}

void scsi_target_destroy(struct scsi_target *target)
{
	if (target)
		lio_target_destroy(&target->made);
	free(target);
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

bool virtio_scsi_abandon(const struct scsi_config *config)
{
	_cleanup_close_ int process = -1;
	struct lio lio;

	if (!config->image.path || lio_find(&lio, mounts))
		return false;
	process = pidfd_open(getpid(), 0);
	if (process >= 0 && fork() == 0)
		remove_after(process, &lio);
	return true;
}

static int bind(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		struct vhost *vhost, struct virtio_scsi_options *options)
{
	struct virtio_dev *dev;
	int ret;

	options->features = vhost_scsi_features(vhost);
	ret = virtio_scsi_new(&dev, env, instance, options);
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
	*out = dev;
	return 0;
}

int virtio_scsi_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const struct scsi_config *config)
{
	struct virtio_scsi_options options = {
		.request_queues = config->queues,
		.max_target = config->image.path ? LIO_TARGET : VIRTIO_SCSI_MAX_TARGET,
	};
	const char *wwpn = config->wwpn;
	struct vhost *vhost;
	int ret;

	if (wwpn)
		ret = check_existing(wwpn);
	else
		ret = target_new(&options.target, &config->image, instance);
	if (ret)
		return ret;
	ret = vhost_scsi_open(&vhost, env->sys, wwpn ? wwpn : options.target->made.wwpn);
	if (!ret)
		return bind(out, env, instance, vhost, &options);
	scsi_target_destroy(options.target);
	return host_error(ret);
}
