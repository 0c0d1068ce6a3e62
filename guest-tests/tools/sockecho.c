/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockecho KIND serve PORT              return what arrives, to any number of peers
 * sockecho KIND connect ADDRESS PORT    send standard input, write the answer to standard output
 *
 * KIND: tcp (ADDRESS 10.9.0.1), vsock or vsock-packet (ADDRESS 2). For both ends of scenarios: on
 * the host and, linked statically, in the guest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 16384 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_vm vm;
};

static void check(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "sockecho: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Until the end of `from`. Packet boundaries are kept. */
static void copy(int from, int to)
{
	char block[BLOCK];
	ssize_t len;

	while ((len = read(from, block, sizeof(block))) > 0)
		for (ssize_t done = 0, n; done < len; done += n) {
			n = write(to, block + done, (size_t)(len - done));
			check(n, "write");
		}
	check(len, "read");
}

static _Noreturn void serve(int type, const union address *address)
{
	int listener = socket(address->any.sa_family, type, 0);

	check(listener, "socket");
	check(bind(listener, &address->any, sizeof(*address)), "bind");
	check(listen(listener, 8), "listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pid_t child;

		check(fd, "accept");
		child = fork();
		check(child, "fork");
		if (!child) {
			copy(fd, fd);
			exit(0);
		}
		close(fd);
	}
}

static void connect_and_copy(int type, const union address *address)
{
	int fd = socket(address->any.sa_family, type, 0);
	pid_t sender;

	check(fd, "socket");
	check(connect(fd, &address->any, sizeof(*address)), "connect");
	sender = fork();
	check(sender, "fork");
	if (sender) {
		copy(fd, STDOUT_FILENO);
	} else {
		copy(STDIN_FILENO, fd);
		check(shutdown(fd, SHUT_WR), "shutdown");
	}
}

/* `host` NULL: any. */
static union address make_address(const char *kind, const char *host, int port)
{
	union address address;

	memset(&address, 0, sizeof(address));
	if (!strcmp(kind, "tcp")) {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons((uint16_t)port);
		address.in.sin_addr.s_addr = host ? inet_addr(host) : INADDR_ANY;
	} else {
		address.vm.svm_family = AF_VSOCK;
		address.vm.svm_port = (unsigned)port;
		address.vm.svm_cid = host ? (unsigned)atoi(host) : VMADDR_CID_ANY;
	}
	return address;
}

int main(int argc, char **argv)
{
	union address address;
	int type;

	if (argc < 4 || argc > 5 || strcmp(argv[2], argc == 4 ? "serve" : "connect")) {
		fputs("usage: sockecho tcp|vsock|vsock-packet serve PORT | connect ADDRESS PORT\n",
		      stderr);
		return 2;
	}
	type = strcmp(argv[1], "vsock-packet") ? SOCK_STREAM : SOCK_SEQPACKET;
	address = make_address(argv[1], argc == 5 ? argv[3] : NULL, atoi(argv[argc - 1]));
	if (argc == 4)
		serve(type, &address);
	connect_and_copy(type, &address);
	return 0;
}
