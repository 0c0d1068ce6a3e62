/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_internal.h"
#include "vhost_user_internal.h"

#include "base/log.h"
#include "base/unix_socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* Between requests of a daemon that are served. */
enum { PAUSE_NS = 10000000 };

/* For an end, which the machine waits for. */
static uint64_t fifth(const struct vhost_user *user)
{
	return user->options.patience_ns / 5;
}

uint64_t vhost_user_features(const struct vhost *vhost)
{
	return vhost->features & VHOST_PASSED_FEATURES;
}

unsigned vhost_user_queues(const struct vhost *vhost)
{
	const uint64_t queues = container_of(vhost, struct vhost_user, vhost)->peer.queues;

	return queues < UINT16_MAX ? (unsigned)queues : UINT16_MAX;
}

const uint8_t *vhost_user_config(const struct vhost *vhost)
{
	return container_of(vhost, struct vhost_user, vhost)->config;
}

/* --- The connection --------------------------------------------------------------------------- */

/* Closing a descriptor takes it out of the loop. */
static void disconnect(struct vhost_user *user)
{
	peer_disconnect(&user->peer);
	user->told.count = 0;
	user->hangup.fd = -1;
	close_fd(&user->requests.fd);
}

/* What it must have, the first time or as the one that comes back; what it lacks. */
static const char *find_lack(const struct vhost_user *user)
{
	const struct vhost_user_peer *peer = &user->peer;
	const struct virtio_dev *dev = user->vhost.dev;
	const unsigned queues = user->options.queues ? user->options.queues :
						       user->vhost.ring_count;

	if (!(peer->features >> VIRTIO_F_VERSION_1 & 1))
		return "has no VIRTIO_F_VERSION_1";
	if (dev && dev->acked & vhost_user_features(&user->vhost) & ~peer->features)
		return "lacks features that the driver uses";
	if (user->options.config_len && !peer_has(peer, VHOST_USER_PROTOCOL_F_CONFIG))
		return "does not give a configuration space (VHOST_USER_PROTOCOL_F_CONFIG)";
	if (peer->queues && peer->queues < queues)
		return "serves fewer queues";
	return NULL;
}

/* It is not the device that we know, or no vhost-user daemon at all. */
static int refuse(struct vhost_user *user, const char *reason, int ret)
{
	disconnect(user);
	log_error("%s: vhost-user daemon at %s: %s",
		  user->vhost.dev ? user->vhost.dev->name : user->options.name, user->options.path,
		  reason);
	return ret;
}

/* Whether a later attempt may find it there. */
static bool may_come_back(int ret)
{
	return ret == -ENOENT || ret == -ECONNREFUSED || ret == -ECONNRESET || ret == -EPIPE ||
	       ret == -EAGAIN || ret == -ENOTCONN;
}

/* To a daemon with `final` there is one connection, ever. */
static int reach(struct vhost_user *user)
{
	struct vhost_user_options *options = &user->options;
	int fd;

	if (!options->final)
		return unix_connect(options->path, SOCK_NONBLOCK);
	fd = fcntl(options->fd, F_DUPFD_CLOEXEC, 0);
	options->fd = -1;
	return fd < 0 ? -errno : fd;
}

/* Connects, and gets what the device is. 1: it has another configuration space than before. */
static int meet(struct vhost_user *user)
{
	struct vhost *vhost = &user->vhost;
	const char *lack;
	uint64_t log;
	int ret = peer_meet(&user->peer, reach(user));

	if (ret)
		return ret;
	lack = find_lack(user);
	if (lack)
		return refuse(user, lack, -EOPNOTSUPP);
	log = peer_has(&user->peer, VHOST_USER_PROTOCOL_F_LOG_SHMFD) ? 1ULL << VHOST_F_LOG_ALL : 0;
	/* What was offered once stays so. */
	if (!vhost->dev)
		vhost->features = user->peer.features & (VHOST_PASSED_FEATURES | log);
	return vhost_user_get_config(user);
}

