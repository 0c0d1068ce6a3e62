/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM: the only place where a guest-physical address (GPA) becomes a pointer (HVA).
 *
 * Slots are added before the vCPUs run and stay until gmem_destroy(), so look-ups need no lock and
 * every thread may do them. All accessors take a length and check it against overflow and the end
 * of the slot; the hole below 4 GiB and everything else that is not RAM gives -EFAULT or NULL.
 *
 * The guest may change its RAM at any moment: copy what you validate, then use the copy.
 */
#ifndef KINGLET_CORE_MEMORY_H
#define KINGLET_CORE_MEMORY_H

#include "base/cleanup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct kvm;

enum { GMEM_MAX_SLOTS = 8 };

struct gmem_slot {
	uint64_t gpa;	 /* guest-physical start, page aligned */
	uint64_t len;	 /* bytes, page aligned */
	uint8_t *hva;	 /* host mapping of the slot */
	int fd;		 /* of struct gmem, borrowed; -1: private RAM */
	uint64_t offset; /* of the slot's first byte in fd */
	uint32_t id;	 /* KVM memslot number */
};

/*
 * A mirror of the memory map: KVM's memslots, vhost's memory table, vDPA's IOTLB. Called for every
 * slot at registration and for each change after it, in order. `add` may fail (negative errno),
 * which undoes the change; `remove` may not.
 */
struct gmem_listener {
	int (*add)(struct gmem_listener *listener, const struct gmem_slot *slot);
	void (*remove)(struct gmem_listener *listener, const struct gmem_slot *slot);
	/*
	 * For core/dirty.h, of those that let something write RAM which is neither a vCPU nor this
	 * process; NULL for others. `log` turns a log of these writes on, in which every page is
	 * clean, or off; idempotent. Turning it on may fail (negative errno, logged): then it is
	 * off. `take` is gmem_log_take() for the slot, while the log is on. Machine's thread.
	 */
	int (*log)(struct gmem_listener *listener, bool on);
	void (*take)(struct gmem_listener *listener, const struct gmem_slot *slot, uint64_t *words);
	struct gmem_listener *next;
};

/*
 * Called before each step of work on all RAM, which may take a second per GiB: whether to stop.
 * Machine's thread.
 */
struct gmem_stop {
	bool (*wanted)(void *owner); /* NULL: never */
	void *owner;
};

struct gmem_origin;

struct gmem {
	struct gmem_slot slots[GMEM_MAX_SLOTS];
	unsigned count;
	uint64_t size; /* bytes of RAM in all slots */
	int fd;	       /* memfd of every slot, owned; -1: private RAM */
	bool hugepages; /* from the reserved pool */
	unsigned pins;	/* of gmem_pin(); with `discarding` */
	pthread_mutex_t discarding;
	uint8_t *base; /* one mapping of everything, owned */
	struct gmem_origin *origin; /* owned; NULL: RAM is not a private mapping of a file */
	uint64_t *log;	/* owned, atomic: bit by page of all RAM, 4 KiB each */
	bool is_logged; /* atomic: gmem_written() marks pages in `log` */
	struct gmem_listener *listeners;
	struct gmem_stop stop;
};

struct gmem_options {
	/*
	 * RAM is a memfd that other processes can map (vhost-user, snapshots). Private RAM gets
	 * transparent huge pages on every distribution, a memfd on few: it costs some 30 times the
	 * page faults of a boot (docs/performance.md), hence not the default.
	 */
	bool shared;
	bool hugepages; /* from the reserved pool; size must be a multiple of 2 MiB */
	bool prefault;	/* populate now instead of at first touch; also copies what `file` has */
	/*
	 * RAM begins as the contents of `file`, a memory file (gmem_save()) of exactly all RAM's
	 * size; borrowed during gmem_init(). Private RAM is a private mapping of it, whose pages
	 * come at their first touch, are shared with other mappings until they are written, and
	 * are never written to the file. Other RAM takes a copy of the file's data. The file must
	 * not be changed until gmem_destroy(): one that becomes shorter is a SIGBUS at a touch.
	 */
	bool from_file;
	int file;
	struct gmem_stop stop; /* of prefault, and of gmem_clear() later */
};

/* A guest-physical range of RAM, chosen by the arch. */
struct gmem_range {
	uint64_t gpa;
	uint64_t len; /* bytes */
};

/*
 * Maps the ranges' total size once and adds one slot per range. Errors: -EINVAL for ranges that are
 * unaligned, overlapping, wrapping or too many, and, logged, for a file of another size; -ECANCELED
 * when it was stopped; others, logged, of memfd_create(2), ftruncate(2), mmap(2), madvise(2) and
 * pread(2).
 */
__must_check int gmem_init(struct gmem *mem, const struct gmem_range *ranges, unsigned count,
			   const struct gmem_options *options);

/* Removes every slot from the listeners, then unmaps and closes. Idempotent. */
void gmem_destroy(struct gmem *mem);

/*
 * All RAM reads as zero again, and takes no memory until it is touched; huge pages stay allocated,
 * and a file's private mapping ends. No vCPU may run. Negative errno; -ECANCELED: it was stopped,
 * and some of RAM is unchanged.
 */
__must_check int gmem_clear(struct gmem *mem);

