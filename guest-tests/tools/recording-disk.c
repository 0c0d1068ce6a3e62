/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording-disk SOCKET FILE QUEUES [LIFE] - a vhost-user-blk daemon that may die at any moment.
 *
 * It records what is in flight in the region of VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, in the form
 * that QEMU's interop document has for split rings, so that the next one goes on with it. So that
 * there is much to record, it serves a request of each queue in 50 ms, the one that it took last.
 * Each request has three moments: taken, served, and used but still recorded. With LIFE, SIGKILL
 * takes it at that moment, counted from 1. Listens, and serves one connection after the other. Ends
 * with a line about what is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { RINGS_MAX = 8, RING_MAX = 256, FDS_MAX = 8, DELAY_MS = 50, SECTOR = 512 };
enum { VERSION = 1, REPLY = 4, NEED_REPLY = 8 };

enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 5, SET_VRING_NUM = 8,
	SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
	SET_VRING_ENABLE, GET_CONFIG = 24, GET_INFLIGHT_FD = 31, SET_INFLIGHT_FD = 32,
};

struct message {
	uint32_t unused; /* so that nothing is between header and body */
	uint32_t request, flags, size;
	union {
		uint64_t number;
		uint32_t words[128];
		uint64_t longs[64];
		uint8_t bytes[512];
	} body;
};

/* The document's DescStateSplit and QueueRegionSplit. */
struct record {
	uint8_t inflight, padding[5];
	uint16_t next;
	uint64_t counter;
};

struct records {
	uint64_t features;
	uint16_t version, count, last_batch_head, used_index;
	struct record of[RING_MAX];
};

struct ring {
	unsigned size;
	uint64_t desc, used, avail; /* addresses of the front-end's process */
	int kick, call;
	bool enabled, runs;
	uint16_t next;			/* to take from the available ring */
	uint16_t taken[RING_MAX]; /* heads, the last is served first */
	unsigned count;
};

static struct {
	uint64_t gpa, size, user;
	char *at;
} regions[FDS_MAX];
static unsigned region_count, ring_count;
static struct ring rings[RINGS_MAX];
static struct records *records;
static uint64_t counter;
static int disk, sock, fds[FDS_MAX];
static unsigned fd_count, life;
static struct virtio_blk_config config;

