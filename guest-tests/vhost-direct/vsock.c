/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-vsock: the packet that arrives when a process of the host connects. */
#include "driver.h"
#include "pages.h"

#include "devices/vhost_vsock.h"
#include "devices/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>

static const struct virtio_model model = { .name = "direct-vsock", .id = VIRTIO_ID_VSOCK };

/* Sends the request for a connection, which is not answered. Returns the socket. */
static int request_connection(unsigned cid)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = 1000,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	require(fd >= 0, "no AF_VSOCK socket");
	require(connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
		errno == EINPROGRESS, "no request for a connection");
	return fd;
}

int vsock_log(struct host *host, unsigned cid)
{
	struct ring rings[VSOCK_QUEUE_EVENT];
	struct virtio_dev dev;
	struct vhost_kind kind;
	struct buffer buffer = { 0, PAGE, true };
	struct pages pages;
	struct vhost *vhost;
	uint32_t written;
	int fd;

	if (vhost_vsock_open(&vhost, &host->sys, cid))
		return 1;
	require(!virtio_dev_init(&dev, &model, &host->env, 0, 0, 0, VSOCK_QUEUE_EVENT, RING_SIZE),
		"no device");
	require(!vhost_bind(vhost, &dev, VSOCK_QUEUE_RX, VSOCK_QUEUE_EVENT), "no vhost");
	for (unsigned i = 0; i < VSOCK_QUEUE_EVENT; i++)
		ring_init(&rings[i], host, &dev.queues[i]);
	buffer.gpa = host_alloc(host, buffer.len, PAGE);
	driver_start(&dev, host, 0);
	log_anyway(vhost, &kind);
	log_turn(host, true);
	ring_send(&rings[VSOCK_QUEUE_RX], 0, &buffer, 1);
	pages_begin(&pages, host);
	fd = request_connection(cid);
	ring_kick(&rings[VSOCK_QUEUE_RX]);
	ring_wait(&rings[VSOCK_QUEUE_RX], &written);
	require(written > 0, "an empty packet");
	virtio_freeze(&dev);
	pages_end(&pages);
	tally_say("vsock used ring", pages_of(&pages, rings[VSOCK_QUEUE_RX].q->state.used, 1));
	tally_say("vsock packet", pages_of(&pages, buffer.gpa, written));
	tally_say("vsock", pages_all(&pages));
	pages_free(&pages);
	close(fd);
	driver_stop(&dev);
	virtio_dev_destroy(&dev);
	return 0;
}
