/* SPDX-License-Identifier: Apache-2.0 */
#include "core/memory.h"

#include "base/files.h"
#include "base/log.h"
#include "memory_map.h"

#include <string.h>
#include <sys/stat.h>

enum { PAGE = 4096 };

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

static int check_file(const struct gmem *mem, const struct gmem_options *options)
{
	struct stat st = { 0 };

	if (!options->from_file)
		return 0;
	if (!fstat(options->file, &st) && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == mem->size)
		return 0;
	log_error("guest RAM: the memory file has %lld bytes; this machine has %llu of RAM",
		  (long long)st.st_size, (unsigned long long)mem->size);
	return -EINVAL;
}

int gmem_init(struct gmem *mem, const struct gmem_range *ranges, unsigned count,
	      const struct gmem_options *options)
{
	uint64_t offset = 0;
	int ret;

	*mem = (struct gmem){
		.fd = -1, .hugepages = options->hugepages, .stop = options->stop,
		.discarding = PTHREAD_MUTEX_INITIALIZER,
	};
	if (!count || count > GMEM_MAX_SLOTS)
		return -EINVAL;
	mem->size = ranges_size(ranges, count);
	if (!mem->size || (options->hugepages && mem->size % GMEM_HUGE_PAGE))
		return -EINVAL;
	ret = check_file(mem, options);
	if (ret)
		return ret;

	ret = memory_map(mem, options);
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
	memory_unmap(mem);
	free(mem->log);
	mem->log = NULL;
	mem->is_logged = false;
	mem->count = 0;
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
		gmem_written(mem, hva, piece);
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
		gmem_written(mem, hva, piece);
		if (ret)
			return ret == -ENODATA ? -EIO : ret;
		off += piece;
	}
	return 0;
}
