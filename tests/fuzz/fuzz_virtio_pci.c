/* SPDX-License-Identifier: Apache-2.0 */
/* Real devices on the PCI transport, with local queues. */
#include "guest.h"

#include "backend/local.h"
#include "base/checked.h"
#include "base/le.h"
#include "devices/balloon.h"
#include "devices/blk.h"
#include "devices/console.h"
#include "devices/net.h"
#include "devices/rng.h"

#include <linux/if_tun.h>
#include <linux/if_ether.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { RNG, BLK, CONSOLE, NET, BALLOON, USER, DEVICES };
enum { BLK_QUEUES = 2, SECTORS = 64 };

struct scene {
	struct fuzz_guest g;
	int image;   /* memfd */
	int wire;    /* the other end of the tap, */
	int stream;  /* and of a stream of frames */
	size_t room; /* bytes that the terminal accepts */
};

/* --- The machine ------------------------------------------------------------------------------ */

static size_t take_output(void *owner, unsigned port, const uint8_t *data, size_t len)
{
	struct scene *s = owner;
	size_t taken = len < s->room ? len : s->room;

	(void)port;
	(void)data;
	s->room -= taken;
	return taken;
}

static void ignore_request(void *owner, unsigned port)
{
	(void)owner;
	(void)port;
}

static void ignore_status(void *owner, uint8_t status)
{
	(void)owner;
	(void)status;
}

static void ignore_drained(void *owner)
{
	(void)owner;
}

static const struct virtio_console_ops console_ops = {
	.output = take_output,
	.input_wanted = ignore_request,
	.status = ignore_status,
	.drained = ignore_drained,
};

static struct virtio_dev *new_blk(struct scene *s, const struct virtio_env *env)
{
	struct disk_config config = { .serial = "fuzzed", .queues = BLK_QUEUES };
	struct virtio_dev *dev;
	char path[32];

	s->image = memfd_create("fuzzed", MFD_CLOEXEC);
	FUZZ_CHECK(s->image >= 0 && !ftruncate(s->image, SECTORS * IMAGE_SECTOR));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->image);
	config.image.path = path;
	FUZZ_CHECK(!virtio_blk_new(&dev, env, 0, &config));
	return dev;
}

static struct virtio_dev *new_net(struct scene *s, const struct virtio_env *env, bool stream)
{
	struct tap tap = { .sys = &s->g.rig.fake.sys, .name = "tap0", .mtu = 1500,
			   .offloads = stream ? 0 : TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 };
	const struct virtio_net_options options = {
		.taps = &tap, .pairs = 1, .features = ~0ULL, .stream = stream
	};
	int type = (stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct virtio_dev *dev;
	int fds[2];

	FUZZ_CHECK(!socketpair(AF_UNIX, type, 0, fds));
	tap.fd = fds[0];
	*(stream ? &s->stream : &s->wire) = fds[1];
	FUZZ_CHECK(!virtio_net_new(&dev, env, stream, &options));
	return dev;
}

static void add(struct scene *s, struct virtio_dev *dev)
{
	FUZZ_CHECK(!local_backend_bind(dev, 0, dev->queue_count));
	fuzz_guest_add(&s->g, dev);
}

/* In the order of the enum. */
static void build(struct scene *s)
{
	static const char *const streams[] = { "fuzzed" };
	const struct virtio_console_options console = {
		.ops = &console_ops,
		.owner = s,
		.streams = streams,
		.stream_count = ARRAY_SIZE(streams),
	};
	const struct balloon_config balloon = { .size = 4096, .free_page_reporting = true };
	struct virtio_dev *dev;

	fuzz_guest_init(&s->g);
	FUZZ_CHECK(!virtio_rng_new(&dev, &s->g.env, 0));
	add(s, dev);
	add(s, new_blk(s, &s->g.env));
	FUZZ_CHECK(!virtio_console_new(&dev, &s->g.env, 0, &console));
	add(s, dev);
	add(s, new_net(s, &s->g.env, false));
	FUZZ_CHECK(!virtio_balloon_new(&dev, &s->g.env, 0, &balloon));
	add(s, dev);
	add(s, new_net(s, &s->g.env, true));
}

static void destroy(struct scene *s)
{
	fuzz_guest_destroy(&s->g);
	close(s->image);
	close(s->wire);
	close(s->stream);
}

/* --- The guest -------------------------------------------------------------------------------- */

/* A request that may be valid: header, data, status. */
static void add_blk_request(struct scene *s, struct fuzz_input *in)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES };
	uint32_t type = fuzz_pick(in, 8) ? types[fuzz_pick(in, ARRAY_SIZE(types))] :
					   (uint32_t)fuzz_take(in, 4);
	const struct {
		struct le32 type, reserved;
		struct le64 sector;
	} header = { le32_of(type), le32_of(0),
		     le64_of(fuzz_take(in, fuzz_pick(in, 8) ? 1 : 8)) };
	unsigned queue = fuzz_pick(in, BLK_QUEUES), head = fuzz_pick(in, 16);
	uint64_t at = fuzz_pick_buffer(in), data = fuzz_pick_buffer(in);
	bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint32_t len = fuzz_pick(in, 4) ? IMAGE_SECTOR * fuzz_pick(in, 9) :
					  (uint32_t)fuzz_take(in, 2);
	uint16_t flags = VRING_DESC_F_NEXT | (reads ? VRING_DESC_F_WRITE : 0);
	uint16_t last = (uint16_t)(head + (len ? 2 : 1));

	fuzz_put(&s->g, at, &header, sizeof(header));
	fuzz_write_desc(&s->g, BLK, queue, head, at, 16, VRING_DESC_F_NEXT, (uint16_t)(head + 1));
	if (len)
		fuzz_write_desc(&s->g, BLK, queue, head + 1, data, len, flags, last);
	fuzz_write_desc(&s->g, BLK, queue, last, fuzz_pick_buffer(in), 1, VRING_DESC_F_WRITE, 0);
	fuzz_make_available(&s->g, BLK, queue, (uint16_t)head);
}

