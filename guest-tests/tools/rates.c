/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the throughput between a host and its guest, or a guest and its disk or files.
 *
 *	rates serve PORT [PATH]           the guest's half, until killed; PATH is a disk, which is read
 *	                                  and written, or a folder, whose many/0, many/1 … are looked at
 *	rates ADDRESS PORT TEST SECONDS   (0.2, say) prints operations, bytes and seconds
 *
 * Times are from the host's clock. Data is not verified: net-check does that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK = 1 << 16,  /* of a stream */
	DATAGRAM = 64,
	WINDOW = 128,     /* datagrams in flight: half of the smallest ring, so that none is lost */
	ACK_EVERY = 32,
	TIMEOUT_S = 30,
	MAX_DEPTH = 32,
	MAX_BLOCK = 1 << 18,
	MAKE_BYTES = 4096,
};

struct count {
	uint64_t operations, bytes;
};

/* What the client requests. */
struct request {
	uint32_t test; /* index of tests[] */
	uint32_t ms;
};

static void die(const char *what)
{
	fprintf(stderr, "rates: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(long result, const char *what)
{
	if (result < 0)
		die(what);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void write_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		check(n, "send");
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

static void read_all(int fd, void *data, size_t len)
{
	if (recv(fd, data, len, MSG_WAITALL) != (ssize_t)len)
		die("receive");
}

/* --- Streams ---------------------------------------------------------------------------------- */

static char chunk[CHUNK];

static void stream_send(int fd, unsigned ms)
{
	double end = now() + ms / 1e3;

	while (now() < end)
		write_all(fd, chunk, sizeof(chunk));
	check(shutdown(fd, SHUT_WR), "shutdown");
}

static struct count stream_receive(int fd)
{
	struct count count = { 0 };
	ssize_t n;

	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
		count.operations++;
		count.bytes += (uint64_t)n;
	}
	check(n, "receive");
	return count;
}

/* --- Datagrams -------------------------------------------------------------------------------- */

/*
 * Both ends have a connected socket. The receiver acknowledges with its own count; a datagram of
 * one byte is the last.
 */
static void burst_send(int fd, unsigned ms)
{
	uint64_t sent = 0, acked = 0;
	double end = now() + ms / 1e3;

	while (now() < end) {
		for (; sent - acked < WINDOW; sent++)
			check(send(fd, chunk, DATAGRAM, 0), "send");
		check(recv(fd, &acked, sizeof(acked), 0), "no acknowledgement");
	}
	check(send(fd, chunk, 1, 0), "send");
	/* A side that leaves with a datagram in flight makes it fail as refused. */
	while (acked < sent)
		check(recv(fd, &acked, sizeof(acked), 0), "no acknowledgement");
}

static struct count burst_receive(int fd)
{
	struct count count = { 0 };
	ssize_t n;

	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 1) {
		count.operations++;
		count.bytes += (uint64_t)n;
		if (count.operations % ACK_EVERY == 0)
			check(send(fd, &count.operations, sizeof(count.operations), 0), "send");
	}
	check(n, "no datagram");
	if (count.operations % ACK_EVERY)
		check(send(fd, &count.operations, sizeof(count.operations), 0), "send");
	return count;
}

static struct count ping(int fd, unsigned ms)
{
	struct count count = { 0 };
	double end = now() + ms / 1e3;

	for (; now() < end; count.operations++) {
		check(send(fd, chunk, DATAGRAM, 0), "send");
		check(recv(fd, chunk, DATAGRAM, 0), "no answer");
	}
	count.bytes = 2 * DATAGRAM * count.operations;
	check(send(fd, chunk, 1, 0), "send");
	return count;
}

static void pong(int fd)
{
	ssize_t n;

	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 1)
		check(send(fd, chunk, (size_t)n, 0), "send");
	check(n, "no datagram");
}

/* --- Disk ------------------------------------------------------------------------------------- */

struct access {
	uint32_t block, depth;
	bool random, write;
};

static uint64_t disk_size(int fd)
{
	uint64_t size;

	check(ioctl(fd, BLKGETSIZE64, &size), "BLKGETSIZE64");
	return size;
}

static uint64_t next_offset(const struct access *access, uint64_t size, uint64_t *state)
{
	uint64_t blocks = size / access->block;

	if (!access->random)
		return (*state)++ % blocks * access->block;
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % blocks * access->block;
}

