/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All queues of a virtio-scsi device, run by /dev/vhost-scsi on a target of the kernel (LIO). The
 * endpoint, which connects the two, is set at DRIVER_OK and cleared when the device stops; at other
 * times the target is free.
 */
#ifndef KINGLET_DEVICES_VHOST_SCSI_H
#define KINGLET_DEVICES_VHOST_SCSI_H

#include "backend/vhost.h"

enum { VHOST_SCSI_WWPN_MAX = 223 }; /* bytes of a target's name */

/*
 * Opens /dev/vhost-scsi for the target `wwpn` ("naa.…"; copied; no longer than
 * VHOST_SCSI_WWPN_MAX). Logs on failure; -ENODEV: there is no such target with a nexus that is
 * free, which is not asked with `later`.
 */
__must_check int vhost_scsi_open(struct vhost **out, struct sys *sys, const char *wwpn, bool later);

/* Of one that does not run: -EBUSY: there is no such target that is free. */
__must_check int vhost_scsi_probe(struct vhost *vhost);

/* The feature bits of virtio-scsi and the ring that the kernel supports. */
uint64_t vhost_scsi_features(const struct vhost *vhost);

#endif