static void hung_up(struct loop_event *event, uint32_t events);
static void requested(struct loop_event *event, uint32_t events);

/* A socket for what the daemon wants of us: to hear that its configuration space has changed. */
static int offer_requests(struct vhost_user *user)
{
	struct vhost_user_message message;
	int pair[2], ret;

	if (!peer_has(&user->peer, VHOST_USER_PROTOCOL_F_BACKEND_REQ) || !user->options.config_len)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	ret = peer_tell(&user->peer,
			&(struct vhost_user_exchange){ .request = VHOST_USER_SET_BACKEND_REQ_FD,
						       .fds = &pair[1],
						       .count = 1 }, &message);
	close(pair[1]);
	user->requests = (struct loop_event){ .fd = pair[0], .fn = requested };
	return ret ? ret : loop_add(user->vhost.dev->loop, &user->requests, EPOLLIN);
}

/* From here on a hang-up is noticed. Answers do not wake the loop. */
static int watch(struct vhost_user *user)
{
	int ret = offer_requests(user);

	user->hangup = (struct loop_event){ .fd = user->peer.fd, .fn = hung_up };
	if (!ret)
		ret = loop_add(user->vhost.dev->loop, &user->hangup, EPOLLRDHUP);
	if (ret)
		disconnect(user);
	return ret;
}

static int come_back(struct vhost_user *user)
{
	struct virtio_dev *dev = user->vhost.dev;
	int changed, ret;

	disconnect(user);
	changed = meet(user);
	ret = changed < 0 ? changed : watch(user);
	if (!ret && changed)
		virtio_config_changed(dev);
	return ret;
}

/* --- Start, stop, loss ------------------------------------------------------------------------ */

static int enable_rings(struct vhost_user *user)
{
	struct vhost *vhost = &user->vhost;
	int ret = 0;

	if (!(user->peer.features >> VHOST_USER_F_PROTOCOL_FEATURES & 1))
		return 0;
	for (unsigned i = 0; i < vhost->ring_count && !ret; i++)
		if (vhost->rings[i].bound)
			ret = vhost_user_tell_ring(user, VHOST_USER_SET_VRING_ENABLE, i,
						   !user->unused || i < user->unused);
	return ret;
}

static int run(struct vhost *vhost)
{
	struct vhost_user *user = user_of(vhost);
	int ret = enable_rings(user);

	return ret ? ret : vhost_user_say_live(user);
}

int vhost_user_use_rings(struct vhost *vhost, unsigned count)
{
	struct vhost_user *user = user_of(vhost);
	unsigned before = user->unused;
	int ret;

	user->unused = count;
	if (!vhost->started)
		return 0;
	peer_set_deadline(&user->peer, user->options.patience_ns);
	ret = enable_rings(user);
	if (vhost_user_check_loss(user))
		return 0;
	if (ret)
		user->unused = before;
	return ret;
}

/* GET_VRING_BASE stops a ring. One that is only disabled would drop what is in it. */
static void halt(struct vhost *vhost)
{
	(void)vhost;
}

/* To the driver, and to KVM, which collects its kicks, a queue runs while it waits for a daemon. */
static void set_waiting(struct vhost_user *user, bool on)
{
	struct vhost *vhost = &user->vhost;

	if (user->waiting == on)
		return;
	user->waiting = on;
	for (unsigned i = 0; i < vhost->ring_count; i++) {
		struct virtq *q = vhost->rings[i].q;

		if (q->backend == &vhost->backend)
			q->running = on && q->state.enabled;
	}
}

static void wait_for_daemon(struct vhost_user *user)
{
	set_waiting(user, true);
	loop_timer_set(&user->retry, user->options.reconnect ?
				     user->options.reconnect * 1000000000ULL : fifth(user));
}

