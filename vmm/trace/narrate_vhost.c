/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of vhost requests. Every sentence begins with the device. (linux/vhost.h) */
#include "trace/narrate.h"

#include "backend/vhost_worker.h"

static void say_features(struct text *out, const struct narration *n)
{
	const __u64 log_all = 1ULL << VHOST_F_LOG_ALL, bits = *(const __u64 *)n->event->arg;

	text_add(out, "0x%llx%s", bits & ~log_all,
		 bits & log_all ? "; what the kernel writes to buffers goes into the log" : "");
}

static void answer_features(struct text *out, const struct narration *n)
{
	text_add(out, ": 0x%llx", *(const __u64 *)n->event->arg);
}

static void say_mem_table(struct text *out, const struct narration *n)
{
	const struct vhost_memory *table = n->event->arg;

	for (unsigned i = 0; i < table->nregions; i++) {
		const struct vhost_memory_region *region = &table->regions[i];

		text_add(out, "%s 0x%llx to 0x%llx at 0x%llx of this process", i ? "," : "",
			 region->guest_phys_addr,
			 region->guest_phys_addr + region->memory_size - 1,
			 region->userspace_addr);
	}
}

static const struct vhost_vring_state *state_of(const struct narration *n)
{
	return n->event->arg;
}

static void say_size(struct text *out, const struct narration *n)
{
	text_add(out, "%u: it has %u entries", state_of(n)->index, state_of(n)->num);
}

static void say_poll(struct text *out, const struct narration *n)
{
	text_add(out, "%u: when it is empty, the kernel looks for work for %u us before it sleeps",
		 state_of(n)->index, state_of(n)->num);
}

static void answer_worker(struct text *out, const struct narration *n)
{
	text_add(out, ": number %u", *(const unsigned *)n->event->arg);
}

static void say_free_worker(struct text *out, const struct narration *n)
{
	text_add(out, "%u any more", *(const unsigned *)n->event->arg);
}

static void say_worker(struct text *out, const struct narration *n)
{
	text_add(out, "%u: thread number %u will run it", state_of(n)->index, state_of(n)->num);
}

static void say_base(struct text *out, const struct narration *n)
{
	text_add(out, "%u: the next entry to take from the available ring is number %u",
		 state_of(n)->index, state_of(n)->num);
}

static void say_stop(struct text *out, const struct narration *n)
{
	text_add(out, "%u: it stops", state_of(n)->index);
}

static void answer_base(struct text *out, const struct narration *n)
{
	text_add(out, "; the next entry to take is number %u", state_of(n)->num);
}

static void say_addresses(struct text *out, const struct narration *n)
{
	const struct vhost_vring_addr *addr = n->event->arg;

	text_add(out, "%u: descriptors at 0x%llx, available ring at 0x%llx, used ring at 0x%llx of "
		      "this process",
		 addr->index, addr->desc_user_addr, addr->avail_user_addr, addr->used_user_addr);
	if (addr->flags & 1U << VHOST_VRING_F_LOG)
		text_add(out, "; what the kernel writes to the used ring, guest-physical 0x%llx, "
			      "goes into the log",
			 addr->log_guest_addr);
}

static void say_log(struct text *out, const struct narration *n)
{
	text_add(out, "0x%llx", *(const __u64 *)n->event->arg);
}

static void add_file(struct text *out, const struct narration *n, const char *with,
		     const char *without)
{
	const struct vhost_vring_file *file = n->event->arg;

	text_add(out, "%u: %s", file->index, file->fd == VHOST_FILE_UNBIND ? without : with);
	if (file->fd != VHOST_FILE_UNBIND)
		fd_names_add(n->names, file->fd, out);
}

static void say_kick(struct text *out, const struct narration *n)
{
	add_file(out, n, "the guest's kick comes by ", "kicks are no longer heard");
}

static void say_call(struct text *out, const struct narration *n)
{
	add_file(out, n, "an interrupt is asked for by ", "no interrupts are asked for any more");
}

static void say_error(struct text *out, const struct narration *n)
{
	add_file(out, n, "a broken ring is reported by ", "errors are no longer reported");
}

static void say_net_backend(struct text *out, const struct narration *n)
{
	add_file(out, n, "the kernel runs it from now on, on ", "the kernel has let go of it");
}

static void answer_version(struct text *out, const struct narration *n)
{
	text_add(out, ": %d", *(const int *)n->event->arg);
}

static void say_target(struct text *out, const struct narration *n)
{
	const struct vhost_scsi_target *target = n->event->arg;

	text_add(out, "%.*s", (int)sizeof(target->vhost_wwpn), target->vhost_wwpn);
}

static void say_cid(struct text *out, const struct narration *n)
{
	text_add(out, "%llu", *(const __u64 *)n->event->arg);
}

static void say_running(struct text *out, const struct narration *n)
{
	text_add(out, *(const int *)n->event->arg ? "runs both rings from now on" :
						    "has let go of both rings");
}

#define ENTRY(number, sentence, ...)                                                               \
	{ .request = number, .name = #number, .doc = "linux/vhost.h", .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(VHOST_SET_OWNER, "@ is this process's: a worker of the kernel may use its memory"),
	ENTRY(VHOST_GET_FEATURES, "@ is asked which virtio features it serves",
	      .answer = answer_features),
	ENTRY(VHOST_SET_FEATURES, "@: the driver has acknowledged features ", say_features),
	ENTRY(VHOST_SET_MEM_TABLE, "@: guest RAM is", say_mem_table),
	ENTRY(VHOST_SET_LOG_BASE, "@: its write log, a bit for each 4 KiB of guest-physical memory, "
	      "is this process's memory at ", say_log),
	ENTRY(VHOST_SET_VRING_NUM, "@ ring ", say_size),
	ENTRY(VHOST_SET_VRING_BASE, "@ ring ", say_base),
	ENTRY(VHOST_GET_VRING_BASE, "@ ring ", say_stop, answer_base),
	ENTRY(VHOST_SET_VRING_ADDR, "@ ring ", say_addresses),
	ENTRY(VHOST_SET_VRING_KICK, "@ ring ", say_kick),
	ENTRY(VHOST_SET_VRING_CALL, "@ ring ", say_call),
	ENTRY(VHOST_SET_VRING_ERR, "@ ring ", say_error),
	ENTRY(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, "@ ring ", say_poll),
	ENTRY(VHOST_NEW_WORKER, "@ gets one more thread of the kernel", .answer = answer_worker),
	ENTRY(VHOST_FREE_WORKER, "@ does not need thread number ", say_free_worker),
	ENTRY(VHOST_ATTACH_VRING_WORKER, "@ ring ", say_worker),
	ENTRY(VHOST_NET_SET_BACKEND, "@ ring ", say_net_backend),
	ENTRY(VHOST_SCSI_GET_ABI_VERSION, "@ is asked for the version of its interface",
	      .answer = answer_version),
	ENTRY(VHOST_SCSI_SET_ENDPOINT, "@: the kernel runs all rings from now on, on the target ",
	      say_target),
	ENTRY(VHOST_SCSI_CLEAR_ENDPOINT, "@: the kernel has finished all commands and let go of the "
	      "target ", say_target),
	ENTRY(VHOST_VSOCK_SET_GUEST_CID, "@: the guest has the vsock address (CID) ", say_cid),
	ENTRY(VHOST_VSOCK_SET_RUNNING, "@: the kernel ", say_running),
};

const struct narrate_table narrate_vhost = { entries, ARRAY_SIZE(entries) };
