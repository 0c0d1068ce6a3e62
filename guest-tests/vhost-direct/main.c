/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-direct - drives the kernel's vhost devices through Kinglet's vhost.c, with neither KVM nor
 * a guest; see docs/vhost.md.
 *
 *   vhost-direct net TAP         frames through /dev/vhost-net and a tap interface that is up
 *   vhost-direct scsi WWPN       standard input to the disk of this target, and back
 *   vhost-direct net-log TAP     every page that vhost-net writes, beside its write log
 *   vhost-direct scsi-log WWPN   the same of vhost-scsi, whose log lacks the data
 *   vhost-direct vsock-log CID   the same of vhost-vsock
 *   vhost-direct net-switch TAP TIMES   the log turned on and off under load
 *
 * But for the last, every ioctl on a vhost device is printed as it is made.
 */
#include "driver.h"

#include <linux/vhost.h>
#include <stdio.h>
#include <string.h>

/* `ring`: the argument begins with the number of a ring. */
#define NAME(request, ring) { request, #request, ring }
static const struct {
	unsigned long request;
	const char *name;
	bool ring;
} names[] = {
	NAME(VHOST_SET_OWNER, false),	   NAME(VHOST_GET_FEATURES, false),
	NAME(VHOST_SET_FEATURES, false),   NAME(VHOST_SET_MEM_TABLE, false),
	NAME(VHOST_SET_LOG_BASE, false),   NAME(VHOST_VSOCK_SET_GUEST_CID, false),
	NAME(VHOST_VSOCK_SET_RUNNING, false),
	NAME(VHOST_SET_VRING_NUM, true),   NAME(VHOST_SET_VRING_BASE, true),
	NAME(VHOST_SET_VRING_ADDR, true),  NAME(VHOST_SET_VRING_ERR, true),
	NAME(VHOST_SET_VRING_CALL, true),  NAME(VHOST_SET_VRING_KICK, true),
	NAME(VHOST_GET_VRING_BASE, true),  NAME(VHOST_NET_SET_BACKEND, true),
	NAME(VHOST_SCSI_GET_ABI_VERSION, false),
	NAME(VHOST_SCSI_SET_ENDPOINT, false),
	NAME(VHOST_SCSI_CLEAR_ENDPOINT, false),
};

static bool with_log(const struct sys_event *event)
{
	const struct vhost_vring_addr *addr = event->arg;
	const __u64 *features = event->arg;

	return (event->request == VHOST_SET_FEATURES && *features >> VHOST_F_LOG_ALL & 1) ||
	       (event->request == VHOST_SET_VRING_ADDR && addr->flags >> VHOST_VRING_F_LOG & 1);
}

static void narrate(struct sys *sys, const struct sys_event *event)
{
	(void)sys;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].request != event->request)
			continue;
		printf("%s", names[i].name);
		if (names[i].ring)
			printf(" ring %u", *(const unsigned *)event->arg);
		printf("%s%s\n", with_log(event) ? " with log" : "",
		       event->result < 0 ? " failed" : "");
	}
}

static int run(struct host *host, const char *what, const char *where)
{
	if (!strcmp(what, "net"))
		return net_run(host, where);
	if (!strcmp(what, "net-log"))
		return net_log(host, where);
	if (!strcmp(what, "scsi"))
		return scsi_run(host, where);
	if (!strcmp(what, "scsi-log"))
		return scsi_log(host, where);
	if (!strcmp(what, "vsock-log"))
		return vsock_log(host, (unsigned)strtoul(where, NULL, 10));
	fputs("usage: vhost-direct net TAP | scsi WWPN | net-log TAP | scsi-log WWPN | "
	      "vsock-log CID | net-switch TAP TIMES\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct host host;
	int status;

	host_init(&host);
	host.sys.trace = narrate;
	if (argc == 4 && !strcmp(argv[1], "net-switch"))
		status = net_switch(&host, argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	else
		status = run(&host, argc == 3 ? argv[1] : "", argv[argc - 1]);
	host_destroy(&host);
	return status;
}