static void die(const char *what)
{
	fprintf(stderr, "recording-disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *map(uint64_t address, uint64_t len, bool user)
{
	for (unsigned i = 0; i < region_count; i++) {
		uint64_t base = user ? regions[i].user : regions[i].gpa;

		if (address >= base && address - base < regions[i].size &&
		    len <= regions[i].size - (address - base))
			return regions[i].at + (address - base);
	}
	die("an address outside memory");
	return NULL;
}

static void moment(void)
{
	if (life && !--life)
		raise(SIGKILL);
}

/* --- Requests --------------------------------------------------------------------------------- */

static uint8_t transfer(uint32_t type, uint64_t *offset, void *data, size_t len)
{
	ssize_t n = type == VIRTIO_BLK_T_IN ? pread(disk, data, len, (off_t)*offset) :
					      pwrite(disk, data, len, (off_t)*offset);

	*offset += len;
	return n == (ssize_t)len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint32_t transfer_all(struct ring *ring, uint16_t head)
{
	const struct vring_desc *desc = map(ring->desc, ring->size * sizeof(*desc), true), *d;
	const struct virtio_blk_outhdr *header = map(desc[head].addr, sizeof(*header), false);
	uint64_t offset = header->sector * SECTOR;
	uint8_t status = VIRTIO_BLK_S_OK;
	uint32_t written = 1;

	if (header->type == VIRTIO_BLK_T_FLUSH && fdatasync(disk))
		status = VIRTIO_BLK_S_IOERR;
	else if (header->type > VIRTIO_BLK_T_OUT && header->type != VIRTIO_BLK_T_FLUSH)
		status = VIRTIO_BLK_S_UNSUPP;
	for (d = &desc[desc[head].next]; d->flags & VRING_DESC_F_NEXT; d = &desc[d->next]) {
		if (status == VIRTIO_BLK_S_OK)
			status = transfer(header->type, &offset, map(d->addr, d->len, false), d->len);
		written += header->type == VIRTIO_BLK_T_IN ? d->len : 0;
	}
	*(uint8_t *)map(d->addr, 1, false) = status;
	return written;
}

/* In the document's order: a kill between any two of these leaves a record that can be read. */
static void serve(struct ring *ring)
{
	struct vring_used *used = map(ring->used, sizeof(*used), true);
	struct records *record = &records[ring - rings];
	uint16_t head = ring->taken[--ring->count];
	uint32_t written;

	moment();
	written = transfer_all(ring, head);
	moment();
	record->of[head].next = record->last_batch_head;
	record->last_batch_head = head;
	used->ring[used->idx % ring->size] = (struct vring_used_elem){ head, written };
	__atomic_store_n(&used->idx, (uint16_t)(used->idx + 1), __ATOMIC_SEQ_CST);
	moment();
	record->of[head].inflight = 0;
	__atomic_store_n(&record->used_index, used->idx, __ATOMIC_SEQ_CST);
	eventfd_write(ring->call, 1);
}

static void take(struct ring *ring)
{
	const struct vring_avail *avail = map(ring->avail, sizeof(*avail), true);
	struct records *record = &records[ring - rings];

	while (ring->next != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
		uint16_t head = avail->ring[ring->next++ % ring->size];

		if (record->of[head].inflight || ring->count == ring->size)
			die("a head is available that is in flight");
		record->of[head].counter = counter++;
		record->of[head].inflight = 1;
		ring->taken[ring->count++] = head;
	}
}

/* What the last daemon has left. */
static void recover(struct ring *ring)
{
	const struct vring_used *used = map(ring->used, sizeof(*used), true);
	struct records *record = &records[ring - rings];

	if (!record->version)
		*record = (struct records){ .version = 1, .count = RING_MAX,
					    .used_index = used->idx };
	if (record->used_index != used->idx)
		record->of[record->last_batch_head].inflight = 0;
	record->used_index = used->idx;
	ring->count = 0;
	for (unsigned i = 0; i < ring->size; i++) {
		if (!record->of[i].inflight)
			continue;
		ring->taken[ring->count++] = (uint16_t)i;
		if (record->of[i].counter >= counter)
			counter = record->of[i].counter + 1;
	}
	if (ring->count)
		printf("ring %td: %u requests were in flight\n", ring - rings, ring->count);
	ring->next = (uint16_t)(used->idx + ring->count);
	ring->runs = true;
	take(ring);
}

/* --- Messages --------------------------------------------------------------------------------- */

static bool receive(struct message *m)
{
	char room[CMSG_SPACE(sizeof(fds))];
	struct iovec iov = { &m->request, 12 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *control;

	if (recvmsg(sock, &msg, MSG_WAITALL) != 12)
		return false;
	control = CMSG_FIRSTHDR(&msg);
	fd_count = control ? (unsigned)((control->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
	if (fd_count)
		memcpy(fds, CMSG_DATA(control), fd_count * sizeof(int));
	return !m->size || (m->size <= sizeof(m->body) &&
			    recv(sock, &m->body, m->size, MSG_WAITALL) == (ssize_t)m->size);
}

static void answer(struct message *m, uint32_t size, const int *fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &m->request, 12 + size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd) {
		msg.msg_control = room;
		msg.msg_controllen = sizeof(room);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fd, sizeof(int));
	}
	m->flags = VERSION | REPLY;
	m->size = size;
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		die("sendmsg");
}

static void set_memory(const struct message *m)
{
	while (region_count)
		region_count--, munmap(regions[region_count].at, regions[region_count].size);
	for (; region_count < fd_count; region_count++) {
		const uint64_t *of = &m->body.longs[1 + region_count * 4];

		regions[region_count].gpa = of[0];
		regions[region_count].size = of[1];
		regions[region_count].user = of[2];
		regions[region_count].at = mmap(NULL, of[1], PROT_READ | PROT_WRITE, MAP_SHARED,
						fds[region_count], (off_t)of[3]);
		if (regions[region_count].at == MAP_FAILED)
			die("mmap");
		close(fds[region_count]);
	}
}

static void set_inflight(int fd)
{
	if (records)
		munmap(records, RINGS_MAX * sizeof(*records));
	records = mmap(NULL, RINGS_MAX * sizeof(*records), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (records == MAP_FAILED)
		die("mmap of the record");
	close(fd);
}

static void stop(struct ring *ring, struct message *m)
{
	while (ring->count)
		serve(ring);
	m->body.words[1] = ring->next;
	if (ring->runs)
		close(ring->kick), close(ring->call);
	ring->runs = ring->enabled = false;
}

static void handle(struct message *m)
{
	bool wanted = m->flags & NEED_REPLY;
	struct ring *ring = &rings[m->body.words[0] % RINGS_MAX];
	int fd;

	switch (m->request) {
	case GET_FEATURES:
		m->body.number = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_BLK_F_MQ |
				 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_SEG_MAX | 1 << 30;
		answer(m, 8, NULL);
		return;
	case GET_PROTOCOL_FEATURES: /* MQ, REPLY_ACK, CONFIG, INFLIGHT_SHMFD */
		m->body.number = 1 << 0 | 1 << 3 | 1 << 9 | 1 << 12;
		answer(m, 8, NULL);
		return;
	case GET_QUEUE_NUM:
		m->body.number = ring_count;
		answer(m, 8, NULL);
		return;
	case GET_CONFIG:
		memcpy(m->body.bytes + 12, &config, sizeof(config));
		answer(m, m->size, NULL);
		return;
	case GET_INFLIGHT_FD:
		fd = memfd_create("inflight", 0);
		m->body.longs[0] = RINGS_MAX * sizeof(*records);
		if (ftruncate(fd, RINGS_MAX * sizeof(*records)))
			die("ftruncate");
		answer(m, 20, &fd);
		close(fd);
		return;
	case GET_VRING_BASE:
		stop(ring, m);
		answer(m, 8, NULL);
		return;
	case SET_INFLIGHT_FD:
		set_inflight(fds[0]);
		break;
	case SET_MEM_TABLE:
		set_memory(m);
		break;
	case SET_VRING_NUM:
		ring->size = m->body.words[1];
		if (ring->size > RING_MAX)
			die("a ring too large");
		break;
	case SET_VRING_ADDR:
		ring->desc = m->body.longs[1];
		ring->used = m->body.longs[2];
		ring->avail = m->body.longs[3];
		break;
	case SET_VRING_KICK:
		ring->kick = fds[0];
		break;
	case SET_VRING_CALL:
		ring->call = fds[0];
		break;
	case SET_VRING_ERR:
		close(fds[0]);
		break;
	case SET_VRING_ENABLE:
		ring->enabled = m->body.words[1];
		if (ring->enabled)
			recover(ring);
		break;
	}
	if (!wanted)
		return;
	m->body.number = 0;
	answer(m, 8, NULL);
}

/* --- The loop --------------------------------------------------------------------------------- */

static bool serve_one(void)
{
	bool more = false;

	for (unsigned i = 0; i < ring_count; i++) {
		struct ring *ring = &rings[i];

		if (!ring->runs || !ring->count)
			continue;
		serve(ring);
		more |= ring->count;
	}
	return more;
}

static void serve_connection(void)
{
	bool more = false;

	for (;;) {
		struct pollfd waited[RINGS_MAX + 1] = { { .fd = sock, .events = POLLIN } };
		struct message m;
		eventfd_t count;
		int ready;

		for (unsigned i = 0; i < ring_count; i++)
			waited[i + 1] = (struct pollfd){ rings[i].runs ? rings[i].kick : -1, POLLIN, 0 };
		ready = poll(waited, ring_count + 1, more ? DELAY_MS : -1);
		if (waited[0].revents) {
			if (!receive(&m))
				return;
			handle(&m);
		}
		for (unsigned i = 0; i < ring_count; i++)
			if (waited[i + 1].revents && !eventfd_read(rings[i].kick, &count))
				take(&rings[i]);
		if (!ready)
			more = serve_one();
		for (unsigned i = 0; i < ring_count; i++)
			more |= rings[i].runs && rings[i].count;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int listener;

	if (argc < 4 || argc > 5)
		return 2;
	life = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	ring_count = (unsigned)atoi(argv[3]) % (RINGS_MAX + 1);
	disk = open(argv[2], O_RDWR);
	if (disk < 0 || fstat(disk, &st))
		die(argv[2]);
	config.capacity = (uint64_t)st.st_size / SECTOR;
	config.seg_max = 126;
	config.num_queues = (uint16_t)ring_count;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1))
		die(argv[1]);
	for (;;) {
		sock = accept(listener, NULL, NULL);
		if (sock < 0)
			die("accept");
		serve_connection();
		close(sock);
		memset(rings, 0, sizeof(rings));
	}
}
