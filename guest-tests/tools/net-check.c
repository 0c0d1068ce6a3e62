/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic between guest and host, or two guests, that detects lost, corrupted or duplicated data.
 *
 *	net-check serve PORT                    both below, until killed; says "serving" first
 *	net-check tcp ADDRESS PORT MIB [out|in] that much each way, or one way only
 *	net-check udp ADDRESS PORT COUNT SIZE   COUNT datagrams there and back
 *
 * A stream is the output of a generator, compared word by word. Each datagram has a number and is
 * returned once and unchanged; so few are in flight that none has to be lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 17, WINDOW_BYTES = 1 << 17, TIMEOUT_MS = 60000, MAX_DATAGRAM = 65507 };

/* What a TCP client requests. */
struct request {
	uint64_t bytes;
	uint64_t send; /* by the server; else it receives, and answers with one byte */
};

static void die(const char *what)
{
	fprintf(stderr, "net-check: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wrong(const char *what, uint64_t where)
{
	fprintf(stderr, "net-check: %s at %llu\n", what, (unsigned long long)where);
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* One of IPv4 as IPv6 has it (RFC 4291, 2.5.5.2). */
static struct sockaddr_in6 address(const char *host, const char *port)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
				     .sin6_port = htons((uint16_t)number(port)) };
	char text[INET6_ADDRSTRLEN];

	snprintf(text, sizeof(text), "%s%s", strchr(host, ':') ? "" : "::ffff:", host);
	if (inet_pton(AF_INET6, text, &addr.sin6_addr) != 1) {
		errno = EINVAL;
		die(host);
	}
	return addr;
}

static int open_socket(int type)
{
	int fd = socket(AF_INET6, type, 0), size = 1 << 20;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		p += n;
		len -= (size_t)n;
	}
}

static void read_all(int fd, void *data, size_t len)
{
	if (recv(fd, data, len, MSG_WAITALL) != (ssize_t)len)
		die("receive");
}

static void stream_out(int fd, uint64_t bytes)
{
	static uint64_t chunk[CHUNK / 8];
	uint64_t state = 1;

	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		for (unsigned i = 0; i < CHUNK / 8; i++)
			chunk[i] = next(&state);
		write_all(fd, chunk, CHUNK);
	}
}

static void stream_in(int fd, uint64_t bytes)
{
	static uint64_t chunk[CHUNK / 8];
	uint64_t state = 1;

	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		read_all(fd, chunk, CHUNK);
		for (unsigned i = 0; i < CHUNK / 8; i++)
			if (chunk[i] != next(&state))
				wrong("stream differs", at + i * 8);
	}
}

static void serve_stream(int fd)
{
	struct request request;

	read_all(fd, &request, sizeof(request));
	if (request.send) {
		stream_out(fd, request.bytes);
	} else {
		stream_in(fd, request.bytes);
		write_all(fd, "k", 1);
	}
}

static void tcp(const struct sockaddr_in6 *to, uint64_t bytes, bool send_them)
{
	const struct request request = { .bytes = bytes, .send = !send_them };
	double start = now();
	int fd = open_socket(SOCK_STREAM);
	char ok;

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	write_all(fd, &request, sizeof(request));
	if (send_them) {
		stream_out(fd, bytes);
		read_all(fd, &ok, 1);
	} else {
		stream_in(fd, bytes);
	}
	close(fd);
	printf("net-check: tcp %s: %llu MiB, %.0f MiB/s\n", send_them ? "out" : "in",
	       (unsigned long long)bytes >> 20, (double)(bytes >> 20) / (now() - start));
}

/* --- UDP -------------------------------------------------------------------------------------- */

static void fill(uint64_t *datagram, size_t size, uint64_t sequence)
{
	uint64_t state = sequence + 1;

	datagram[0] = sequence;
	for (size_t i = 1; i < size / 8; i++)
		datagram[i] = next(&state);
}

static uint64_t check(const uint64_t *datagram, size_t size, ssize_t len)
{
	static uint64_t expected[MAX_DATAGRAM / 8 + 1];

	if (len != (ssize_t)size)
		wrong("datagram of another length", (uint64_t)len);
	fill(expected, size, datagram[0]);
	if (memcmp(datagram, expected, size))
		wrong("datagram differs", datagram[0]);
	return datagram[0];
}

static void udp(const struct sockaddr_in6 *to, uint64_t count, size_t size)
{
	static uint64_t datagram[MAX_DATAGRAM / 8 + 1];
	struct pollfd pfd = { .fd = open_socket(SOCK_DGRAM), .events = POLLIN };
	uint8_t *seen = calloc(count, 1);
	/* A socket's buffer also counts the kernel's overhead per datagram. */
	uint64_t window = WINDOW_BYTES / (size + 1024) + 1;
	uint64_t sent = 0, received = 0, reordered = 0, expected = 0;
	double start = now();

	if (!seen || connect(pfd.fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	while (received < count) {
		uint64_t sequence;

		for (; sent < count && sent - received < window; sent++) {
			fill(datagram, size, sent);
			if (send(pfd.fd, datagram, size, 0) != (ssize_t)size)
				die("send");
		}
		if (poll(&pfd, 1, TIMEOUT_MS) != 1)
			wrong("datagram lost, with as many returned", received);
		sequence = check(datagram, size, recv(pfd.fd, datagram, size, MSG_TRUNC));
		if (sequence >= sent || seen[sequence]++)
			wrong("datagram doubled", sequence);
		reordered += sequence != expected;
		expected = sequence + 1;
		received++;
	}
	printf("net-check: udp: %llu datagrams of %zu, %llu out of order, %.0f/s\n",
	       (unsigned long long)count, size, (unsigned long long)reordered,
	       (double)count / (now() - start));
}

static void serve_datagrams(int fd)
{
	static char datagram[MAX_DATAGRAM];

	for (;;) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from,
				     &len);

		if (n >= 0)
			sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

/* ---------------------------------------------------------------------------------------------- */

static int bound(int type, const struct sockaddr_in6 *addr)
{
	int fd = open_socket(type), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		die("bind");
	return fd;
}

static void serve(const char *port)
{
	const struct sockaddr_in6 any = address("::", port);
	int stream = bound(SOCK_STREAM, &any), datagrams = bound(SOCK_DGRAM, &any);

	if (listen(stream, 8))
		die("listen");
	if (!fork())
		serve_datagrams(datagrams);
	printf("net-check: serving\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(stream, NULL, NULL);

		if (fd >= 0 && !fork()) {
			serve_stream(fd);
			_exit(0);
		}
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		serve(argv[2]);
	} else if ((argc == 5 || argc == 6) && !strcmp(argv[1], "tcp")) {
		const struct sockaddr_in6 to = address(argv[2], argv[3]);

		if (argc == 5 || !strcmp(argv[5], "out"))
			tcp(&to, number(argv[4]) << 20, true);
		if (argc == 5 || !strcmp(argv[5], "in"))
			tcp(&to, number(argv[4]) << 20, false);
	} else if (argc == 6 && !strcmp(argv[1], "udp") && number(argv[5]) >= 8 &&
		   number(argv[5]) <= MAX_DATAGRAM && number(argv[4])) {
		const struct sockaddr_in6 to = address(argv[2], argv[3]);

		udp(&to, number(argv[4]), number(argv[5]) & ~7UL);
	} else {
		fprintf(stderr, "usage: net-check serve PORT | tcp ADDRESS PORT MIB [out|in] |"
				" udp ADDRESS PORT COUNT SIZE\n");
		return 2;
	}
	return 0;
}
