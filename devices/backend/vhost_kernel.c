/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's vhosts: opening their nodes, and ioctls on them. */
#include "backend/vhost_worker.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>

int vhost_ioctl(struct vhost *vhost, const struct sys_site *site, unsigned long request, void *arg)
{
	return sys_ioctl_from(vhost->sys, site, vhost->fd, request, arg);
}

/* Logs what is missing; `optional`: the caller has a fallback. */
static int open_failed(const struct vhost *vhost, const char *step, int err, bool optional)
{
	const struct vhost_kind *kind = vhost->kind;
	char reason[100];

	node_reason(&kind->node, vhost->sys, err, reason, sizeof(reason));
	if (optional)
		log_warning("%s: %s: %s: Kinglet serves the queues itself", kind->ops.name, step,
			    reason);
	else
		log_error("%s: %s: %s", kind->ops.name, step, reason);
	return err;
}

static int become_owner(struct vhost *vhost, const char **step)
{
	int ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_SET_OWNER, NULL);

	*step = "VHOST_SET_OWNER";
	if (ret < 0)
		return ret;
	*step = "VHOST_GET_FEATURES";
	return sys_ioctl(vhost->sys, vhost->fd, VHOST_GET_FEATURES, &vhost->features);
}

/* An inherited fd: failures are errors, without a fallback. */
static int adopt(struct vhost *vhost)
{
	const char *name = vhost->kind->ops.name, *step;
	int ret = inherited_fd(vhost->fd);

	if (ret) {
		log_error("%s: fd %d: not inherited; open %s on this number before", name,
			  vhost->fd, vhost->kind->node.path);
		/* Not inherited: it is not ours to close. */
		vhost->fd = -1;
		return ret;
	}
	ret = become_owner(vhost, &step);
	if (ret >= 0)
		return 0;
	log_error("%s: fd %d: %s: %s%s", name, vhost->fd, step, strerror(-ret),
		  ret == -EBUSY ? " (another process uses it)" : " (not of this device)");
	close_fd(&vhost->fd);
	return ret;
}

int vhost_open(struct vhost *vhost, const struct vhost_kind *kind, struct sys *sys, int fd,
	       bool optional)
{
	const char *step = kind->node.path;
	int ret;

	*vhost = (struct vhost){
		.backend = { .ops = &kind->ops },
		.kind = kind,
		.sys = sys,
		.fd = fd,
	};
	if (fd >= 0)
		return adopt(vhost);
	vhost->fd = ret = sys_open(sys, kind->node.path, O_RDWR);
	if (ret >= 0)
		ret = become_owner(vhost, &step);
	if (ret < 0) {
		close_fd(&vhost->fd);
		return open_failed(vhost, step, ret, optional);
	}
	return 0;
}

static int add_worker(struct vhost *vhost, unsigned first, unsigned end, unsigned step)
{
	unsigned worker = 0;
	int ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_NEW_WORKER, &worker);

	for (unsigned i = first; i < end && ret >= 0; i += step) {
		struct vhost_vring_state ring = { i, worker };

		ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_ATTACH_VRING_WORKER, &ring);
		/* Refused if a ring has it already. */
		if (ret < 0)
			(void)!sys_ioctl(vhost->sys, vhost->fd, VHOST_FREE_WORKER, &worker);
	}
	return ret;
}

void vhost_spread(struct vhost *vhost, unsigned first, unsigned end, unsigned workers)
{
	unsigned n = 1;
	int ret = 0;

	while (n < workers && ret >= 0)
		ret = add_worker(vhost, first + n++, end, workers);
	if (ret < 0)
		log_warning("%s: workers=%u: %s: the kernel runs its queues with %u (more than one "
			    "needs Linux 6.5)", vhost->dev->name, workers, strerror(-ret), n - 1);
}
