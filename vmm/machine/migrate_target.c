/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a migration. It waits for its source with nothing else to do, so the order of the
 * protocol is the order of the code.
 */
#include "migrate.h"

#include "base/files.h"
#include "base/log.h"
#include "core/state.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Without a byte; the source has a machine to build, or to save. */
enum { PATIENCE_MS = 60000 };

/* A source of this version sends RAM 33 times at most. */
enum { RAM_MAX = 64 };

void migrate_target_refuse(int fd, const char *why)
{
	struct {
		struct frame_header header;
		char text[ERROR_TEXT_MAX];
	} frame;
	size_t len = strnlen(why, sizeof(frame.text));

	frame.header.type = le32_of(FRAME_ERROR);
	frame.header.len = le32_of((uint32_t)len);
	memcpy(frame.text, why, len);
	/* It may have gone, or not read: no matter. */
	if (send(fd, &frame, sizeof(frame.header) + len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

/* Says so on both sides. */
static int refuse(const struct migrate_target *target, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(const struct migrate_target *target, int error, const char *fmt, ...)
{
	char why[ERROR_TEXT_MAX + 1];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	log_error("incoming machine: %s", why);
	migrate_target_refuse(target->fd, why);
	return error;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static int wait_readable(const struct migrate_target *target)
{
	struct pollfd fds[] = {
		{ .fd = target->fd, .events = POLLIN },
		{ .fd = target->wake_fd, .events = POLLIN },
	};
	int n;

	do
		n = poll(fds, ARRAY_SIZE(fds), PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return n ? 0 : -ETIMEDOUT;
}

/* Up to `len`, and some of what comes after them: how many of them, or negative errno. */
static ssize_t read_some(struct migrate_target *target, void *to, size_t len)
{
	struct iovec iov[] = { { to, len }, { target->ahead.bytes, target->ahead.max } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
	ssize_t n = recvmsg(target->fd, &message, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	target->ahead.at = 0;
	target->ahead.end = (size_t)n > len ? (size_t)n - len : 0;
	return n - (ssize_t)target->ahead.end;
}

static size_t take_ahead(struct migrate_target *target, void *to, size_t len)
{
	size_t n = target->ahead.end - target->ahead.at;

	if (n > len)
		n = len;
	memcpy(to, target->ahead.bytes + target->ahead.at, n);
	target->ahead.at += n;
	return n;
}

static int read_bytes(struct migrate_target *target, void *buf, size_t len)
{
	size_t done = take_ahead(target, buf, len);

	while (done < len) {
		ssize_t n = read_some(target, (char *)buf + done, len - done);

		if (n == -EAGAIN)
			n = wait_readable(target);
		else if (!n)
			return -ECONNRESET;
		if (n < 0 && n != -EINTR)
			return (int)n;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static int read_header(struct migrate_target *target, uint32_t *type, uint32_t *len)
{
	struct frame_header header;
	int ret = read_bytes(target, &header, sizeof(header));

	*type = le32_get(header.type);
	*len = le32_get(header.len);
	return ret;
}

/* The connection, or the run, has ended. */
static int lost(const struct migrate_target *target, int error)
{
	if (error == -ECANCELED)
		return refuse(target, error, "given up");
	return refuse(target, error, "its source: %s", strerror(-error));
}

static int send_frame(const struct migrate_target *target, enum migrate_frame type)
{
	const struct frame_header header = { .type = le32_of(type) };
	/* What a source has to read is less than any socket has room for. */
	ssize_t n = send(target->fd, &header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(header) ? 0 : n < 0 ? -errno : -EIO;
}

/* The rest of a frame as a file: its fd. */
static int read_file(struct migrate_target *target, size_t len)
{
	_cleanup_close_ int fd = memfd_create("migration", MFD_CLOEXEC);
	char piece[16 << 10];
	int ret = fd < 0 ? -errno : 0;

	while (len && !ret) {
		size_t n = len < sizeof(piece) ? len : sizeof(piece);

		ret = read_bytes(target, piece, n);
		if (!ret)
			ret = write_all(fd, piece, n);
		len -= n;
	}
	return ret ? ret : steal_fd(&fd);
}

/* --- The protocol ----------------------------------------------------------------------------- */

int migrate_target_hello(struct migrate_target *target)
{
	struct le32 version;
	uint32_t type, len;
	int ret = read_header(target, &type, &len);

	if (ret)
		return lost(target, ret);
	if (type != FRAME_HELLO || len < sizeof(version) || len > HELLO_MAX)
		return refuse(target, -EBADMSG, "what comes is no migration");
	ret = read_bytes(target, &version, sizeof(version));
	if (ret)
		return lost(target, ret);
	if (le32_get(version) != MIGRATE_VERSION)
		return refuse(target, -EBADMSG,
			      "its source speaks version %u of the protocol, this Kinglet %u",
			      le32_get(version), MIGRATE_VERSION);
	ret = read_file(target, len - sizeof(version));
	return ret < 0 ? lost(target, ret) : ret;
}

static int fill_pages(struct migrate_target *target, uint32_t len, uint64_t *left)
{
	struct pages_header header;
	uint8_t *to = NULL;
	int ret = len < sizeof(header) ? -EBADMSG : read_bytes(target, &header, sizeof(header));

	len -= (uint32_t)sizeof(header);
	if (!ret)
		ret = pages_place(target->mem, &header, len, &to);
	if (ret == -EBADMSG)
		return refuse(target, ret, "pages that are not of this machine's RAM");
	if (ret < 0 || !to)
		return lost(target, ret);
	if ((uint64_t)ret > *left)
		return refuse(target, -EBADMSG, "more than %d times its RAM", RAM_MAX);
	*left -= (uint64_t)ret;
	ret = read_bytes(target, to, len);
	return ret ? lost(target, ret) : 0;
}

/* Until FRAME_STATE, whose length it returns. */
static int fill_ram(struct migrate_target *target, uint32_t *len)
{
	uint64_t left = target->mem->size / MIGRATE_PAGE * RAM_MAX;
	uint32_t type;
	int ret;

	for (;;) {
		ret = read_header(target, &type, len);
		if (ret)
			return lost(target, ret);
		if (type == FRAME_STATE && *len <= STATE_MAX_SIZE)
			return 0;
		if (type != FRAME_PAGES)
			return refuse(target, -EBADMSG, "a frame (type %u, %u bytes) in place of pages",
				      type, *len);
		ret = fill_pages(target, *len, &left);
		if (ret)
			return ret;
	}
}

static int load_state(struct migrate_target *target, uint32_t len)
{
	_cleanup_close_ int fd = read_file(target, len);

	if (fd < 0)
		return lost(target, fd);
	/* It says why, and the caller tells the source. */
	return target->load(target->owner, fd);
}

/* From the last byte of FRAME_COMMIT on, the machine is here, also if no one hears of it. */
static int take_over(struct migrate_target *target)
{
	uint32_t type, len;
	int ret = send_frame(target, FRAME_READY);

	if (!ret)
		ret = read_header(target, &type, &len);
	if (ret)
		return lost(target, ret);
	if (type != FRAME_COMMIT || len)
		return refuse(target, -EBADMSG, "a frame (type %u) in place of its start", type);
	if (send_frame(target, FRAME_DONE))
		log_warning("incoming machine: it runs here, and its source could not be told");
	return 0;
}

int migrate_target_fill(struct migrate_target *target)
{
	uint32_t len;
	int ret = send_frame(target, FRAME_BUILT);

	if (ret)
		return lost(target, ret);
	target->ahead.max = sizeof(target->ahead.bytes);
	ret = fill_ram(target, &len);
	if (!ret)
		ret = load_state(target, len);
	return ret ? ret : take_over(target);
}
