/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user's messages (QEMU's docs/interop/vhost-user.rst): a header of 12 bytes, then a body of
 * the size that it says, in the byte order of the machine; file descriptors go with the header.
 *
 * The peer is hostile: what it sends is limited in size, time and descriptors here, and checked
 * against the request by the caller. After an error the position in the stream is lost: the
 * connection is of no further use.
 */
#ifndef KINGLET_BACKEND_VHOST_USER_PROTO_H
#define KINGLET_BACKEND_VHOST_USER_PROTO_H

#include "base/cleanup.h"

#include <linux/vhost.h>
#include <stddef.h>
#include <stdint.h>

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
};

/* What a daemon asks of us, on a socket of its own. */
enum { VHOST_USER_BACKEND_CONFIG_CHANGE = 2 };

/* header.flags */
enum { VHOST_USER_VERSION = 1, VHOST_USER_REPLY = 1 << 2, VHOST_USER_NEED_REPLY = 1 << 3 };

/* A feature bit of the device that stands for: it knows protocol features. No driver sees it. */
enum { VHOST_USER_F_PROTOCOL_FEATURES = 30 };

/* Protocol features, by bit. */
enum {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

enum {
	VHOST_USER_MAX_REGIONS = 8,
	VHOST_USER_MAX_CONFIG = 256,
	/* In the number of a ring: no descriptor comes with it. */
	VHOST_USER_NO_FD = 1 << 8,
};

struct vhost_user_header {
	uint32_t request, flags, size;
};

struct vhost_user_region {
	uint64_t gpa, size, user_address, offset; /* offset: in the file of its descriptor */
};

struct vhost_user_memory {
	uint32_t count, padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
};

struct vhost_user_slot {
	uint64_t padding;
	struct vhost_user_region region;
};

struct vhost_user_log {
	uint64_t size, offset;
};

struct vhost_user_config {
	uint32_t offset, size, flags;
	uint8_t data[VHOST_USER_MAX_CONFIG];
};

struct vhost_user_inflight {
	uint64_t size, offset;
	uint16_t queues, queue_size;
	/* Ends here on the wire. */
};

enum {
	VHOST_USER_HEADER = 12,
	VHOST_USER_INFLIGHT = 20,
	VHOST_USER_CONFIG_HEADER = 12,
};
_Static_assert(sizeof(struct vhost_user_header) == VHOST_USER_HEADER, "as on the wire");
_Static_assert(sizeof(struct vhost_user_region) == 32, "as on the wire");
_Static_assert(sizeof(struct vhost_vring_addr) == 40, "linux/vhost.h has what is on the wire");

struct vhost_user_message {
	uint32_t unused; /* so that nothing is between header and body */
	struct vhost_user_header header;
	union {
		uint64_t number;
		struct vhost_vring_state state;
		struct vhost_vring_addr address;
		struct vhost_user_memory memory;
		struct vhost_user_slot slot;
		struct vhost_user_log log;
		struct vhost_user_config config;
		struct vhost_user_inflight inflight;
	} body;
};
_Static_assert(offsetof(struct vhost_user_message, body) ==
		       offsetof(struct vhost_user_message, header) + VHOST_USER_HEADER,
	       "as on the wire");

/* A request's name, for a message; "?" for one that is not listed above. */
const char *vhost_user_name(uint32_t request);

/*
 * Sends a message with `count` descriptors, all of it before `deadline` (CLOCK_MONOTONIC, ns).
 * -ETIMEDOUT; errno of sendmsg(2), such as -EPIPE.
 */
__must_check int vhost_user_send(int sock, const struct vhost_user_message *message,
				 const int *fds, unsigned count, uint64_t deadline);

/*
 * Receives one whole message. Of its descriptors the first is the caller's in *fd, else -1; more
 * are closed, and with `fd` NULL all of them. -ETIMEDOUT; -ECONNRESET: it has hung up; -EMSGSIZE: it
 * is longer than any message; errno of recvmsg(2).
 */
__must_check int vhost_user_receive(int sock, struct vhost_user_message *message, int *fd,
				    uint64_t deadline);

#endif
