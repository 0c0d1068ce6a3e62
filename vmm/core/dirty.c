/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dirty.h"

#include "memory_log.h"

#include "base/log.h"

#include <string.h>

/* KVM api.rst 4.8: whole words of 64 pages. */
static uint64_t word_count(const struct gmem_slot *slot)
{
	return (slot->len / DIRTY_PAGE + 63) / 64;
}

/* The first error; off goes through all of them. */
static int log_others(const struct gmem *mem, bool on)
{
	int ret = 0;

	for (struct gmem_listener *l = mem->listeners; l && (!ret || !on); l = l->next)
		if (l->log)
			ret = l->log(l, on);
	return ret;
}

int dirty_log_start(struct dirty_log *log, struct gmem_kvm *memslots, struct gmem *mem)
{
	uint64_t most = 1;
	int ret;

	*log = (struct dirty_log){ .memslots = memslots, .mem = mem };
	for (unsigned i = 0; i < mem->count; i++)
		if (word_count(&mem->slots[i]) > most)
			most = word_count(&mem->slots[i]);
	log->words = calloc(most, sizeof(*log->words));
	if (!log->words)
		return -ENOMEM;
	ret = memory_log_start(mem);
	if (!ret)
		ret = gmem_kvm_log_writes(memslots, mem, true);
	if (!ret)
		ret = log_others(mem, true);
	if (ret < 0)
		dirty_log_stop(log);
	return ret;
}

/* KVM api.rst 7.18: for the VM, and at any time. */
static int set_by_hand(struct gmem_kvm *memslots, bool on)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args[0] = on ? KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE : 0,
	};

	return kvm_vm_call(memslots->kvm, KVM_ENABLE_CAP, &cap);
}

int dirty_log_start_by_hand(struct dirty_log *log, struct gmem_kvm *memslots, struct gmem *mem)
{
	int ret = dirty_log_start(log, memslots, mem);

	if (ret || !kvm_check_extension(memslots->kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2))
		return ret;
	ret = set_by_hand(memslots, true);
	log->by_hand = !ret;
	if (ret)
		dirty_log_stop(log);
	return ret;
}

void dirty_log_stop(struct dirty_log *log)
{
	if (!log->words)
		return;
	if (log->by_hand)
		(void)!set_by_hand(log->memslots, false);
	(void)!log_others(log->mem, false);
	/* Cannot fail for lack of resources: only the flag of the slots changes. */
	(void)!gmem_kvm_log_writes(log->memslots, log->mem, false);
	memory_log_stop(log->mem);
	free(log->words);
	log->words = NULL;
}

static void report(const struct dirty_log *log, const struct gmem_slot *slot,
		   void (*dirty)(void *owner, uint64_t gpa), void *owner)
{
	for (uint64_t i = 0; i < word_count(slot); i++) {
		for (uint64_t left = log->words[i]; left; left &= left - 1) {
			uint64_t page = i * 64 + (unsigned)__builtin_ctzll(left);

			dirty(owner, slot->gpa + page * DIRTY_PAGE);
		}
	}
}

int dirty_log_read(struct dirty_log *log, void (*dirty)(void *owner, uint64_t gpa), void *owner)
{
	for (unsigned i = 0; i < log->mem->count; i++) {
		const struct gmem_slot *slot = &log->mem->slots[i];
		struct kvm_dirty_log request = { .slot = slot->id, .dirty_bitmap = log->words };
		int ret;

		memset(log->words, 0, word_count(slot) * sizeof(*log->words));
		ret = kvm_vm_ioctl(log->memslots->kvm, KVM_GET_DIRTY_LOG, &request);
		if (ret < 0) {
			log_error("guest RAM: KVM_GET_DIRTY_LOG at 0x%llx: %s",
				  (unsigned long long)slot->gpa, strerror(-ret));
			return ret;
		}
		gmem_log_take(log->mem->log, slot->offset / DIRTY_PAGE, slot->len / DIRTY_PAGE,
			      log->words);
		for (struct gmem_listener *l = log->mem->listeners; l; l = l->next)
			if (l->take)
				l->take(l, slot, log->words);
		report(log, slot, dirty, owner);
	}
	return 0;
}

int dirty_log_clear(struct dirty_log *log, const struct gmem_slot *slot, uint64_t first,
		    uint32_t count, uint64_t *words)
{
	struct kvm_clear_dirty_log request = {
		.slot = slot->id,
		.first_page = first,
		.num_pages = count,
		.dirty_bitmap = words,
	};
	int ret = 0;

	if (log->by_hand)
		ret = kvm_vm_ioctl(log->memslots->kvm, KVM_CLEAR_DIRTY_LOG, &request);
	if (ret < 0)
		log_error("guest RAM: KVM_CLEAR_DIRTY_LOG at 0x%llx: %s",
			  (unsigned long long)(slot->gpa + first * DIRTY_PAGE), strerror(-ret));
	return ret;
}