static int start(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost_user *user = container_of(backend, struct vhost_user, vhost.backend);
	int ret = 0;

	set_waiting(user, false);
	peer_set_deadline(&user->peer, user->options.patience_ns);
	if (user->peer.fd < 0)
		ret = come_back(user);
	if (!ret)
		ret = vhost_user_share_inflight(user);
	if (!ret)
		ret = vhost_start(backend, dev);
	if (ret && user->peer.fd < 0 && may_come_back(ret)) {
		wait_for_daemon(user);
		return 0;
	}
	/* It has half a device: a start after a reset begins with another connection, and record. */
	if (ret) {
		disconnect(user);
		close_fd(&user->inflight_fd);
	}
	return ret;
}

/* The driver's requests are over, and so is the record of them. */
static void forget(struct vhost_user *user)
{
	vhost_user_say_reset(user);
	close_fd(&user->inflight_fd);
}

static void stop(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost_user *user = container_of(backend, struct vhost_user, vhost.backend);
	bool resumes = virtio_resumes(dev);

	if (!user->vhost.started && !user->waiting)
		return;
	set_waiting(user, false);
	peer_set_deadline(&user->peer, resumes ? user->options.patience_ns : fifth(user));
	vhost_stop(backend, dev);
	if (!resumes)
		forget(user);
}

bool vhost_user_may_move(const struct vhost *vhost)
{
	const struct vhost_user *user = container_of(vhost, struct vhost_user, vhost);

	return user->peer.fd >= 0 || vhost_user_rests(user, false);
}

