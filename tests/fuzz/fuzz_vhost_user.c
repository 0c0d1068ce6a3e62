/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of a vhost-user daemon whose answers are changed on their way, while a guest does with it
 * what it likes and the daemon dies and comes back: no crash, nothing outside, nothing left open, and
 * no wait that is longer than the deadline.
 *
 * The first byte says how much of the input is the daemon's: its thread reads that part alone.
 */
#include "fake_daemon.h"
#include "guest.h"

#include "backend/vhost_user_device.h"

#include <linux/virtio_blk.h>

enum { PATIENCE_NS = 5000000, CONFIG_LEN = 60 };

struct scene {
	struct fuzz_guest g;
	struct fake_daemon daemon;
	struct fuzz_input theirs;
};

/* Most answers stay as they are, or nothing would ever start. */
static size_t change(struct fake_daemon *daemon, uint8_t *answer, size_t len)
{
	struct scene *s = daemon->change_data;
	unsigned what = fuzz_pick(&s->theirs, 32);

	if (what == 1)
		return fuzz_pick(&s->theirs, 255) % (len + 1);
	if (what == 2)
		return len + fuzz_pick(&s->theirs, 64);
	if (what < 16)
		return len;
	answer[fuzz_pick(&s->theirs, 255) % len] = (uint8_t)fuzz_take(&s->theirs, 1);
	return len;
}

static bool add_device(struct scene *s)
{
	const struct vhost_user_device_options options = {
		.model = "virtio-blk", .id = VIRTIO_ID_BLOCK, .path = s->daemon.address.sun_path,
		.queue_size = 16, .config_len = CONFIG_LEN, .patience_ns = PATIENCE_NS,
		.queues_at = offsetof(struct virtio_blk_config, num_queues),
		.queues_feature = VIRTIO_BLK_F_MQ,
	};
	struct virtio_dev *dev;

	if (vhost_user_device_new(&dev, &s->g.env, 0, &options))
		return false;
	fuzz_guest_add(&s->g, dev);
	return true;
}

static void log_writes(struct scene *s, bool on)
{
	struct gmem_listener *listener = s->g.mem.listeners;

	if (listener && listener->log && !listener->log(listener, on) && on)
		(void)!listener->log(listener, false);
}

static void step(struct scene *s, struct fuzz_input *in)
{
	struct virtio_dev *dev = s->g.devs[0];

	switch (fuzz_pick(in, 24)) {
	case 0:
		fake_daemon_kill(&s->daemon);
		fuzz_dispatch(&s->g);
		break;
	case 1:
		if (!s->daemon.runs)
			fake_daemon_start(&s->daemon);
		break;
	case 2:
		virtio_freeze(dev);
		virtio_thaw(dev);
		break;
	case 3:
		log_writes(s, true);
		break;
	case 4:
		if (s->daemon.requests >= 0)
			fake_daemon_ask(&s->daemon, fuzz_pick(in, 4), (uint32_t)fuzz_take(in, 1),
					fuzz_pick(in, 16));
		break;
	default:
		fuzz_guest_step(&s->g, in, 0, fuzz_pick(in, dev->queue_count));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t features = 1ULL << VIRTIO_F_VERSION_1 | VIRTQ_FEATURES | 1ULL << 30 |
				  1ULL << VHOST_F_LOG_ALL | 1ULL << VIRTIO_BLK_F_MQ;
	/* MQ, LOG_SHMFD, REPLY_ACK, BACKEND_REQ, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE, MEM_SLOTS,
	   STATUS */
	const uint64_t protocol = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 12 | 1 << 13 |
				  1 << 15 | 1 << 16;
	struct fuzz_input in = { data, size };
	static struct scene s = { .g.shared = true };
	size_t theirs = fuzz_take(&in, 1) % 128;
	unsigned fds;

	if (!s.g.mem.count) {
		fuzz_guest_init(&s.g);
		fuzz_guest_destroy(&s.g);
	}
	fds = fake_open_fds();
	theirs = theirs < in.left ? theirs : in.left;
	s.theirs = (struct fuzz_input){ in.data, theirs };
	in = (struct fuzz_input){ in.data + theirs, in.left - theirs };
	fuzz_guest_init(&s.g);
	fake_daemon_init(&s.daemon, &s.g.rig.loop, features, protocol);
	s.daemon.config_len = CONFIG_LEN;
	s.daemon.config[offsetof(struct virtio_blk_config, num_queues)] = 2;
	s.daemon.change = change;
	s.daemon.change_data = &s;
	fake_daemon_start(&s.daemon);
	if (add_device(&s))
		while (in.left) {
			step(&s, &in);
			fuzz_guest_check(&s.g);
		}
	fuzz_guest_destroy(&s.g);
	fake_daemon_destroy(&s.daemon);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