static struct count disk_run(const char *disk, const struct access *access, unsigned ms)
{
	static char buffers[MAX_DEPTH][MAX_BLOCK] __attribute__((aligned(4096)));
	int fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t size, state = 1;
	struct count count = { 0 };
	struct iocb iocbs[MAX_DEPTH], *list[MAX_DEPTH];
	struct io_event events[MAX_DEPTH];
	aio_context_t context = 0;
	long ready = access->depth;
	unsigned under_way = 0;
	double end;

	check(fd, disk);
	size = disk_size(fd);
	check(syscall(SYS_io_setup, access->depth, &context), "io_setup");
	memset(iocbs, 0, sizeof(iocbs));
	for (unsigned i = 0; i < access->depth; i++) {
		iocbs[i] = (struct iocb){
			.aio_lio_opcode = access->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)fd,
			.aio_buf = (uintptr_t)buffers[i],
			.aio_nbytes = access->block,
		};
		list[i] = &iocbs[i];
	}
	end = now() + ms / 1e3;
	do {
		for (long i = 0; i < ready; i++)
			list[i]->aio_offset = (int64_t)next_offset(access, size, &state);
		for (long done = 0, n; done < ready; done += n) {
			n = syscall(SYS_io_submit, context, ready - done, list + done);
			check(n, "io_submit");
		}
		under_way += (unsigned)ready;
		ready = syscall(SYS_io_getevents, context, 1, access->depth, events, NULL);
		check(ready, "io_getevents");
		for (long i = 0; i < ready; i++) {
			if (events[i].res != access->block) {
				errno = EIO;
				die(disk);
			}
			list[i] = (struct iocb *)(uintptr_t)events[i].obj;
		}
		under_way -= (unsigned)ready;
		count.operations += (uint64_t)ready;
	} while (now() < end);
	check(syscall(SYS_io_destroy, context), "io_destroy"); /* waits for the rest */
	close(fd);
	count.operations += under_way;
	count.bytes = count.operations * access->block;
	return count;
}

/* --- Files ------------------------------------------------------------------------------------ */

/* As tar does it: small files, with their mode and times. */
static void make_file(const char *folder, uint64_t n)
{
	static const struct timespec times[2];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%llu", folder, (unsigned long long)n);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	check(fd, path);
	check(write(fd, chunk, MAKE_BYTES), path);
	check(fchmod(fd, 0644), path);
	check(futimens(fd, times), path);
	check(close(fd), path);
}

static struct count files_make(const char *at, unsigned ms)
{
	char folder[48];
	struct count count = { 0 };
	double end = now() + ms / 1e3;

	snprintf(folder, sizeof(folder), "%s/made.XXXXXX", at);
	if (!mkdtemp(folder))
		die(folder);
	for (; now() < end; count.operations++)
		make_file(folder, count.operations);
	count.bytes = MAKE_BYTES * count.operations;
	return count;
}

/* Each once, and none that the kernel remembers. */
static struct count files_stat(const char *at, unsigned ms)
{
	int drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	struct count count = { 0 };
	struct stat st;
	char path[48];
	double end;

	check(drop, "drop_caches");
	check(write(drop, "2", 1), "drop_caches");
	close(drop);
	for (end = now() + ms / 1e3; now() < end; count.operations++) {
		snprintf(path, sizeof(path), "%s/many/%llu", at, (unsigned long long)count.operations);
		check(stat(path, &st), path);
	}
	return count;
}

/* --- Both halves ------------------------------------------------------------------------------ */

enum kind { STREAM_IN, STREAM_OUT, BURST_IN, BURST_OUT, ROUND_TRIPS, DISK, FILES_MAKE, FILES_STAT };

/* in: to the guest. */
static const struct test {
	const char *name;
	enum kind kind;
	struct access access;
} tests[] = {
	{ "tcp-in", STREAM_IN, { 0 } },
	{ "tcp-out", STREAM_OUT, { 0 } },
	{ "udp-in", BURST_IN, { 0 } },
	{ "udp-out", BURST_OUT, { 0 } },
	{ "round-trips", ROUND_TRIPS, { 0 } },
	{ "read-random", DISK, { .block = 4096, .depth = MAX_DEPTH, .random = true } },
	{ "read-latency", DISK, { .block = 4096, .depth = 1, .random = true } },
	{ "read", DISK, { .block = MAX_BLOCK, .depth = 4 } },
	{ "write", DISK, { .block = MAX_BLOCK, .depth = 4, .write = true } },
	{ "make", FILES_MAKE, { 0 } },
	{ "stat", FILES_STAT, { 0 } },
};
enum { TESTS = sizeof(tests) / sizeof(tests[0]) };

