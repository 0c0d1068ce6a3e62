/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-direct - drives the kernel's vhost devices through Kinglet's vhost.c, with neither KVM nor
 * a guest; see docs/vhost.md.
 *
 *   vhost-direct net TAP      frames through /dev/vhost-net and a tap interface that is up
 *   vhost-direct scsi WWPN    standard input to the disk of this target, and back
 *
 * Every ioctl on a vhost device is printed as it is made.
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
	NAME(VHOST_SET_VRING_NUM, true),   NAME(VHOST_SET_VRING_BASE, true),
	NAME(VHOST_SET_VRING_ADDR, true),  NAME(VHOST_SET_VRING_ERR, true),
	NAME(VHOST_SET_VRING_CALL, true),  NAME(VHOST_SET_VRING_KICK, true),
	NAME(VHOST_GET_VRING_BASE, true),  NAME(VHOST_NET_SET_BACKEND, true),
	NAME(VHOST_SCSI_GET_ABI_VERSION, false),
	NAME(VHOST_SCSI_SET_ENDPOINT, false),
	NAME(VHOST_SCSI_CLEAR_ENDPOINT, false),
};

static void narrate(struct sys *sys, const struct sys_event *event)
{
	(void)sys;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].request != event->request)
			continue;
		printf("%s", names[i].name);
		if (names[i].ring)
			printf(" ring %u", *(const unsigned *)event->arg);
		puts(event->result < 0 ? " failed" : "");
	}
}

int main(int argc, char **argv)
{
	struct host host;
	int status = 2;

	host_init(&host);
	host.sys.trace = narrate;
	if (argc == 3 && !strcmp(argv[1], "net"))
		status = net_run(&host, argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "scsi"))
		status = scsi_run(&host, argv[2]);
	else
		fputs("usage: vhost-direct net TAP | scsi WWPN\n", stderr);
	host_destroy(&host);
	return status;
}