/*
 * Gives the whole host pages inside `len` bytes of RAM at `hva`, a pointer from gmem_ptr() or
 * gmem_iov(), back to the host. They read as zero from then on, and cost nothing until they are
 * touched again; what was prefaulted of them is not any more. vhost, and processes that map the RAM,
 * see the same. To the log of writes it is one.
 *
 * Returns the bytes given back, also of pages that were never touched; 0 while RAM is pinned, and for
 * huge pages, which stay for the reason that gmem_clear() has. Of a file's private mapping only whole blocks of 2 MiB (in
 * RAM of more than 8 GiB: a 4,096th of it, rounded up to a power of two) are given back, and pages
 * of blocks that once were: each other page would need a mapping of its own, and those are limited.
 * -EFAULT for what is not RAM, or the errno of madvise(2) or mmap(2). Any thread, vCPUs may run;
 * how long it takes depends on `len`: the caller bounds it.
 */
__must_check ssize_t gmem_discard(struct gmem *mem, const void *hva, uint64_t len);

/*
 * A device has the pages of RAM, as they are now, from the first until the same number of the second:
 * it would not see what replaces them. Any thread.
 */
void gmem_pin(struct gmem *mem);
void gmem_unpin(struct gmem *mem);

/* A memory file: all RAM, each slot at its offset, without gaps; holes are pages of zeros. */
struct gmem_save {
	int fd;	  /* where to: an empty regular file, borrowed */
	int base; /* memory file that it is a diff of, borrowed; -1: none */
	void (*progress)(void *owner, uint64_t done, uint64_t size); /* bytes; NULL is allowed */
	void *owner;
	uint64_t pages; /* set: of the host, that differ from `base`, or without it from zero */
};

/*
 * Writes all RAM to a file. Pages that were never touched are not read, and those of zeros not
 * written. With a base, the file first becomes a copy of it, which shares the base's blocks where
 * the file system can (FICLONE), and only pages that differ are written. If RAM is a private
 * mapping of the base, pages that it has not copied are not compared.
 *
 * RAM must not change: vCPUs are parked and devices frozen. -EINVAL for a base of another size;
 * -ECANCELED when it was stopped (gmem_options); -ENOMEM; errno of pwrite(2), ftruncate(2),
 * fallocate(2) and mmap(2). After an error the file is of no use: the caller removes it. Machine's
 * thread.
 */
__must_check int gmem_save(const struct gmem *mem, struct gmem_save *save);

/* Registers and replays the current slots. On error the listener is not registered. */
__must_check int gmem_add_listener(struct gmem *mem, struct gmem_listener *listener);

/* Unregisters; `remove` is called for each slot. Does nothing if it is not registered. */
void gmem_del_listener(struct gmem *mem, struct gmem_listener *listener);

/*
 * Host pointer to [gpa, gpa + len), or NULL unless the whole range is in one slot. Borrowed: valid
 * until gmem_destroy(). len 0 gives NULL.
 */
void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len);

/* Whether writes are logged now; to be asked after the write. */
static inline bool gmem_is_logged(const struct gmem *mem)
{
	return __builtin_expect(__atomic_load_n(&mem->is_logged, __ATOMIC_ACQUIRE), false);
}

void gmem_log_write(const struct gmem *mem, const void *hva, uint64_t len);

/*
 * To be called after each write of this process to [hva, hva + len) of guest RAM through a pointer
 * of gmem_ptr() or gmem_iov(), and before a guest is told of it: core/dirty.h must know the pages.
 * virtq_push() does it for all buffers of a queue, and gmem_write(), gmem_pread(), gmem_discard()
 * and gmem_clear() for theirs. Any thread.
 */
static inline void gmem_written(const struct gmem *mem, const void *hva, uint64_t len)
{
	if (gmem_is_logged(mem))
		gmem_log_write(mem, hva, len);
}

/*
 * Takes bits [first, first + count) of a log, to which others may add at the same time: clears them,
 * and sets those that were set in `words`, from bit 0. Who has a bit sees what was written before it
 * was set.
 */
void gmem_log_take(uint64_t *log, uint64_t first, uint64_t count, uint64_t *words);

/* Copies out of or into guest RAM; the range may span adjacent slots. 0 or -EFAULT. */
__must_check int gmem_read(const struct gmem *mem, uint64_t gpa, void *buf, uint64_t len);
__must_check int gmem_write(const struct gmem *mem, uint64_t gpa, const void *buf, uint64_t len);

/*
 * Appends [gpa, gpa + len) to iov, one entry per slot touched. Returns the number of entries added,
 * -EFAULT when part of the range is not RAM, -ENOBUFS when `max` entries do not suffice.
 */
__must_check int gmem_iov(const struct gmem *mem, uint64_t gpa, uint64_t len, struct iovec *iov,
			  unsigned max);

/*
 * Reads exactly len bytes of a file, from file offset `off`, straight into guest RAM at gpa.
 * 0, -EFAULT, -EIO at a premature end of file, or the errno of pread(2).
 */
__must_check int gmem_pread(const struct gmem *mem, uint64_t gpa, int fd, uint64_t off,
			    uint64_t len);

/* The listener that mirrors slots into KVM_SET_USER_MEMORY_REGION. */
struct gmem_kvm {
	struct gmem_listener listener;
	struct kvm *kvm; /* borrowed */
	bool log_writes; /* KVM_MEM_LOG_DIRTY_PAGES */
};

/* Maps RAM into the VM and follows changes. Undo: gmem_del_listener(mem, &gk->listener). */
__must_check int gmem_kvm_attach(struct gmem_kvm *gk, struct gmem *mem, struct kvm *kvm);

/*
 * Turns KVM's dirty log of vCPU writes on or off: core/dirty.h. Logged errors of
 * KVM_SET_USER_MEMORY_REGION, and then no slot has a log.
 */
__must_check int gmem_kvm_log_writes(struct gmem_kvm *gk, struct gmem *mem, bool on);

#endif
