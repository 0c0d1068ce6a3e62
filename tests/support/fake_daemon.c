/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { BODY_MAX = 512, FDS_MAX = 8, VERSION = 1, REPLY = 4, NEED_REPLY = 8 };
enum { PROTOCOL_FEATURES = 30, REPLY_ACK = 3 };

/* By the document's numbers. */
enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE,
	SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK,
	SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
	SET_VRING_ENABLE, SET_BACKEND_REQ_FD = 21, GET_CONFIG = 24, SET_CONFIG = 25,
	GET_INFLIGHT_FD = 31, SET_INFLIGHT_FD = 32, RESET_DEVICE = 34, GET_MAX_MEM_SLOTS = 36,
	ADD_MEM_REG = 37, REM_MEM_REG = 38, SET_STATUS = 39, GET_STATUS = 40,
};

struct message {
	uint32_t unused; /* so that the body is aligned, and nothing is between header and it */
	uint32_t request, flags, size;
	_Alignas(uint64_t) uint8_t body[BODY_MAX];
	int fds[FDS_MAX];
	unsigned fd_count;
};

static uint64_t number_of(const struct message *m)
{
	uint64_t number;

	memcpy(&number, m->body, sizeof(number));
	return number;
}

static void set_number(struct message *m, uint64_t number)
{
	memcpy(m->body, &number, sizeof(number));
	m->size = sizeof(number);
}

/* --- The wire --------------------------------------------------------------------------------- */

