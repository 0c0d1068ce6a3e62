/* SPDX-License-Identifier: Apache-2.0 */
#include "ports.h"

#include "log.h"
#include "sys.h"
#include "text.h"

#include <linux/time_types.h>

enum { PAUSE_NS = 2000000, PORT_PATIENCE = 60 * (1000000000 / PAUSE_NS) };

static const char *const port_names[PORTS] = {
	[IN] = "kinglet.stdin\n",
	[OUT] = "kinglet.stdout\n",
	[ERR] = "kinglet.stderr\n",
	[STATUS] = "kinglet.status\n",
	[FILES] = "kinglet.files\n",
	[SNAPSHOT] = "kinglet.snapshot\n",
};

struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* An entry of /sys/class/virtio-ports: noted if it is one of ours. */
static void try_port(struct ports *ports, const char *entry)
{
	struct text path = { .len = 0 };
	char name[32];
	long len;
	int fd;

	text_append(&path, EARLY_SYS "/class/virtio-ports/");
	text_append(&path, entry);
	text_append(&path, "/name");
	fd = sys_open(path.data, O_RDONLY | O_CLOEXEC);
	len = sys_read(fd, name, sizeof(name) - 1);
	sys_close(&fd);
	if (len <= 0)
		return;
	name[len] = '\0';
	path.len = 0;
	text_append(&path, EARLY_DEV "/");
	text_append(&path, entry);
	for (unsigned i = 0; i < PORTS; i++)
		if (equal(name, port_names[i]) && path.len < sizeof(ports->paths[i]))
			copy(ports->paths[i], path.data, path.len + 1);
}

static bool have_all(const struct ports *ports)
{
	for (unsigned i = 0; i < PORTS; i++)
		if (i != SNAPSHOT && !*ports->paths[i])
			return false;
	return true;
}

static void try_ports(struct ports *ports)
{
	uint64_t buf[256];
	int fd = sys_open(EARLY_SYS "/class/virtio-ports", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long len;

	while ((len = SYS(getdents64, fd, buf, sizeof(buf), 0, 0)) > 0) {
		for (long at = 0; at < len;) {
			const struct entry *entry = (void *)((char *)buf + at);

			if (entry->name[0] != '.')
				try_port(ports, entry->name);
			at += entry->len;
		}
	}
	sys_close(&fd);
}

/* Drivers are loaded by now: without one, do not wait for its ports. */
static void need_driver(const char *path, const char *name)
{
	int fd = sys_open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		give_up("the kernel has neither built in nor been given the module", name, 0);
	sys_close(&fd);
}

void find_ports(struct ports *ports)
{
	need_driver(EARLY_SYS "/bus/pci/drivers/virtio-pci", "virtio_pci");
	need_driver(EARLY_SYS "/bus/virtio/drivers/virtio_console", "virtio_console");
	for (unsigned i = 0; i < PORTS; i++) {
		ports->paths[i][0] = '\0';
		ports->fds[i] = -1;
	}
	/* A workqueue of the driver adds and names them one by one. */
	for (unsigned tries = 0; tries < PORT_PATIENCE; tries++) {
		struct __kernel_timespec pause = { .tv_nsec = PAUSE_NS };

		try_ports(ports);
		if (have_all(ports)) {
			/* SNAPSHOT has its name before FILES: but this look may have missed it. */
			try_ports(ports);
			return;
		}
		SYS(nanosleep, &pause, NULL, 0, 0, 0);
	}
	give_up("no virtio console with Kinglet's ports", NULL, 0);
}

void open_port(struct ports *ports, unsigned port)
{
	int flags = port == IN || port == OUT || port == ERR ? O_NONBLOCK : 0;

	ports->fds[port] = sys_open(ports->paths[port], O_RDWR | O_CLOEXEC | flags);
	if (ports->fds[port] < 0)
		give_up("port", ports->paths[port], -ports->fds[port]);
}
