/* SPDX-License-Identifier: Apache-2.0 */
#include "core/memory.h"

#include "base/checked.h"
#include "base/files.h"
#include "base/log.h"

#include <string.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	PIECE = 16 << 20, /* of work on all RAM, between checks whether to stop */
};

/* Total size, or 0 when a range is empty, unaligned, wraps, or is not above the one before it. */
static uint64_t ranges_size(const struct gmem_range *ranges, unsigned count)
{
	uint64_t size = 0, floor = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct gmem_range *r = &ranges[i];
		uint64_t end;

		if (!r->len || r->gpa % PAGE || r->len % PAGE || r->gpa < floor)
			return 0;
		if (__builtin_add_overflow(r->gpa, r->len, &end) ||
		    __builtin_add_overflow(size, r->len, &size))
			return 0;
		floor = end;
	}
	return size;
}

/* A memfd for RAM that others may map; -1 for private RAM. */
static int create_file(const struct gmem *mem, const struct gmem_options *options, int *fd_out)
{
	unsigned huge = options->hugepages ? MFD_HUGETLB : 0;
	_cleanup_close_ int fd = -1;

	*fd_out = -1;
	if (!options->shared)
		return 0;
	fd = memfd_create("kinglet-ram", MFD_CLOEXEC | huge);
	if (fd < 0 || ftruncate(fd, (off_t)mem->size))
		return -errno;
	*fd_out = steal_fd(&fd);
	return 0;
}

/*
 * Maps at a multiple of 2 MiB: only if host and guest addresses agree modulo 2 MiB can a huge page
 * be mapped into the guest by one fault instead of 512.
 */
static int map_aligned(struct gmem *mem, const struct gmem_options *options)
{
	/* Huge pages are reserved: one that is missing at its first touch is a SIGBUS. */
	int flags = MAP_FIXED | (options->hugepages ? 0 : MAP_NORESERVE);
	size_t reserved = mem->size + HUGE_PAGE;
	char *area, *base;

	flags |= mem->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	if (mem->fd < 0 && options->hugepages)
		flags |= MAP_HUGETLB;

	area = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	base = (char *)align_up((uintptr_t)area, HUGE_PAGE);
	if (mmap(base, mem->size, PROT_READ | PROT_WRITE, flags, mem->fd, 0) == MAP_FAILED) {
		int ret = -errno;

		munmap(area, reserved);
		return ret;
	}
	if (base > area)
		munmap(area, (size_t)(base - area));
	munmap(base + mem->size, (size_t)(area + reserved - (base + mem->size)));
	mem->base = (uint8_t *)base;
	return 0;
}

/* Applies `work` to all RAM, in pieces; it can be stopped between them. */
static int work_through(const struct gmem *mem,
			int (*work)(const struct gmem *mem, uint8_t *at, uint64_t len, int advice),
			int advice)
{
	uint64_t left = mem->size;

	while (left) {
		uint64_t len = left < PIECE ? left : PIECE;
		int ret;

		if (mem->stop.wanted && mem->stop.wanted(mem->stop.owner))
			return -ECANCELED;
		ret = work(mem, mem->base + mem->size - left, len, advice);
		if (ret)
			return ret;
		left -= len;
	}
	return 0;
}

static int advise(const struct gmem *mem, uint8_t *at, uint64_t len, int advice)
{
	(void)mem;
	return madvise(at, len, advice) ? -errno : 0;
}

/*
 * Returning a huge page gives up its reservation, and the guest's next access could be a SIGBUS.
 * Untouched ones of private RAM are skipped.
 */
static int zero_huge_pages(const struct gmem *mem, uint8_t *at, uint64_t len, int advice)
{
	(void)advice;
	for (; len; at += HUGE_PAGE, len -= HUGE_PAGE) {
		unsigned char touched = 1;

		if (mem->fd < 0 && mincore(at, PAGE, &touched))
			return -errno;
		if (touched & 1)
			memset(at, 0, HUGE_PAGE);
	}
	return 0;
}

static int map_ram(struct gmem *mem, const struct gmem_options *options)
{
	int ret = create_file(mem, options, &mem->fd);

	if (!ret)
		ret = map_aligned(mem, options);
	if (ret)
		return ret;

	/*
	 * Hints; a kernel without them serves as well. A core dump of Kinglet does not include the
	 * guest's RAM.
	 */
	madvise(mem->base, mem->size, MADV_HUGEPAGE);
	madvise(mem->base, mem->size, MADV_DONTDUMP);
	return options->prefault ? work_through(mem, advise, MADV_POPULATE_WRITE) : 0;
}

int gmem_init(struct gmem *mem, const struct gmem_range *ranges, unsigned count,
	      const struct gmem_options *options)
{
	uint64_t offset = 0;
	int ret;

	*mem = (struct gmem){
		.fd = -1, .hugepages = options->hugepages, .stop = options->stop
	};
	if (!count || count > GMEM_MAX_SLOTS)
		return -EINVAL;
	mem->size = ranges_size(ranges, count);
	if (!mem->size || (options->hugepages && mem->size % HUGE_PAGE))
		return -EINVAL;

	ret = map_ram(mem, options);
	if (ret && ret != -ECANCELED)
		log_error("guest RAM: %llu MiB%s: %s; ask for less by --memory",
			  (unsigned long long)mem->size >> 20,
			  options->hugepages ? " of huge pages (see /proc/sys/vm/nr_hugepages)" : "",
			  strerror(-ret));
	if (ret) {
		gmem_destroy(mem);
		return ret;
	}

	for (unsigned i = 0; i < count; i++) {
		mem->slots[i] = (struct gmem_slot){
			.gpa = ranges[i].gpa,
			.len = ranges[i].len,
			.hva = mem->base + offset,
			.fd = mem->fd,
			.offset = offset,
			.id = i,
		};
		offset += ranges[i].len;
	}
	mem->count = count;
	return 0;
}

