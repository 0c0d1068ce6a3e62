/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vhost_vsock.h"

#include "base/log.h"

#include <linux/vhost.h>
#include <string.h>

static int set_running(struct vhost *vhost, int running)
{
	return vhost_request(vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

static int vsock_run(struct vhost *vhost)
{
	return set_running(vhost, 1);
}

/* Stops both rings, and waits for the kernel's workers. */
static void vsock_halt(struct vhost *vhost)
{
	set_running(vhost, 0);
}

static const struct vhost_kind vsock_kind = {
	.ops = {
		.name = "vhost-vsock",
		.start = vhost_start,
		.stop = vhost_stop,
		.destroy = vhost_destroy,
	},
	.node = { "/dev/vhost-vsock", .absent = "modprobe vhost_vsock" },
	.vhost = { .request = vhost_ioctl, .run = vsock_run, .halt = vsock_halt },
};

static int take_cid(struct vhost *vhost, uint32_t cid)
{
	uint64_t value = cid;
	int ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_VSOCK_SET_GUEST_CID, &value);

	if (ret == -EADDRINUSE)
		log_error("vhost-vsock: CID %u is in use by another guest; give another one", cid);
	else if (ret < 0)
		log_error("vhost-vsock: VHOST_VSOCK_SET_GUEST_CID %u: %s", cid, strerror(-ret));
	return ret < 0 ? ret : 0;
}

int vhost_vsock_open(struct vhost **out, struct sys *sys, uint32_t cid)
{
	_cleanup_free_ struct vhost *vhost = calloc(1, sizeof(*vhost));
	int ret;

	if (!vhost)
		return -ENOMEM;
	ret = vhost_open(vhost, &vsock_kind, sys, -1, false);
	if (ret)
		return ret;
	ret = take_cid(vhost, cid);
	if (ret) {
		vhost_close(vhost);
		return ret;
	}
	*out = steal_ptr(vhost);
	return 0;
}
