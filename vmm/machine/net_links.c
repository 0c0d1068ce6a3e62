/* SPDX-License-Identifier: Apache-2.0 */
/* The links of the network cards follow those of their taps while the machine runs. */
#include "vm.h"

#include "base/log.h"
#include "devices/net.h"

#include <string.h>

struct net_link {
	struct link_watch watch;
	struct virtio_dev *dev; /* borrowed */
};

struct net_links {
	unsigned count;
	struct net_link links[];
};

static void link_changed(struct link_watch *watch)
{
	struct virtio_dev *dev = container_of(watch, struct net_link, watch)->dev;

	virtio_count(&dev->loop_wakeups);
	virtio_net_set_link(dev, watch->state);
}

/* A card whose tap cannot be followed is a card, too. */
static void follow(struct net_links *links, struct vm *vm, struct virtio_dev *dev)
{
	struct net_link *link = &links->links[links->count++];
	unsigned ifindex = virtio_net_ifindex(dev);
	int ret;

	link->dev = dev;
	link->watch.changed = link_changed;
	link->watch.event.fd = -1;
	if (!ifindex)
		return;
	ret = link_watch_start(&link->watch, &vm->loop, ifindex);
	if (ret)
		log_warning("%s: rtnetlink: %s: its link does not follow the tap's", dev->name,
			    strerror(-ret));
	else
		virtio_net_set_link(dev, link->watch.state);
}

int vm_net_links_up(struct vm *vm)
{
	if (!vm->config->net_count)
		return 0;
	vm->net_links = calloc(1, sizeof(*vm->net_links) +
				  vm->config->net_count * sizeof(vm->net_links->links[0]));
	if (!vm->net_links)
		return -ENOMEM;
	for (unsigned i = 0; i < vm->device_count; i++)
		if (vm->devices[i]->model->id == VIRTIO_ID_NET)
			follow(vm->net_links, vm, vm->devices[i]);
	return 0;
}

void vm_net_links_down(struct vm *vm)
{
	for (unsigned i = 0; vm->net_links && i < vm->net_links->count; i++)
		link_watch_stop(&vm->net_links->links[i].watch);
	free(vm->net_links);
	vm->net_links = NULL;
}
