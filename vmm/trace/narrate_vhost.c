/* SPDX-License-Identifier: Apache-2.0 */
/* vhost's requests in words. (linux/vhost.h) */
#include "trace/narrate.h"

#include <linux/vhost.h>

#define ULL(x) ((unsigned long long)(x))

/* Every sentence begins with who is asked: "fd 21 (/dev/vhost-net)". */
static void add_vhost(struct text *out, const struct narration *n)
{
	fd_names_add(n->names, n->event->fd, out);
}

static void say_owner(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, " is this process's: a worker of the kernel may use its memory");
}

static void say_get_features(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, " is asked which virtio features it serves");
	if (n->event->result >= 0)
		text_add(out, ": 0x%llx", ULL(*(const uint64_t *)n->event->arg));
}

static void say_set_features(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, ": the driver has acknowledged features 0x%llx",
		 ULL(*(const uint64_t *)n->event->arg));
}

static void say_mem_table(struct text *out, const struct narration *n)
{
	const struct vhost_memory *table = n->event->arg;

	add_vhost(out, n);
	text_add(out, ": guest RAM is");
	for (unsigned i = 0; i < table->nregions; i++)
		text_add(out, "%s 0x%llx to 0x%llx at 0x%llx of this process", i ? "," : "",
			 ULL(table->regions[i].guest_phys_addr),
			 ULL(table->regions[i].guest_phys_addr + table->regions[i].memory_size - 1),
			 ULL(table->regions[i].userspace_addr));
}

static const struct vhost_vring_state *ring(struct text *out, const struct narration *n)
{
	const struct vhost_vring_state *state = n->event->arg;

	add_vhost(out, n);
	text_add(out, " ring %u: ", state->index);
	return state;
}

static void say_vring_num(struct text *out, const struct narration *n)
{
	text_add(out, "it has %u entries", ring(out, n)->num);
}

static void say_set_base(struct text *out, const struct narration *n)
{
	text_add(out, "the next entry to take from the available ring is number %u",
		 ring(out, n)->num);
}

static void say_get_base(struct text *out, const struct narration *n)
{
	unsigned num = ring(out, n)->num;

	text_add(out, "it stops");
	if (n->event->result >= 0)
		text_add(out, "; the next entry to take is number %u", num);
}

static void say_vring_addr(struct text *out, const struct narration *n)
{
	const struct vhost_vring_addr *addr = n->event->arg;

	add_vhost(out, n);
	text_add(out, " ring %u: descriptors at 0x%llx, available ring at 0x%llx, used ring at "
		      "0x%llx of this process",
		 addr->index, ULL(addr->desc_user_addr), ULL(addr->avail_user_addr),
		 ULL(addr->used_user_addr));
}

static void say_file(struct text *out, const struct narration *n, const char *with,
		     const char *without)
{
	const struct vhost_vring_file *file = n->event->arg;

	add_vhost(out, n);
	text_add(out, " ring %u: ", file->index);
	if (file->fd == VHOST_FILE_UNBIND) {
		text_add(out, "%s", without);
		return;
	}
	text_add(out, "%s ", with);
	fd_names_add(n->names, file->fd, out);
}

static void say_vring_kick(struct text *out, const struct narration *n)
{
	say_file(out, n, "the guest's kick comes by", "kicks are no longer heard");
}

static void say_vring_call(struct text *out, const struct narration *n)
{
	say_file(out, n, "an interrupt is asked for by", "no interrupts are asked for any more");
}

static void say_vring_err(struct text *out, const struct narration *n)
{
	say_file(out, n, "a broken ring is reported by", "errors are no longer reported");
}

static void say_net_backend(struct text *out, const struct narration *n)
{
	say_file(out, n, "the kernel runs it from now on, on", "the kernel has let go of it");
}

static void say_abi_version(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, " is asked for the version of its interface");
	if (n->event->result >= 0)
		text_add(out, ": %d", *(const int *)n->event->arg);
}

static const char *wwpn_of(const struct narration *n)
{
	return ((const struct vhost_scsi_target *)n->event->arg)->vhost_wwpn;
}

static void say_set_endpoint(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, ": the kernel runs all rings from now on, on the target %.*s",
		 (int)sizeof(((struct vhost_scsi_target *)0)->vhost_wwpn), wwpn_of(n));
}

static void say_clear_endpoint(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, ": the kernel has finished all commands and let go of the target %.*s",
		 (int)sizeof(((struct vhost_scsi_target *)0)->vhost_wwpn), wwpn_of(n));
}

static void say_guest_cid(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, ": the guest has the vsock address (CID) %llu",
		 ULL(*(const uint64_t *)n->event->arg));
}

static void say_vsock_running(struct text *out, const struct narration *n)
{
	add_vhost(out, n);
	text_add(out, *(const int *)n->event->arg ?
			      ": the kernel runs both rings from now on" :
			      ": the kernel has let go of both rings");
}

#define ENTRY(request, say) { request, #request, "linux/vhost.h", say, NULL }
static const struct narrate_entry entries[] = {
	ENTRY(VHOST_SET_OWNER, say_owner),
	ENTRY(VHOST_GET_FEATURES, say_get_features),
	ENTRY(VHOST_SET_FEATURES, say_set_features),
	ENTRY(VHOST_SET_MEM_TABLE, say_mem_table),
	ENTRY(VHOST_SET_VRING_NUM, say_vring_num),
	ENTRY(VHOST_SET_VRING_BASE, say_set_base),
	ENTRY(VHOST_GET_VRING_BASE, say_get_base),
	ENTRY(VHOST_SET_VRING_ADDR, say_vring_addr),
	ENTRY(VHOST_SET_VRING_KICK, say_vring_kick),
	ENTRY(VHOST_SET_VRING_CALL, say_vring_call),
	ENTRY(VHOST_SET_VRING_ERR, say_vring_err),
	ENTRY(VHOST_NET_SET_BACKEND, say_net_backend),
	ENTRY(VHOST_SCSI_GET_ABI_VERSION, say_abi_version),
	ENTRY(VHOST_SCSI_SET_ENDPOINT, say_set_endpoint),
	ENTRY(VHOST_SCSI_CLEAR_ENDPOINT, say_clear_endpoint),
	ENTRY(VHOST_VSOCK_SET_GUEST_CID, say_guest_cid),
	ENTRY(VHOST_VSOCK_SET_RUNNING, say_vsock_running),
};

const struct narrate_table narrate_vhost = { entries, ARRAY_SIZE(entries) };
