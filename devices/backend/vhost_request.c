/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/vhost.h"

#include "base/log.h"

#include <string.h>

bool vhost_may_log(const struct vhost *vhost)
{
	return !vhost->dev || vhost->dev->complaints < VIRTIO_COMPLAINTS_MAX;
}

int vhost_request_from(struct vhost *vhost, const struct sys_site *site, unsigned long request,
		       const char *name, void *arg)
{
	const struct vhost_ops *ops = &vhost->kind->vhost;
	int ret = ops->request(vhost, site, request, arg);

	/* That a daemon has gone is said once. */
	if (ret >= 0 || ret == -ENOTCONN || !vhost_may_log(vhost))
		return ret;
	if (!ops->explain || !ops->explain(vhost, request, ret))
		log_error("%s: %s: %s", vhost->dev ? vhost->dev->name : vhost->kind->ops.name, name,
			  strerror(-ret));
	return ret;
}