void gmem_destroy(struct gmem *mem)
{
	while (mem->listeners)
		gmem_del_listener(mem, mem->listeners);
	if (mem->base)
		munmap(mem->base, mem->size);
	mem->base = NULL;
	mem->count = 0;
	close_fd(&mem->fd);
}

/* The advice that returns memory to the host, so that it reads as zero. */
static int release_advice(const struct gmem *mem)
{
	return mem->fd < 0 ? MADV_DONTNEED : MADV_REMOVE;
}

int gmem_clear(struct gmem *mem)
{
	if (mem->hugepages)
		return work_through(mem, zero_huge_pages, 0);
	return work_through(mem, advise, release_advice(mem));
}

ssize_t gmem_discard(const struct gmem *mem, const void *hva, uint64_t len)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	/* Relative to mem->base, which is aligned to more than any page. */
	uint64_t offset = (uint64_t)((uintptr_t)hva - (uintptr_t)mem->base), start, end;
	int ret;

	if (!range_fits(offset, len, mem->size))
		return -EFAULT;
	start = align_up(offset, page);
	end = (offset + len) & ~(page - 1);
	if (mem->hugepages || start >= end)
		return 0;
	ret = advise(mem, mem->base + start, end - start, release_advice(mem));
	return ret ? ret : (ssize_t)(end - start);
}

int gmem_add_listener(struct gmem *mem, struct gmem_listener *listener)
{
	for (unsigned i = 0; i < mem->count; i++) {
		int ret = listener->add(listener, &mem->slots[i]);

		if (ret) {
			while (i--)
				listener->remove(listener, &mem->slots[i]);
			return ret;
		}
	}
	listener->next = mem->listeners;
	mem->listeners = listener;
	return 0;
}

void gmem_del_listener(struct gmem *mem, struct gmem_listener *listener)
{
	struct gmem_listener **link = &mem->listeners;

	while (*link && *link != listener)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = listener->next;
	for (unsigned i = mem->count; i--;)
		listener->remove(listener, &mem->slots[i]);
}

/* The slot that holds gpa, and how many bytes of it lie at and after gpa. */
static const struct gmem_slot *find_slot(const struct gmem *mem, uint64_t gpa, uint64_t *room)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct gmem_slot *slot = &mem->slots[i];

		if (gpa >= slot->gpa && gpa - slot->gpa < slot->len) {
			*room = slot->len - (gpa - slot->gpa);
			return slot;
		}
	}
	return NULL;
}

void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t room;
	const struct gmem_slot *slot = find_slot(mem, gpa, &room);

	if (!slot || !len || len > room)
		return NULL;
	return slot->hva + (gpa - slot->gpa);
}

/*
 * Takes the next piece of [*gpa, *gpa + *len) that is in one slot and advances; NULL when the next
 * byte is not RAM. A range that would wrap ends in a byte that is not RAM, so it needs no check of
 * its own.
 */
static void *next_piece(const struct gmem *mem, uint64_t *gpa, uint64_t *len, size_t *piece)
{
	uint64_t room;
	const struct gmem_slot *slot = find_slot(mem, *gpa, &room);
	void *hva;

	if (!slot)
		return NULL;
	hva = slot->hva + (*gpa - slot->gpa);
	*piece = *len < room ? *len : room;
	*gpa += *piece;
	*len -= *piece;
	return hva;
}

int gmem_read(const struct gmem *mem, uint64_t gpa, void *buf, uint64_t len)
{
	char *to = buf;
	size_t piece;

	while (len) {
		const void *hva = next_piece(mem, &gpa, &len, &piece);

		if (!hva)
			return -EFAULT;
		memcpy(to, hva, piece);
		to += piece;
	}
	return 0;
}

int gmem_write(const struct gmem *mem, uint64_t gpa, const void *buf, uint64_t len)
{
	const char *from = buf;
	size_t piece;

	while (len) {
		void *hva = next_piece(mem, &gpa, &len, &piece);

		if (!hva)
			return -EFAULT;
		memcpy(hva, from, piece);
		from += piece;
	}
	return 0;
}

int gmem_iov(const struct gmem *mem, uint64_t gpa, uint64_t len, struct iovec *iov, unsigned max)
{
	unsigned count = 0;

	while (len) {
		size_t piece;
		void *hva = next_piece(mem, &gpa, &len, &piece);

		if (!hva)
			return -EFAULT;
		if (count == max)
			return -ENOBUFS;
		iov[count++] = (struct iovec){ .iov_base = hva, .iov_len = piece };
	}
	return (int)count;
}

int gmem_pread(const struct gmem *mem, uint64_t gpa, int fd, uint64_t off, uint64_t len)
{
	while (len) {
		size_t piece;
		void *hva = next_piece(mem, &gpa, &len, &piece);
		int ret;

		if (!hva)
			return -EFAULT;
		ret = pread_exactly(fd, hva, piece, off);
		if (ret)
			return ret == -ENODATA ? -EIO : ret;
		off += piece;
	}
	return 0;
}