static bool receive_part(int sock, void *buf, size_t len, struct message *m)
{
	char *at = buf;

	while (len) {
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct iovec iov = { at, len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
				      .msg_controllen = sizeof(room) };
		ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		const struct cmsghdr *control = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

		if (n <= 0)
			return false;
		if (control) {
			m->fd_count = (unsigned)((control->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(m->fds, CMSG_DATA(control), m->fd_count * sizeof(int));
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool receive(int sock, struct message *m)
{
	m->fd_count = 0;
	return receive_part(sock, &m->request, 12, m) && m->size <= BODY_MAX &&
	       receive_part(sock, m->body, m->size, m);
}

static bool transmit(int sock, const void *data, size_t len, const int *fds, unsigned count)
{
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *control;

	if (count) {
		msg.msg_control = room;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control = CMSG_FIRSTHDR(&msg);
		*control = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					     .cmsg_len = CMSG_LEN(count * sizeof(int)) };
		memcpy(CMSG_DATA(control), fds, count * sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len;
}

/* --- Requests --------------------------------------------------------------------------------- */

static void wrong_if(struct fake_daemon *daemon, bool wrong)
{
	daemon->errors += wrong;
}

static int only_fd(struct fake_daemon *daemon, struct message *m)
{
	wrong_if(daemon, m->fd_count != 1);
	if (m->fd_count != 1)
		return -1;
	m->fd_count = 0;
	return m->fds[0];
}

static void forget_memory(struct fake_daemon *daemon)
{
	while (daemon->regions)
		close_fd(&daemon->region_fds[--daemon->regions]);
}

struct table {
	struct {
		uint32_t nregions, padding;
	} memory;
	struct vhost_memory_region regions[FDS_MAX];
};

static void take_table(struct fake_daemon *daemon, struct table *table)
{
	daemon->regions = table->memory.nregions;
	(void)fake_vhost_ioctl(&daemon->vhost, VHOST_SET_MEM_TABLE, &table->memory);
}

static struct table table_of(const struct fake_daemon *daemon)
{
	struct table table = { .memory.nregions = daemon->regions };

	memcpy(table.regions, daemon->vhost.regions, daemon->regions * sizeof(table.regions[0]));
	return table;
}

/* As on the wire: guest address, length, frontend's address, offset in the file. */
static void put_region(struct fake_daemon *daemon, struct table *table, const uint8_t *wire, int fd)
{
	unsigned i = table->memory.nregions++;
	uint64_t region[4];
	struct stat st = { 0 };

	memcpy(region, wire, sizeof(region));
	table->regions[i] = (struct vhost_memory_region){
		.guest_phys_addr = region[0], .memory_size = region[1], .userspace_addr = region[2]
	};
	wrong_if(daemon, fstat(fd, &st) || region[3] + region[1] > (uint64_t)st.st_size);
	/* It would be a SIGBUS in the frontend. */
	wrong_if(daemon, !ftruncate(fd, 0));
	daemon->region_fds[i] = fd;
	daemon->region_offsets[i] = region[3];
}

static void set_memory(struct fake_daemon *daemon, struct message *m)
{
	struct table table = { 0 };

	forget_memory(daemon);
	wrong_if(daemon, *(uint32_t *)(void *)m->body != m->fd_count || m->size != 8 + m->fd_count * 32);
	for (unsigned i = 0; i < m->fd_count; i++)
		put_region(daemon, &table, m->body + 8 + i * 32UL, m->fds[i]);
	m->fd_count = 0;
	take_table(daemon, &table);
}

static void add_region(struct fake_daemon *daemon, struct message *m)
{
	struct table table = table_of(daemon);

	wrong_if(daemon, m->size != 40 || daemon->regions >= daemon->slots);
	put_region(daemon, &table, m->body + 8, only_fd(daemon, m));
	take_table(daemon, &table);
}

static void remove_region(struct fake_daemon *daemon, const struct message *m)
{
	struct table table = table_of(daemon);
	unsigned last = table.memory.nregions - 1, i = 0;
	uint64_t gpa;

	memcpy(&gpa, m->body + 8, sizeof(gpa));
	while (i <= last && table.regions[i].guest_phys_addr != gpa)
		i++;
	wrong_if(daemon, m->size != 40 || m->fd_count || i > last || !daemon->regions);
	if (i > last || !daemon->regions)
		return;
	close(daemon->region_fds[i]);
	table.regions[i] = table.regions[last];
	daemon->region_fds[i] = daemon->region_fds[last];
	daemon->region_offsets[i] = daemon->region_offsets[last];
	table.memory.nregions = last;
	take_table(daemon, &table);
}

static void set_log(struct fake_daemon *daemon, struct message *m)
{
	int fd = only_fd(daemon, m);
	uint64_t base;

	if (daemon->log_map)
		munmap(daemon->log_map, daemon->log_len);
	memcpy(&daemon->log_len, m->body, sizeof(daemon->log_len));
	daemon->log_map = mmap(NULL, daemon->log_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	wrong_if(daemon, daemon->log_map == MAP_FAILED || !ftruncate(fd, 0));
	close(fd);
	base = (uintptr_t)daemon->log_map;
	(void)fake_vhost_ioctl(&daemon->vhost, VHOST_SET_LOG_BASE, &base);
	set_number(m, 0);
}

static void set_file(struct fake_daemon *daemon, struct message *m)
{
	static const unsigned long ioctls[] = { VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
						VHOST_SET_VRING_ERR };
	struct vhost_vring_file file = { .index = number_of(m) & 0xff, .fd = only_fd(daemon, m) };
	struct fake_vring *ring = &daemon->vhost.rings[file.index % FAKE_VHOST_RINGS];
	int *old = m->request == SET_VRING_KICK ? &ring->kick :
		   m->request == SET_VRING_CALL ? &ring->call : &ring->err;

	close_fd(old);
	(void)fake_vhost_ioctl(&daemon->vhost, ioctls[m->request - SET_VRING_KICK], &file);
}

/* Enabled and with a kick: vhost's switch. */
static void enable(struct fake_daemon *daemon, const struct message *m)
{
	struct vhost_vring_state state;
	struct vhost_vring_file file;

	memcpy(&state, m->body, sizeof(state));
	file = (struct vhost_vring_file){
		.index = state.index,
		.fd = state.num ? daemon->vhost.rings[state.index % FAKE_VHOST_RINGS].kick : -1
	};
	daemon->enabled &= ~(1ULL << state.index % 64);
	daemon->enabled |= (uint64_t)state.num << state.index % 64;
	(void)fake_vhost_ioctl(&daemon->vhost, VHOST_NET_SET_BACKEND, &file);
}

static void get_base(struct fake_daemon *daemon, struct message *m)
{
	struct vhost_vring_state state;
	struct vhost_vring_file off = { .fd = -1 };
	struct fake_vring *ring;

	memcpy(&state, m->body, sizeof(state));
	off.index = state.index;
	ring = &daemon->vhost.rings[state.index % FAKE_VHOST_RINGS];
	(void)fake_vhost_ioctl(&daemon->vhost, VHOST_NET_SET_BACKEND, &off);
	(void)fake_vhost_ioctl(&daemon->vhost, VHOST_GET_VRING_BASE, &state);
	memcpy(m->body, &state, sizeof(state));
	close_fd(&ring->kick);
	close_fd(&ring->call);
	close_fd(&ring->err);
}

static void get_config(const struct fake_daemon *daemon, struct message *m)
{
	uint32_t range[3];

	memcpy(range, m->body, sizeof(range));
	m->size = 0;
	if (range[0] + range[1] > daemon->config_len)
		return;
	m->size = 12 + range[1];
	memcpy(m->body + 12, daemon->config + range[0], range[1]);
}

static void set_config(struct fake_daemon *daemon, const struct message *m)
{
	uint32_t range[3];

	memcpy(range, m->body, sizeof(range));
	wrong_if(daemon, range[0] + range[1] > daemon->config_len || m->size != 12 + range[1]);
	if (range[0] + range[1] <= daemon->config_len)
		memcpy(daemon->config + range[0], m->body + 12, range[1]);
}

static void get_inflight(struct fake_daemon *daemon, struct message *m)
{
	uint64_t size = 4096;

	wrong_if(daemon, m->size != 20);
	m->fds[0] = memfd_create("inflight", MFD_CLOEXEC);
	m->fd_count = 1;
	wrong_if(daemon, ftruncate(m->fds[0], (off_t)size));
	daemon->made_inflights++;
	memcpy(m->body, &size, sizeof(size));
}

static void by_ioctl(struct fake_daemon *daemon, struct message *m, unsigned long request)
{
	(void)fake_vhost_ioctl(&daemon->vhost, request, m->body);
}

/* Returns whether it has an answer of its own, in m. */
static bool handle(struct fake_daemon *daemon, struct message *m)
{
	uint64_t number = number_of(m);

	switch (m->request) {
	case GET_FEATURES:
		set_number(m, daemon->features);
		return true;
	case SET_FEATURES:
		daemon->accepted = number;
		wrong_if(daemon, number & ~daemon->features);
		number &= ~(1ULL << PROTOCOL_FEATURES);
		(void)fake_vhost_ioctl(&daemon->vhost, VHOST_SET_FEATURES, &number);
		return false;
	case SET_OWNER:
		(void)fake_vhost_ioctl(&daemon->vhost, VHOST_SET_OWNER, NULL);
		return false;
	case SET_MEM_TABLE:
		set_memory(daemon, m);
		return false;
	case SET_LOG_BASE:
		set_log(daemon, m);
		return true;
	case SET_VRING_NUM:
		by_ioctl(daemon, m, VHOST_SET_VRING_NUM);
		return false;
	case SET_VRING_ADDR:
		by_ioctl(daemon, m, VHOST_SET_VRING_ADDR);
		return false;
	case SET_VRING_BASE:
		by_ioctl(daemon, m, VHOST_SET_VRING_BASE);
		return false;
	case GET_VRING_BASE:
		get_base(daemon, m);
		return true;
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		set_file(daemon, m);
		return false;
	case GET_PROTOCOL_FEATURES:
		set_number(m, daemon->protocol);
		return true;
	case SET_PROTOCOL_FEATURES:
		wrong_if(daemon, number & ~daemon->protocol);
		return false;
	case GET_QUEUE_NUM:
		set_number(m, daemon->queues);
		return true;
	case SET_VRING_ENABLE:
		enable(daemon, m);
		return false;
	case SET_BACKEND_REQ_FD:
		close_fd(&daemon->requests);
		daemon->requests = only_fd(daemon, m);
		return false;
	case GET_CONFIG:
		get_config(daemon, m);
		return true;
	case SET_CONFIG:
		set_config(daemon, m);
		return false;
	case GET_INFLIGHT_FD:
		get_inflight(daemon, m);
		return true;
	case SET_INFLIGHT_FD:
		close_fd(&daemon->inflight);
		daemon->inflight = only_fd(daemon, m);
		return false;
	case RESET_DEVICE:
		return false;
	case SET_STATUS:
		daemon->status = number & ~daemon->disagrees;
		return false;
	case GET_STATUS:
		set_number(m, daemon->status);
		return true;
	case GET_MAX_MEM_SLOTS:
		set_number(m, daemon->slots);
		return true;
	case ADD_MEM_REG:
		add_region(daemon, m);
		return false;
	case REM_MEM_REG:
		remove_region(daemon, m);
		return false;
	default:
		daemon->errors++;
		return false;
	}
}

/* --- Mischief --------------------------------------------------------------------------------- */

static void flood(int sock, const struct message *m)
{
	fcntl(sock, F_SETFL, O_RDWR | O_NONBLOCK);
	while (transmit(sock, &m->request, 12 + m->size, NULL, 0))
		;
	fcntl(sock, F_SETFL, O_RDWR);
}

/* The answer in m as it should not be; whether the connection stays. */
static bool misbehave(struct fake_daemon *daemon, struct message *m)
{
	int fds[FDS_MAX];

	switch (daemon->mischief) {
	case FAKE_HONEST:
	case FAKE_MISCHIEFS:
	case FAKE_SILENT:
		return true;
	case FAKE_HANGS_UP:
		return false;
	case FAKE_REFUSES:
		set_number(m, 1);
		break;
	case FAKE_OTHER_ANSWER:
		m->request++;
		break;
	case FAKE_NO_REPLY_FLAG:
		m->flags &= ~(uint32_t)REPLY;
		break;
	case FAKE_SHORT:
		m->size = m->size ? m->size - 1 : 0;
		break;
	case FAKE_LONG:
		m->size = 0xfffffff0;
		return transmit(daemon->sock, &m->request, 12, NULL, 0);
	case FAKE_HALF:
		return transmit(daemon->sock, &m->request, 6, NULL, 0);
	case FAKE_DESCRIPTORS:
		for (unsigned i = 0; i < FDS_MAX; i++)
			fds[i] = daemon->sock;
		return transmit(daemon->sock, &m->request, 12 + m->size, fds, FDS_MAX);
	case FAKE_FLOOD:
		flood(daemon->sock, m);
		return true;
	}
	return transmit(daemon->sock, &m->request, 12 + m->size, m->fds, m->fd_count);
}

/* --- The thread ------------------------------------------------------------------------------- */

static bool send_answer(struct fake_daemon *daemon, struct message *m)
{
	size_t len = 12 + m->size;

	if (daemon->change)
		len = daemon->change(daemon, (uint8_t *)&m->request, len);
	return transmit(daemon->sock, &m->request, len, m->fds, m->fd_count);
}

static bool answer(struct fake_daemon *daemon, struct message *m)
{
	bool wants = m->flags & NEED_REPLY, has = handle(daemon, m), stays = true;
	uint64_t good = 0;

	if (!has && wants)
		set_number(m, good);
	m->flags = VERSION | REPLY;
	if (daemon->mischief && (!daemon->at || daemon->at == daemon->log[daemon->logged - 1]))
		stays = misbehave(daemon, m);
	else if (has || wants)
		stays = send_answer(daemon, m);
	while (m->fd_count)
		close(m->fds[--m->fd_count]);
	return stays;
}

static bool serve(struct fake_daemon *daemon)
{
	struct message m = { 0 };

	if (!receive(daemon->sock, &m))
		return false;
	wrong_if(daemon, (m.flags & 3) != VERSION || daemon->logged == FAKE_DAEMON_LOG);
	if (daemon->logged < FAKE_DAEMON_LOG)
		daemon->log[daemon->logged++] = m.request;
	return answer(daemon, &m);
}

/* What is left of a connection. Of the next one, whose client waits, the rings are fresh. */
static void drop_rings(struct fake_daemon *daemon)
{
	for (unsigned i = 0; i < FAKE_VHOST_RINGS; i++) {
		struct fake_vring *ring = &daemon->vhost.rings[i];
		struct vhost_vring_file off = { .index = i, .fd = -1 };

		if (daemon->vhost.owned)
			(void)fake_vhost_ioctl(&daemon->vhost, VHOST_NET_SET_BACKEND, &off);
		close_fd(&ring->kick);
		close_fd(&ring->call);
		close_fd(&ring->err);
	}
	forget_memory(daemon);
	close_fd(&daemon->requests);
	close_fd(&daemon->inflight);
}

static void *daemon_thread(void *arg)
{
	struct fake_daemon *daemon = arg;

	for (;;) {
		int sock = daemon->sock >= 0 ? daemon->sock : daemon->listener;
		struct pollfd waited[] = { { .fd = sock, .events = POLLIN },
					   { .fd = daemon->stop_fd, .events = POLLIN } };

		if (poll(waited, 2, -1) < 0 || waited[1].revents)
			return NULL;
		if (daemon->sock < 0) {
			drop_rings(daemon);
			daemon->sock = accept4(daemon->listener, NULL, NULL, SOCK_CLOEXEC);
			daemon->connections++;
		} else if (!serve(daemon)) {
			close_fd(&daemon->sock);
		}
	}
}

static void close_all(struct fake_daemon *daemon)
{
	drop_rings(daemon);
	close_fd(&daemon->sock);
	close_fd(&daemon->listener);
	close_fd(&daemon->stop_fd);
	if (daemon->log_map)
		munmap(daemon->log_map, daemon->log_len);
	daemon->log_map = NULL;
}

void fake_daemon_init(struct fake_daemon *daemon, struct loop *loop, uint64_t features,
		      uint64_t protocol)
{
	*daemon = (struct fake_daemon){ .loop = loop, .features = features, .protocol = protocol,
					.queues = 2, .slots = FDS_MAX, .listener = -1, .sock = -1, .stop_fd = -1,
					.requests = -1, .inflight = -1 };
	fake_vhost_init(&daemon->vhost, loop, features);
	strcpy(daemon->folder, "/tmp/kinglet-daemon-XXXXXX");
	if (!mkdtemp(daemon->folder))
		abort();
	daemon->address.sun_family = AF_UNIX;
	snprintf(daemon->address.sun_path, sizeof(daemon->address.sun_path), "%s/socket",
		 daemon->folder);
}

void fake_daemon_start(struct fake_daemon *daemon)
{
	unlink(daemon->address.sun_path);
	fake_vhost_init(&daemon->vhost, daemon->loop, daemon->features);
	daemon->logged = daemon->enabled = 0;
	daemon->stop_fd = eventfd(0, EFD_CLOEXEC);
	daemon->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(daemon->listener, (struct sockaddr *)&daemon->address, sizeof(daemon->address)) ||
	    listen(daemon->listener, 4) ||
	    pthread_create(&daemon->thread, NULL, daemon_thread, daemon))
		abort();
	daemon->runs = true;
}

void fake_daemon_kill(struct fake_daemon *daemon)
{
	if (!daemon->runs)
		return;
	eventfd_write(daemon->stop_fd, 1);
	pthread_join(daemon->thread, NULL);
	close_all(daemon);
	daemon->runs = false;
}

void fake_daemon_destroy(struct fake_daemon *daemon)
{
	fake_daemon_kill(daemon);
	unlink(daemon->address.sun_path);
	rmdir(daemon->folder);
}

unsigned fake_daemon_count(const struct fake_daemon *daemon, uint32_t request)
{
	unsigned count = 0;

	for (unsigned i = 0; i < daemon->logged; i++)
		count += daemon->log[i] == request;
	return count;
}

void fake_daemon_forget(struct fake_daemon *daemon)
{
	daemon->logged = 0;
}

void fake_daemon_ask(struct fake_daemon *daemon, uint32_t request, uint32_t flags, uint32_t size)
{
	const struct message m = { .request = request, .flags = flags, .size = size };

	transmit(daemon->requests, &m.request, 12 + (size < BODY_MAX ? size : BODY_MAX), NULL, 0);
}
