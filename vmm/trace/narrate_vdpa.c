/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of vhost-vdpa's own requests, and of the messages that are written to it. */
#include "trace/narrate.h"

#include <linux/vhost.h>
#include <linux/virtio_config.h>

static void answer_bits(struct text *out, const struct narration *n)
{
	text_add(out, ": 0x%llx", *(const __u64 *)n->event->arg);
}

static void say_bits(struct text *out, const struct narration *n)
{
	text_add(out, "0x%llx", *(const __u64 *)n->event->arg);
}

static void answer_word(struct text *out, const struct narration *n)
{
	text_add(out, ": %u", *(const __u32 *)n->event->arg);
}

static void answer_half(struct text *out, const struct narration *n)
{
	text_add(out, ": %u", *(const __u16 *)n->event->arg);
}

static void add_status(struct text *out, const struct narration *n)
{
	const __u8 status = *(const __u8 *)n->event->arg;

	text_add(out, "0x%02x%s%s%s%s", status,
		 status & VIRTIO_CONFIG_S_DRIVER ? " DRIVER" : "",
		 status & VIRTIO_CONFIG_S_FEATURES_OK ? " FEATURES_OK" : "",
		 status & VIRTIO_CONFIG_S_DRIVER_OK ? " DRIVER_OK" : "",
		 status & VIRTIO_CONFIG_S_NEEDS_RESET ? " DEVICE_NEEDS_RESET" : "");
}

static void say_status(struct text *out, const struct narration *n)
{
	add_status(out, n);
	if (!*(const __u8 *)n->event->arg)
		text_add(out, ", a reset");
}

static void answer_status(struct text *out, const struct narration *n)
{
	text_add(out, ": ");
	add_status(out, n);
}

static void answer_range(struct text *out, const struct narration *n)
{
	const struct vhost_vdpa_iova_range *range = n->event->arg;

	text_add(out, ": 0x%llx to 0x%llx", range->first, range->last);
}

static void say_space(struct text *out, const struct narration *n)
{
	const struct vhost_vdpa_config *space = n->event->arg;

	text_add(out, "%u bytes from %u", space->len, space->off);
}

static void say_enable(struct text *out, const struct narration *n)
{
	const struct vhost_vring_state *state = n->event->arg;

	text_add(out, "%u: it is %s", state->index, state->num ? "enabled" : "disabled");
}

static void say_changed(struct text *out, const struct narration *n)
{
	fd_names_add(n->names, *(const int *)n->event->arg, out);
}

#define ENTRY(number, sentence, ...)                                                               \
	{ .request = number, .name = #number, .doc = "linux/vhost.h", .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(VHOST_GET_BACKEND_FEATURES, "@ is asked how it can be spoken to",
	      .answer = answer_bits),
	ENTRY(VHOST_SET_BACKEND_FEATURES, "@ is spoken to by ", say_bits),
	ENTRY(VHOST_VDPA_GET_DEVICE_ID, "@ is asked what kind of virtio device it is",
	      .answer = answer_word),
	ENTRY(VHOST_VDPA_GET_VQS_COUNT, "@ is asked for the number of its queues",
	      .answer = answer_word),
	ENTRY(VHOST_VDPA_GET_VRING_NUM, "@ is asked for the entries of its largest queue",
	      .answer = answer_half),
	ENTRY(VHOST_VDPA_GET_CONFIG_SIZE, "@ is asked for the bytes of its configuration space",
	      .answer = answer_word),
	ENTRY(VHOST_VDPA_GET_IOVA_RANGE, "@ is asked which guest-physical addresses it reaches",
	      .answer = answer_range),
	ENTRY(VHOST_VDPA_GET_CONFIG, "@: its configuration space is read, ", say_space),
	ENTRY(VHOST_VDPA_SET_CONFIG, "@: the driver writes its configuration space, ", say_space),
	ENTRY(VHOST_VDPA_SET_CONFIG_CALL, "@: a change of its configuration space is told by ",
	      say_changed),
	ENTRY(VHOST_VDPA_GET_STATUS, "@ is asked for its status", .answer = answer_status),
	ENTRY(VHOST_VDPA_SET_STATUS, "@: its status becomes ", say_status),
	ENTRY(VHOST_VDPA_SET_VRING_ENABLE, "@ ring ", say_enable),
	ENTRY(VHOST_VDPA_SUSPEND, "@ takes no more requests, and keeps its indices"),
};

const struct narrate_table narrate_vdpa = { entries, ARRAY_SIZE(entries) };

void narrate_message(struct text *out, const struct narration *n)
{
	const struct vhost_msg_v2 *message = n->event->arg;
	const struct vhost_iotlb_msg *iotlb = &message->iotlb;
	const __u64 last = iotlb->iova + iotlb->size - 1;

	text_add(out, "write: ");
	fd_names_add(n->names, n->event->fd, out);
	switch (iotlb->type) {
	case VHOST_IOTLB_UPDATE:
		text_add(out, " can use guest RAM 0x%llx to 0x%llx, at 0x%llx of this process: its "
			      "pages are pinned", iotlb->iova, last, iotlb->uaddr);
		break;
	case VHOST_IOTLB_INVALIDATE:
		text_add(out, " can no longer use guest RAM 0x%llx to 0x%llx", iotlb->iova, last);
		break;
	default:
		text_add(out, ": a batch of changes to its memory %s",
			 iotlb->type == VHOST_IOTLB_BATCH_BEGIN ? "begins" : "ends");
	}
}
