/* SPDX-License-Identifier: Apache-2.0 */
#include "core/kvm.h"
#include "core/memory.h"

#include "base/log.h"

#include <string.h>

/* KVM api.rst 4.35: a size of zero deletes the slot. */
static int set_region(struct gmem_kvm *gk, const struct gmem_slot *slot, uint64_t len)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot->id,
		.flags = gk->log_writes && len ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = slot->gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)slot->hva,
	};

	return kvm_vm_ioctl(gk->kvm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int add_slot(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	int ret = set_region(container_of(listener, struct gmem_kvm, listener), slot, slot->len);

	if (ret < 0)
		log_error("guest RAM: KVM_SET_USER_MEMORY_REGION at 0x%llx, %llu bytes: %s",
			  (unsigned long long)slot->gpa, (unsigned long long)slot->len,
			  strerror(-ret));
	return ret;
}

static void remove_slot(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	int ret = set_region(container_of(listener, struct gmem_kvm, listener), slot, 0);

	if (ret < 0)
		log_error("guest RAM: removing the slot at 0x%llx: %s",
			  (unsigned long long)slot->gpa, strerror(-ret));
}

int gmem_kvm_attach(struct gmem_kvm *gk, struct gmem *mem, struct kvm *kvm)
{
	*gk = (struct gmem_kvm){
		.listener = { .add = add_slot, .remove = remove_slot },
		.kvm = kvm,
	};
	return gmem_add_listener(mem, &gk->listener);
}

/* A slot that is set again with another flag keeps its memory (KVM api.rst 4.35). */
int gmem_kvm_log_writes(struct gmem_kvm *gk, struct gmem *mem, bool on)
{
	int ret = 0;

	gk->log_writes = on;
	/* Off goes through all of them. */
	for (unsigned i = 0; i < mem->count && (!ret || !on); i++)
		ret = add_slot(&gk->listener, &mem->slots[i]);
	if (ret && on)
		(void)!gmem_kvm_log_writes(gk, mem, false);
	return ret;
}
