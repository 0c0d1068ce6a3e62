/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user daemon: a thread that answers messages on a socket, by what QEMU's interop document
 * says of them, and hands them to a fake_vhost, whose rings the test's loop serves. So nothing
 * happens to a ring between two calls of a test. It has its own protocol code.
 *
 * It can also be told to misbehave at a message. What follows `runs` belongs to its thread while it
 * runs: read them when a message has been answered.
 */
#ifndef KINGLET_TESTS_FAKE_DAEMON_H
#define KINGLET_TESTS_FAKE_DAEMON_H

#include "fake_vhost.h"

#include <pthread.h>
#include <sys/un.h>

enum fake_mischief {
	FAKE_HONEST,
	FAKE_SILENT,	   /* takes the message and says nothing */
	FAKE_HANGS_UP,	   /* closes the connection instead of an answer */
	FAKE_REFUSES,	   /* confirms with an error */
	FAKE_OTHER_ANSWER, /* of another request */
	FAKE_NO_REPLY_FLAG,
	FAKE_SHORT,	   /* a body that is too short */
	FAKE_LONG,	   /* a size of nearly 4 GiB */
	FAKE_HALF,	   /* half a header, then nothing */
	FAKE_DESCRIPTORS,  /* eight descriptors with it */
	FAKE_FLOOD,	   /* as much as the socket takes */
	FAKE_MISCHIEFS,
};

enum { FAKE_DAEMON_LOG = 512 };

struct fake_daemon {
	/* Set by the test while it does not run. */
	uint64_t features, protocol;
	unsigned queues, slots;
	uint64_t disagrees; /* bits of the status that it does not take over */
	uint8_t config[256];
	unsigned config_len; /* of more it gives nothing */
	enum fake_mischief mischief;
	uint32_t at; /* the request of the mischief; 0: any */
	struct loop *loop;
	/* Changes an answer of `len` bytes, header included; how many of them are sent. NULL: none. */
	size_t (*change)(struct fake_daemon *daemon, uint8_t *answer, size_t len);
	void *change_data;

	char folder[32];
	struct sockaddr_un address;
	int listener, sock, stop_fd;
	pthread_t thread;
	bool runs;

	struct fake_vhost vhost;
	uint32_t log[FAKE_DAEMON_LOG]; /* requests in their order */
	unsigned logged, connections;
	unsigned errors; /* what no frontend may do */
	uint64_t accepted; /* SET_FEATURES */
	int region_fds[GMEM_MAX_SLOTS];
	uint64_t region_offsets[GMEM_MAX_SLOTS];
	unsigned regions;
	int requests; /* the socket for our own; -1: none */
	int inflight; /* last set; -1: none */
	unsigned made_inflights;
	uint64_t status;
	uint64_t enabled; /* by ring */
	void *log_map;
	size_t log_len;
};

/* An honest one with two queues and no protocol feature but those of the arguments. */
void fake_daemon_init(struct fake_daemon *daemon, struct loop *loop, uint64_t features,
		      uint64_t protocol);
/* Listens and runs, as a new process would: nothing is left of the last one. */
void fake_daemon_start(struct fake_daemon *daemon);
/* Dies: every descriptor is closed. Idempotent. */
void fake_daemon_kill(struct fake_daemon *daemon);
void fake_daemon_destroy(struct fake_daemon *daemon);

unsigned fake_daemon_count(const struct fake_daemon *daemon, uint32_t request);
void fake_daemon_forget(struct fake_daemon *daemon);

/* A request of its own on the socket that it was given: it has `size` bytes after the header. */
void fake_daemon_ask(struct fake_daemon *daemon, uint32_t request, uint32_t flags, uint32_t size);

#endif
