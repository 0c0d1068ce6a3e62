/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_map.h"

#include "base/checked.h"
#include "base/files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	HUGE_PAGE = GMEM_HUGE_PAGE,
	PIECE = 16 << 20, /* of work on all RAM, between checks whether to stop */
};

bool memory_stop_wanted(const struct gmem *mem)
{
	return mem->stop.wanted && mem->stop.wanted(mem->stop.owner);
}

/* A memfd for RAM that others may map, but not shrink; -1 for private RAM. */
static int create_memfd(const struct gmem *mem, const struct gmem_options *options, int *fd_out)
{
	unsigned huge = options->hugepages ? MFD_HUGETLB : 0;
	_cleanup_close_ int fd = -1;

	*fd_out = -1;
	if (!options->shared)
		return 0;
	fd = memfd_create("kinglet-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
	if (fd < 0 || ftruncate(fd, (off_t)mem->size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	*fd_out = steal_fd(&fd);
	return 0;
}

static int new_origin(const struct gmem *mem, int file, struct gmem_origin **out)
{
	struct gmem_origin *origin = calloc(1, sizeof(*origin));

	if (!origin)
		return -ENOMEM;
	origin->page = (uint64_t)sysconf(_SC_PAGESIZE);
	for (origin->block = HUGE_PAGE; mem->size / origin->block >= GMEM_MAX_BLOCKS;)
		origin->block *= 2;
	origin->fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
	*out = origin;
	return origin->fd < 0 ? -errno : 0;
}

static void free_origin(struct gmem *mem)
{
	if (mem->origin)
		close_fd(&mem->origin->fd);
	free(mem->origin);
	mem->origin = NULL;
}

static int map_flags(const struct gmem *mem)
{
	/* Huge pages are reserved: one that is missing at its first touch is a SIGBUS. */
	int flags = MAP_FIXED | (mem->hugepages ? 0 : MAP_NORESERVE);

	if (mem->fd >= 0)
		return flags | MAP_SHARED;
	if (mem->origin)
		return flags | MAP_PRIVATE;
	return flags | MAP_PRIVATE | MAP_ANONYMOUS | (mem->hugepages ? MAP_HUGETLB : 0);
}

/*
 * Maps at a multiple of 2 MiB: only if host and guest addresses agree modulo 2 MiB can a huge page
 * be mapped into the guest by one fault instead of 512.
 */
static int map_aligned(struct gmem *mem)
{
	int fd = mem->origin ? mem->origin->fd : mem->fd;
	size_t reserved = mem->size + HUGE_PAGE;
	char *area, *base;

	area = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	base = (char *)align_up((uintptr_t)area, HUGE_PAGE);
	if (mmap(base, mem->size, PROT_READ | PROT_WRITE, map_flags(mem), fd, 0) == MAP_FAILED) {
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

		if (memory_stop_wanted(mem))
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
 * Hints; a kernel without them serves as well. A core dump of Kinglet does not include the guest's
 * RAM.
 */
static void give_hints(uint8_t *at, uint64_t len)
{
	madvise(at, len, MADV_HUGEPAGE);
	madvise(at, len, MADV_DONTDUMP);
}

/* Anonymous memory in place of a file's private mapping. */
static int release(const struct gmem *mem, uint8_t *at, uint64_t len, int advice)
{
	const int flags = MAP_FIXED | MAP_NORESERVE | MAP_PRIVATE | MAP_ANONYMOUS;

	(void)mem;
	(void)advice;
	if (mmap(at, len, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		return -errno;
	/* The same ones, so that the kernel joins it with a neighbour. */
	give_hints(at, len);
	return 0;
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

struct pieces {
	const struct gmem *mem;
	int (*work)(void *owner, uint64_t at, uint64_t len);
	void *owner;
};

static int work_in_pieces(void *owner, uint64_t at, uint64_t end)
{
	const struct pieces *pieces = owner;
	int ret = end > pieces->mem->size ? -EINVAL : 0;

	while (at < end && !ret) {
		uint64_t len = end - at < PIECE ? end - at : PIECE;

		ret = memory_stop_wanted(pieces->mem) ? -ECANCELED
						      : pieces->work(pieces->owner, at, len);
		at += len;
	}
	return ret;
}

int memory_for_data(const struct gmem *mem, int file,
		    int (*work)(void *owner, uint64_t at, uint64_t len), void *owner)
{
	return file_for_data(file, mem->size, work_in_pieces,
			     &(struct pieces){ mem, work, owner });
}

struct copy {
	const struct gmem *mem;
	int file;
};

static int copy_piece(void *owner, uint64_t at, uint64_t len)
{
	const struct copy *copy = owner;

	return pread_exactly(copy->file, copy->mem->base + at, len, at);
}

int memory_map(struct gmem *mem, const struct gmem_options *options)
{
	bool is_copied = options->shared || options->hugepages;
	int ret = create_memfd(mem, options, &mem->fd);

	if (!ret && options->from_file && !is_copied)
		ret = new_origin(mem, options->file, &mem->origin);
	if (!ret)
		ret = map_aligned(mem);
	if (ret)
		return ret;
	give_hints(mem->base, mem->size);
	if (options->prefault)
		ret = work_through(mem, advise, MADV_POPULATE_WRITE);
	if (!ret && options->from_file && is_copied)
		ret = memory_for_data(mem, options->file, copy_piece,
				      &(struct copy){ mem, options->file });
	return ret;
}

void memory_unmap(struct gmem *mem)
{
	if (mem->base)
		munmap(mem->base, mem->size);
	mem->base = NULL;
	free_origin(mem);
	close_fd(&mem->fd);
}

/* The advice that returns memory to the host, so that it reads as zero. */
static int release_advice(const struct gmem *mem)
{
	return mem->fd < 0 ? MADV_DONTNEED : MADV_REMOVE;
}

int gmem_clear(struct gmem *mem)
{
	int ret;

	if (mem->hugepages)
		ret = work_through(mem, zero_huge_pages, 0);
	else
		ret = work_through(mem, mem->origin ? release : advise, release_advice(mem));
	gmem_written(mem, mem->base, mem->size);
	if (!ret)
		free_origin(mem);
	return ret;
}

bool memory_is_released(const struct gmem_origin *origin, uint64_t offset)
{
	uint64_t block = offset / origin->block;

	return __atomic_load_n(&origin->released[block / 64], __ATOMIC_ACQUIRE) >> block % 64 & 1;
}

/* Gives back what can be of [start, end), which is in one block: the bytes, or a negative errno. */
static ssize_t discard_of_block(const struct gmem *mem, uint64_t start, uint64_t end)
{
	struct gmem_origin *origin = mem->origin;
	uint64_t block = start / origin->block, block_end = (block + 1) * origin->block;
	int ret;

	if (memory_is_released(origin, start)) {
		ret = advise(mem, mem->base + start, end - start, MADV_DONTNEED);
	} else if (start % origin->block == 0 && (end == block_end || end == mem->size)) {
		ret = release(mem, mem->base + start, end - start, 0);
		if (!ret)
			__atomic_fetch_or(&origin->released[block / 64], 1ULL << block % 64,
					  __ATOMIC_RELEASE);
	} else {
		return 0;
	}
	return ret ? ret : (ssize_t)(end - start);
}

static ssize_t discard_range(const struct gmem *mem, uint64_t start, uint64_t end)
{
	ssize_t given = 0, ret;

	if (!mem->origin) {
		ret = advise(mem, mem->base + start, end - start, release_advice(mem));
		return ret ? ret : (ssize_t)(end - start);
	}
	for (uint64_t next; start < end; start = next) {
		next = align_up(start + 1, mem->origin->block);
		if (next > end)
			next = end;
		ret = discard_of_block(mem, start, next);
		if (ret < 0)
			return ret;
		given += ret;
	}
	return given;
}

void gmem_pin(struct gmem *mem)
{
	pthread_mutex_lock(&mem->discarding);
	mem->pins++;
	pthread_mutex_unlock(&mem->discarding);
}

void gmem_unpin(struct gmem *mem)
{
	pthread_mutex_lock(&mem->discarding);
	mem->pins--;
	pthread_mutex_unlock(&mem->discarding);
}

ssize_t gmem_discard(struct gmem *mem, const void *hva, uint64_t len)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	/* Relative to mem->base, which is aligned to more than any page. */
	uint64_t offset = (uint64_t)((uintptr_t)hva - (uintptr_t)mem->base), start, end;
	ssize_t ret = 0;

	if (!range_fits(offset, len, mem->size))
		return -EFAULT;
	start = align_up(offset, page);
	end = (offset + len) & ~(page - 1);
	if (mem->hugepages || start >= end)
		return 0;
	pthread_mutex_lock(&mem->discarding);
	if (!mem->pins)
		ret = discard_range(mem, start, end);
	pthread_mutex_unlock(&mem->discarding);
	gmem_written(mem, mem->base + start, end - start);
	return ret;
}
