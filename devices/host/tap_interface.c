/* SPDX-License-Identifier: Apache-2.0 */
#include "tap_internal.h"

#include "base/log.h"

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct ifreq request_for(const struct tap *tap)
{
	struct ifreq ifr = {};

	memcpy(ifr.ifr_name, tap->name, sizeof(tap->name));
	return ifr;
}

static bool is_our_namespace(int fd)
{
	struct stat theirs, ours;

	return !fstat(fd, &theirs) && !stat("/proc/self/ns/net", &ours) &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* The interface of this name in our namespace has the same address as that of the fd. */
static bool has_same_address(const struct tap *tap, int socket_fd)
{
	struct ifreq here = request_for(tap), there = {};

	return !sys_ioctl(tap->sys, socket_fd, SIOCGIFHWADDR, &here) &&
	       !sys_ioctl(tap->sys, tap->fd, SIOCGIFHWADDR, &there) &&
	       !memcmp(here.ifr_hwaddr.sa_data, there.ifr_hwaddr.sa_data, sizeof(tap->mac));
}

/*
 * The kernel reports the namespace only to processes that may administer it, and never for a
 * macvtap. Otherwise compare name and address.
 */
static bool is_ours(const struct tap *tap, int socket_fd)
{
	_cleanup_close_ int namespace_fd = sys_ioctl(tap->sys, tap->fd, TUNGETDEVNETNS, NULL);

	return namespace_fd >= 0 ? is_our_namespace(namespace_fd) :
				   has_same_address(tap, socket_fd);
}

void tap_find_interface(struct tap *tap, bool inherited)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = request_for(tap);

	if (fd < 0 || (inherited && !is_ours(tap, fd)))
		return;
	if (!sys_ioctl(tap->sys, fd, SIOCGIFINDEX, &ifr) && ifr.ifr_ifindex > 0)
		tap->ifindex = (unsigned)ifr.ifr_ifindex;
	ifr = request_for(tap);
	if (!sys_ioctl(tap->sys, fd, SIOCGIFMTU, &ifr) && ifr.ifr_mtu > 0)
		tap->mtu = (unsigned)ifr.ifr_mtu;
	ifr = request_for(tap);
	if (!sys_ioctl(tap->sys, fd, SIOCGIFFLAGS, &ifr) && !(ifr.ifr_flags & IFF_UP))
		log_warning("tap %s: the interface is down, and so is the guest's link until it is "
			    "set up (ip link set %s up)", tap->name, tap->name);
}

bool tap_interface_exists(struct sys *sys, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	return fd < 0 || sys_ioctl(sys, fd, SIOCGIFINDEX, &ifr) != -ENODEV;
}
