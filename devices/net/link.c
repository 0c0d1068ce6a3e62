/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link status of virtio-net (virtio 1.2 §5.1.4), and the driver's announcements when the link
 * comes back (§5.1.6.5.4).
 */
#include "internal.h"

#include "base/log.h"

#include <string.h>

/*
 * Milliseconds from the link's return to the first request for an announcement, and from a driver's
 * acknowledgement to the next. Not at once: Linux (6.1) announces itself before it has set the link
 * up, and the frame is dropped. Not once: the network at the tap may need a moment, too. And not
 * only by time: a guest that does not run would see all requests as one, together with the link's
 * return, and that one announcement would be lost.
 */
static const unsigned announce_after_ms[NET_ANNOUNCEMENTS] = { 100, 400, 1500 };

static void schedule_announcement(struct net *net)
{
	uint64_t ms = net->announcements_left ?
			      announce_after_ms[NET_ANNOUNCEMENTS - net->announcements_left] : 0;

	loop_timer_set(&net->announce_timer, ms * 1000000U);
}

static void ask_for_announcement(struct net *net)
{
	/* The device was reset after the timer had fired, or is broken. */
	if (!net->announcements_left || !net->dev.started)
		return;
	virtio_count(&net->dev.loop_wakeups);
	net->announcements_left--;
	net->announce = true;
	virtio_config_changed(&net->dev);
}

void net_announce_fired(struct loop_timer *timer)
{
	struct net *net = container_of(timer, struct net, announce_timer);

	pthread_mutex_lock(&net->dev.lock);
	ask_for_announcement(net);
	pthread_mutex_unlock(&net->dev.lock);
}

void net_announced(struct net *net)
{
	/* An unsolicited one is ignored: the timer may run for the first request. */
	if (net->announce)
		schedule_announcement(net);
	net->announce = false;
}

void net_forget_announcements(struct net *net)
{
	net->announce = false;
	net->announcements_left = 0;
	schedule_announcement(net);
}

void net_resume_announcements(struct net *net)
{
	if (!net->announce)
		schedule_announcement(net);
}

static void start_announcements(struct net *net)
{
	net_forget_announcements(net);
	if (!net->link_up || !net->dev.started ||
	    !virtio_has(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return;
	net->announcements_left = NET_ANNOUNCEMENTS;
	schedule_announcement(net);
}

static void set_link(struct net *net, bool up)
{
	struct virtio_dev *dev = &net->dev;

	if (net->link_up == up)
		return;
	net->link_up = up;
	sys_note(net->pairs[0].tap.sys, SYS_TOPIC_DEVICE, -1, "%s: its link is %s, as that of %s",
		 dev->name, up ? "up" : "down", net->pairs[0].tap.name);
	start_announcements(net);
	virtio_config_changed(dev);
}

void net_is_gone(struct net *net, const char *reason)
{
	/* Reported by each of its queues, and by the link watch. */
	if (reason && !net->pairs[0].tap.gone)
		log_error("%s: tap %s: %s: link down", net->dev.name, net->pairs[0].tap.name,
			  reason);
	for (unsigned i = 0; i < net->pair_count; i++)
		net->pairs[i].tap.gone = true;
	set_link(net, false);
}

static void link_changed(struct net *net, enum link_state state)
{
	const struct tap *tap = &net->pairs[0].tap;

	if (tap->gone)
		return;
	if (state != LINK_GONE) {
		set_link(net, state == LINK_UP);
	} else if (tap_is_gone(tap->sys, tap->fd)) {
		net_is_gone(net, "the interface was removed");
	} else {
		log_warning("%s: tap %s: moved to another network namespace, where its link "
			    "cannot be followed", net->dev.name, tap->name);
		set_link(net, true);
	}
}

/* As link_changed() would have it. */
static bool tap_has_link(const struct net *net)
{
	return !net->pairs[0].tap.gone &&
	       (net->watch.event.fd < 0 || net->watch.state != LINK_DOWN);
}

/* What the guest sends comes from another tap now, or from another host. */
void net_restored(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	start_announcements(net);
	set_link(net, tap_has_link(net));
}

void virtio_net_set_link(struct virtio_dev *dev, enum link_state state)
{
	pthread_mutex_lock(&dev->lock);
	link_changed(net_of(dev), state);
	pthread_mutex_unlock(&dev->lock);
}

void net_tap_changed(struct link_watch *watch)
{
	struct virtio_dev *dev = &container_of(watch, struct net, watch)->dev;

	virtio_count(&dev->loop_wakeups);
	virtio_net_set_link(dev, watch->state);
}

void net_follow_link(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);
	unsigned ifindex = net->pairs[0].tap.ifindex;
	int ret;

	if (!ifindex)
		return;
	ret = link_watch_start(&net->watch, dev->loop, ifindex);
	if (ret)
		log_warning("%s: rtnetlink: %s: its link does not follow the tap's", dev->name,
			    strerror(-ret));
	else
		virtio_net_set_link(dev, net->watch.state);
}
