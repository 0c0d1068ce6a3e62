/* SPDX-License-Identifier: Apache-2.0 */
/*
 * with-tap NAME N COMMAND... - run a command with N queues of the tap NAME open on descriptors 10,
 * 11 and so on, as a privileged program would for an unprivileged one.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FIRST_FD = 10 };

static void open_queue(const char *name, int number, int several)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (several)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || dup2(fd, number) < 0)
		err(1, "%s", name);
	close(fd);
}

int main(int argc, char **argv)
{
	int queues = argc > 3 ? atoi(argv[2]) : 0;

	if (queues < 1)
		errx(1, "usage: with-tap NAME N COMMAND...");
	for (int i = 0; i < queues; i++)
		open_queue(argv[1], FIRST_FD + i, queues > 1);
	execvp(argv[3], argv + 3);
	err(1, "%s", argv[3]);
}
