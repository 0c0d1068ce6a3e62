/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate_frame.h"

#include "base/files.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct frame_header) == 8, "wire format");

uint8_t *frame_reserve(struct frame *frame, size_t payload)
{
	size_t size = sizeof(struct frame_header) + payload;
	uint8_t *data;

	if (size > frame->size) {
		data = realloc(frame->data, size);
		if (!data)
			return NULL;
		frame->data = data;
		frame->size = size;
	}
	return frame->data + sizeof(struct frame_header);
}

void frame_finish(struct frame *frame, enum migrate_frame type, size_t payload)
{
	frame_finish_with(frame, type, payload, NULL, 0);
}

void frame_finish_with(struct frame *frame, enum migrate_frame type, size_t payload,
		       const uint8_t *tail, size_t tail_len)
{
	const struct frame_header header = {
		.type = le32_of(type),
		.len = le32_of((uint32_t)(payload + tail_len)),
	};

	memcpy(frame->data, &header, sizeof(header));
	frame->len = sizeof(header) + payload + tail_len;
	frame->at = 0;
	frame->tail = tail;
	frame->tail_len = tail_len;
}

ssize_t frame_send(struct frame *frame, int fd)
{
	size_t own = frame->len - frame->tail_len, left = frame->at < own ? own - frame->at : 0;
	size_t skip = frame->at > own ? frame->at - own : 0;
	/* sendmsg(2) does not write. */
	struct iovec iov[] = {
		{ frame->data + frame->at, left },
		{ (void *)((uintptr_t)frame->tail + skip), frame->tail_len - skip },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = frame->tail ? 2 : 1 };
	ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

	if (n > 0)
		frame->at += (size_t)n;
	return n;
}

int frame_file(int (*write)(void *owner, int fd), void *owner)
{
	int fd = memfd_create("migration", MFD_CLOEXEC);
	int ret = fd < 0 ? -errno : write(owner, fd);

	if (ret)
		close_fd(&fd);
	return ret ? ret : fd;
}

int frame_of_file(struct frame *frame, enum migrate_frame type, size_t before, int fd, size_t max,
		  uint8_t **payload)
{
	struct stat st;
	size_t len;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	len = (size_t)st.st_size;
	if (len > max)
		return -E2BIG;
	*payload = frame_reserve(frame, before + len);
	if (!*payload)
		return -ENOMEM;
	ret = pread_exactly(fd, *payload + before, len, 0);
	if (!ret)
		frame_finish(frame, type, before + len);
	return ret;
}

void frame_destroy(struct frame *frame)
{
	free(frame->data);
	*frame = (struct frame){ 0 };
}