/* A command that may be valid: header, data, answer. */
static void add_net_command(struct scene *s, struct fuzz_input *in)
{
	unsigned head = fuzz_pick(in, 16), queue = NET_QUEUE_CONTROL(1);
	uint64_t at = fuzz_pick_buffer(in);
	uint8_t command[2 + 600];
	uint32_t len = 2 + (uint32_t)fuzz_take(in, 2) % 600;

	command[0] = (uint8_t)fuzz_pick(in, 6);
	command[1] = (uint8_t)fuzz_pick(in, 7);
	memset(command + 2, (int)fuzz_take(in, 1), sizeof(command) - 2);
	if (command[0] == VIRTIO_NET_CTRL_MAC && fuzz_pick(in, 4)) {
		/* Tables that fit, or just not. */
		unsigned unicast = fuzz_pick(in, 70), multicast = fuzz_pick(in, 24);

		put_le32(command + 2, unicast);
		put_le32(command + 6 + unicast * ETH_ALEN, multicast);
		len = 10 + (unicast + multicast) * ETH_ALEN - (fuzz_pick(in, 4) ? 0 : 1);
	} else if (fuzz_pick(in, 4)) {
		put_le64(command + 2, fuzz_take(in, 2));
	}
	fuzz_put(&s->g, at, command, len);
	fuzz_write_desc(&s->g, NET, queue, head, at, len, VRING_DESC_F_NEXT, (uint16_t)(head + 1));
	fuzz_write_desc(&s->g, NET, queue, head + 1, fuzz_pick_buffer(in), 1, VRING_DESC_F_WRITE,
			0);
	fuzz_make_available(&s->g, NET, queue, (uint16_t)head);
}

/* --- The host --------------------------------------------------------------------------------- */

static void use_wire(struct scene *s, struct fuzz_input *in)
{
	uint8_t frame[2048];
	size_t len = fuzz_take(in, 2) % sizeof(frame);
	bool takes = fuzz_pick(in, 2);

	memset(frame, (int)fuzz_take(in, 1), sizeof(frame));
	/* A full or empty socket does not matter. */
	while (takes && recv(s->wire, frame, sizeof(frame), 0) > 0)
		;
	if (!takes && send(s->wire, frame, len, 0) < 0)
		return;
}

/* What a program sends may be frames, parts of them, or anything; or it sends no more. */
static void use_stream(struct scene *s, struct fuzz_input *in)
{
	uint8_t data[4 + 2048] = { 0, 0 };
	size_t len = fuzz_take(in, 2) % sizeof(data);
	unsigned way = fuzz_pick(in, 32);

	memset(data + 2, (int)fuzz_take(in, 1), sizeof(data) - 2);
	if (way > 2)
		put_le16(data + 2, (uint16_t)(len - 4) << 8 | (uint16_t)(len - 4) >> 8);
	if (way == 0)
		shutdown(s->stream, fuzz_pick(in, 2) ? SHUT_WR : SHUT_RDWR);
	while (way > 15 && recv(s->stream, data, sizeof(data), 0) > 0)
		;
	if (way <= 15 && send(s->stream, data, len, MSG_NOSIGNAL) < 0)
		return;
}

static void use_terminal(struct scene *s, struct fuzz_input *in)
{
	static const uint8_t text[] = "poweroff\n";

	unsigned port = fuzz_pick(in, 2) ? VIRTIO_CONSOLE_FIRST_STREAM : VIRTIO_CONSOLE_PORT;

	switch (fuzz_pick(in, 4)) {
	case 0:
		virtio_console_input(s->g.devs[CONSOLE], port, text, sizeof(text));
		break;
	case 1:
		virtio_console_resize(s->g.devs[CONSOLE], (uint16_t)fuzz_take(in, 1), 25);
		break;
	case 2:
		virtio_console_hang_up(s->g.devs[CONSOLE], VIRTIO_CONSOLE_FIRST_STREAM);
		break;
	default:
		s->room = fuzz_take(in, 2);
		virtio_console_output_ready(s->g.devs[CONSOLE], port);
		break;
	}
}

/* --- The script ------------------------------------------------------------------------------- */

static void step(struct scene *s, struct fuzz_input *in)
{
	unsigned which = fuzz_pick(in, DEVICES);
	unsigned queue = fuzz_pick(in, s->g.devs[which]->queue_count);

	switch (fuzz_pick(in, 24)) {
	case 0:
		use_wire(s, in);
		break;
	case 1:
		use_terminal(s, in);
		break;
	case 2:
	case 3:
	case 4:
		add_blk_request(s, in);
		break;
	case 5:
	case 6:
		add_net_command(s, in);
		break;
	case 7:
		use_stream(s, in);
		break;
	case 8:
		virtio_net_set_link(s->g.devs[NET],
				    fuzz_pick(in, 16) ? fuzz_pick(in, 2) : LINK_GONE);
		break;
	default:
		fuzz_guest_step(&s->g, in, which, queue);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct scene s;
	unsigned fds = fake_open_fds();

	s.room = 0;
	build(&s);
	while (in.left) {
		step(&s, &in);
		fuzz_guest_check(&s.g);
	}
	destroy(&s);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