/* A socket for datagrams, connected between the same addresses as the stream. */
static int datagram_socket(int stream)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	struct sockaddr_in here, there;
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 1 << 20;

	check(fd, "socket");
	check(getsockname(stream, (struct sockaddr *)&here, &len), "getsockname");
	check(getpeername(stream, (struct sockaddr *)&there, &len), "getpeername");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), "SO_RCVTIMEO");
	check(bind(fd, (struct sockaddr *)&here, len), "bind");
	check(connect(fd, (struct sockaddr *)&there, len), "connect");
	return fd;
}

static void serve_one(int fd, const char *path)
{
	struct request request;
	const struct test *test;
	struct count count = { 0 };
	int datagrams = datagram_socket(fd);

	write_all(fd, "r", 1);
	read_all(fd, &request, sizeof(request));
	if (request.test >= TESTS)
		return;
	test = &tests[request.test];
	switch (test->kind) {
	case STREAM_IN:
		count = stream_receive(fd);
		break;
	case STREAM_OUT:
		stream_send(fd, request.ms);
		return;
	case BURST_IN:
		count = burst_receive(datagrams);
		break;
	case BURST_OUT:
		burst_send(datagrams, request.ms);
		return;
	case ROUND_TRIPS:
		pong(datagrams);
		return;
	case DISK:
		count = disk_run(path, &test->access, request.ms);
		break;
	case FILES_MAKE:
		count = files_make(path, request.ms);
		break;
	case FILES_STAT:
		count = files_stat(path, request.ms);
		break;
	}
	write_all(fd, &count, sizeof(count));
}

static void serve(uint16_t port, const char *path)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	check(listener, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	check(bind(listener, (const struct sockaddr *)&any, sizeof(any)), "bind");
	check(listen(listener, 1), "listen");
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pid_t pid;

		check(fd, "accept");
		pid = fork();
		check(pid, "fork");
		if (!pid) {
			serve_one(fd, path);
			exit(0);
		}
		close(fd);
		/* One at a time. */
		waitpid(pid, NULL, 0);
	}
}

static void ask(const struct sockaddr_in *to, uint32_t index, unsigned ms)
{
	const struct request request = { .test = index, .ms = ms };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), datagrams;
	struct count count = { 0 };
	double start;
	char ready;

	check(fd, "socket");
	check(connect(fd, (const struct sockaddr *)to, sizeof(*to)), "connect");
	datagrams = datagram_socket(fd);
	read_all(fd, &ready, 1); /* the server's datagram socket is ready too */
	start = now();
	write_all(fd, &request, sizeof(request));
	switch (tests[index].kind) {
	case STREAM_IN:
		stream_send(fd, ms);
		break;
	case STREAM_OUT:
		count = stream_receive(fd);
		break;
	case BURST_IN:
		burst_send(datagrams, ms);
		break;
	case BURST_OUT:
		count = burst_receive(datagrams);
		break;
	case ROUND_TRIPS:
		count = ping(datagrams, ms);
		break;
	case DISK:
	case FILES_MAKE:
	case FILES_STAT:
		break;
	}
	if (!count.operations)
		read_all(fd, &count, sizeof(count));
	printf("%llu %llu %.6f\n", (unsigned long long)count.operations,
	       (unsigned long long)count.bytes, now() - start);
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
	uint32_t test = 0;

	if (argc == 3 || argc == 4) {
		if (!strcmp(argv[1], "serve"))
			serve(port, argv[3] ?: "none");
	} else if (argc == 5) {
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

		while (test < TESTS && strcmp(tests[test].name, argv[3]) != 0)
			test++;
		if (test < TESTS && inet_pton(AF_INET, argv[1], &to.sin_addr) == 1) {
			ask(&to, test, (unsigned)(atof(argv[4]) * 1000));
			return 0;
		}
	}
	fprintf(stderr, "usage: rates serve PORT [PATH] | ADDRESS PORT TEST SECONDS\n");
	return 2;
}