/* The daemon has gone while it served the device, or was to. */
static void lose(struct vhost_user *user)
{
	struct virtio_dev *dev = user->vhost.dev;
	bool started = user->vhost.started;

	disconnect(user);
	if (!started)
		return;
	if (user->options.final) {
		virtio_broken(dev, user->options.final);
		return;
	}
	if (!vhost_user_rests(user, user->inflight_fd >= 0)) {
		virtio_broken(dev, "its vhost-user daemon ended with requests in flight, and "
				   "keeps no record of them (INFLIGHT_SHMFD)");
		return;
	}
	if (++user->losses <= VIRTIO_COMPLAINTS_MAX)
		log_warning("%s: its vhost-user daemon at %s has ended; requests wait for a new one%s",
			    dev->name, user->options.path,
			    user->losses == VIRTIO_COMPLAINTS_MAX ? " (said for the last time)" : "");
	vhost_stop(&user->vhost.backend, dev);
	if (!(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		wait_for_daemon(user);
}

static void hung_up(struct loop_event *event, uint32_t events)
{
	struct vhost_user *user = container_of(event, struct vhost_user, hangup);
	struct virtio_dev *dev = user->vhost.dev;

	(void)events;
	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	if (user->peer.fd >= 0 && peer_hung_up(&user->peer))
		lose(user);
	pthread_mutex_unlock(&dev->lock);
}

/* The last daemon may have used requests and not told. */
static void raise_all(const struct vhost *vhost)
{
	for (unsigned i = 0; i < vhost->ring_count; i++)
		if (vhost->rings[i].bound)
			irq_line_raise(&vhost->rings[i].q->irq);
}

static void try_again(struct vhost_user *user)
{
	struct virtio_dev *dev = user->vhost.dev;
	int ret = start(&user->vhost.backend, dev);

	if (ret) {
		virtio_broken(dev, "its vhost-user daemon cannot go on");
	} else if (!user->waiting) {
		raise_all(&user->vhost);
		if (user->losses <= VIRTIO_COMPLAINTS_MAX)
			log_warning("%s: a vhost-user daemon at %s serves it again", dev->name,
				 user->options.path);
	}
}

static void retry(struct loop_timer *timer)
{
	struct vhost_user *user = container_of(timer, struct vhost_user, retry);
	struct virtio_dev *dev = user->vhost.dev;

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	if (user->waiting)
		try_again(user);
	else if (user->peer.fd < 0)
		lose(user); /* noticed by a request */
	else if (user->requests.fd >= 0)
		(void)!loop_modify(dev->loop, &user->requests, EPOLLIN);
	pthread_mutex_unlock(&dev->lock);
}

/* --- What the daemon asks --------------------------------------------------------------------- */

/* One at a time, then others have their turn. One that breaks the rules is not heard any more. */
static void requested(struct loop_event *event, uint32_t events)
{
	struct vhost_user *user = container_of(event, struct vhost_user, requests);
	struct virtio_dev *dev = user->vhost.dev;

	(void)events;
	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	if (user->requests.fd >= 0) {
		peer_set_deadline(&user->peer, fifth(user));
		if (vhost_user_serve_request(user))
			close_fd(&user->requests.fd);
		else
			(void)!loop_modify(dev->loop, event, 0);
		if (user->peer.fd < 0)
			lose(user);
		else
			loop_timer_set(&user->retry, PAUSE_NS);
	}
	pthread_mutex_unlock(&dev->lock);
}

/* --- Open and close --------------------------------------------------------------------------- */

static void destroy(struct backend *backend)
{
	struct vhost_user *user = container_of(backend, struct vhost_user, vhost.backend);

	if (user->retry.event.fd >= 0)
		loop_timer_remove(user->vhost.dev->loop, &user->retry);
	disconnect(user);
	close_fd(&user->inflight_fd);
	vhost_free(&user->vhost);
}

static void changes(struct vhost *vhost)
{
	struct vhost_user *user = user_of(vhost);

	peer_set_deadline(&user->peer, user->options.patience_ns);
}

static const struct vhost_kind user_kind = {
	.ops = { .name = "vhost-user", .start = start, .stop = stop, .destroy = destroy },
	.vhost = { .request = vhost_user_request, .run = run, .halt = halt,
		   .changes = changes },
	.logs_data = true,
};

static const char *explain(int ret)
{
	switch (ret) {
	case -ENOENT:
		return "there is no such socket; start the daemon first";
	case -ECONNREFUSED:
		return "no daemon listens there; start it first";
	case -ETIMEDOUT:
		return "it does not answer: another client may have it";
	case -EPROTO:
	case -EMSGSIZE:
		return "its answers are not those of vhost-user";
	default:
		return strerror(-ret);
	}
}

int vhost_user_open(struct vhost **out, struct sys *sys, const struct vhost_user_options *options)
{
	struct vhost_user *user = calloc(1, sizeof(*user));
	int ret;

	if (!user)
		return -ENOMEM;
	*user = (struct vhost_user){
		.vhost = { .backend.ops = &user_kind.ops, .kind = &user_kind, .sys = sys, .fd = -1 },
		.options = *options,
		.peer.fd = -1,
		.hangup.fd = -1,
		.requests.fd = -1,
		.retry = { .event.fd = -1, .fn = retry },
		.inflight_fd = -1,
	};
	if (!options->patience_ns)
		user->options.patience_ns = 5000000000;
	peer_set_deadline(&user->peer, user->options.patience_ns * (options->final ? 4 : 1));
	ret = meet(user);
	if (ret < 0) {
		if (ret != -EOPNOTSUPP)
			refuse(user, explain(ret), ret);
		destroy(&user->vhost.backend);
		return ret;
	}
	*out = &user->vhost;
	return 0;
}

void vhost_user_close(struct vhost *vhost)
{
	destroy(&vhost->backend);
}

int vhost_user_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned first, unsigned count)
{
	struct vhost_user *user = user_of(vhost);
	int ret = vhost_bind(vhost, dev, first, count);

	if (ret)
		return ret;
	ret = loop_timer_add(dev->loop, &user->retry);
	peer_set_deadline(&user->peer, user->options.patience_ns);
	if (!ret)
		ret = watch(user);
	return ret ? refuse(user, strerror(-ret), ret) : 0;
}
