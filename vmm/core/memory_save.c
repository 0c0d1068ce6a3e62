/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All RAM, to a file. What needs not be read is told by the kernel: pages that this process never
 * touched, by pagemap (Documentation/admin-guide/mm/pagemap.rst); of files, by their holes.
 */
#include "memory_map.h"

#include "base/checked.h"
#include "base/files.h"
#include "base/zero.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE = 4 << 20, PIECE_PAGES = PIECE / 4096 };

/* pagemap.rst: in swap, in RAM, of a file (or shared). */
#define PAGEMAP_PRESENT (1ULL << 63 | 1ULL << 62)
#define PAGEMAP_FILE (1ULL << 61)

enum page_source {
	SOURCE_UNKNOWN, /* must be read */
	SOURCE_ZERO,
	SOURCE_ORIGIN, /* as in the file that RAM is a private mapping of */
};

enum page_action { ACTION_KEEP, ACTION_WRITE, ACTION_PUNCH };

struct writer {
	const struct gmem *mem;
	struct gmem_save *save;
	uint8_t *base; /* mapping of save->base, owned; NULL: no base, the file is one hole */
	bool base_is_origin;
	uint64_t page; /* bytes */
	int pagemap;   /* owned; -1: cannot be read */
};

/* Bytes [at, end) of RAM, by page. */
struct piece {
	uint64_t at, end;
	uint8_t source[PIECE_PAGES]; /* enum page_source */
	uint8_t base_is_hole[PIECE_PAGES];
};

/* --- What needs not be read ------------------------------------------------------------------- */

/* Advances to the next hole of the file in [*at, limit): false if there is none. */
static bool find_hole(int fd, uint64_t limit, uint64_t *at, uint64_t *end)
{
	off_t hole = lseek(fd, (off_t)*at, SEEK_HOLE), data;

	if (hole < 0 || (uint64_t)hole >= limit)
		return false;
	data = lseek(fd, hole, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return false;
	*at = (uint64_t)hole;
	*end = data < 0 || (uint64_t)data > limit ? limit : (uint64_t)data;
	return true;
}

/* Pages that lie in holes of the file: those that are `from` become `to`. */
static void mark_holes(const struct writer *w, const struct piece *piece, int fd, uint8_t *pages,
		       uint8_t from, uint8_t to)
{
	uint64_t at = piece->at, end;

	for (; at < piece->end && find_hole(fd, piece->end, &at, &end); at = end) {
		uint64_t i = (align_up(at, w->page) - piece->at) / w->page;
		/* RAM's last page may be a part of one. */
		uint64_t last = end == piece->end ? align_up(end - piece->at, w->page) / w->page
						  : (end - piece->at) / w->page;

		for (; i < last; i++)
			if (pages[i] == from)
				pages[i] = to;
	}
}

/* Of private RAM: pages that this process has not written, nor read as zeros. */
static void mark_untouched(const struct writer *w, struct piece *piece)
{
	const struct gmem_origin *origin = w->mem->origin;
	uint64_t entries[PIECE_PAGES];
	size_t count = (piece->end - piece->at + w->page - 1) / w->page;
	uint64_t first = ((uintptr_t)w->mem->base + piece->at) / w->page;

	if (pread_exactly(w->pagemap, entries, count * sizeof(entries[0]),
			  first * sizeof(entries[0])))
		return;
	for (size_t i = 0; i < count; i++) {
		uint64_t at = piece->at + i * w->page;

		if (!(entries[i] & PAGEMAP_PRESENT) || (entries[i] & PAGEMAP_FILE))
			piece->source[i] = origin && !memory_is_released(origin, at) ? SOURCE_ORIGIN
										     : SOURCE_ZERO;
	}
	if (origin)
		mark_holes(w, piece, origin->fd, piece->source, SOURCE_ORIGIN, SOURCE_ZERO);
}

static void look_up(const struct writer *w, struct piece *piece)
{
	memset(piece->source, SOURCE_UNKNOWN, sizeof(piece->source));
	memset(piece->base_is_hole, false, sizeof(piece->base_is_hole));
	if (w->mem->fd >= 0)
		mark_holes(w, piece, w->mem->fd, piece->source, SOURCE_UNKNOWN, SOURCE_ZERO);
	else if (w->pagemap >= 0)
		mark_untouched(w, piece);
	if (w->base)
		mark_holes(w, piece, w->save->base, piece->base_is_hole, false, true);
}

/* --- What is written -------------------------------------------------------------------------- */

static enum page_action decide(const struct writer *w, const struct piece *piece, uint64_t at,
			       uint64_t len)
{
	size_t i = (at - piece->at) / w->page;
	const uint8_t *page = w->mem->base + at;
	bool zero;

	if (piece->source[i] == SOURCE_ORIGIN && w->base_is_origin)
		return ACTION_KEEP;
	zero = piece->source[i] == SOURCE_ZERO || is_zero(page, len);
	if (!w->base || piece->base_is_hole[i])
		return zero ? ACTION_KEEP : ACTION_WRITE;
	if (zero)
		return is_zero(w->base + at, len) ? ACTION_KEEP : ACTION_PUNCH;
	return memcmp(page, w->base + at, len) == 0 ? ACTION_KEEP : ACTION_WRITE;
}

static int write_range(int fd, const uint8_t *from, uint64_t at, uint64_t len)
{
	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		at += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int act(const struct writer *w, enum page_action action, uint64_t at, uint64_t end)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (action == ACTION_KEEP || at == end)
		return 0;
	w->save->pages += (end - at + w->page - 1) / w->page;
	if (action == ACTION_WRITE)
		return write_range(w->save->fd, w->mem->base + at, at, end - at);
	return fallocate(w->save->fd, punch, (off_t)at, (off_t)(end - at)) ? -errno : 0;
}

/* Pages in a row with the same action take one call. */
static int save_piece(const struct writer *w, const struct piece *piece)
{
	enum page_action action = ACTION_KEEP;
	uint64_t start = piece->at;

	for (uint64_t at = piece->at, next; at < piece->end; at = next) {
		enum page_action here;

		next = at + w->page < piece->end ? at + w->page : piece->end;
		here = decide(w, piece, at, next - at);
		if (here != action) {
			int ret = act(w, action, start, at);

			if (ret)
				return ret;
			action = here;
			start = at;
		}
	}
	return act(w, action, start, piece->end);
}

static int save_all(const struct writer *w)
{
	const uint64_t size = w->mem->size;

	for (uint64_t at = 0, end; at < size; at = end) {
		struct piece piece;
		int ret;

		if (memory_stop_wanted(w->mem))
			return -ECANCELED;
		end = size - at < PIECE ? size : at + PIECE;
		piece.at = at;
		piece.end = end;
		look_up(w, &piece);
		ret = save_piece(w, &piece);
		if (ret)
			return ret;
		if (w->save->progress)
			w->save->progress(w->save->owner, end, size);
	}
	return 0;
}

/* --- The base --------------------------------------------------------------------------------- */

static int copy_piece(void *owner, uint64_t at, uint64_t len)
{
	const struct writer *w = owner;

	return write_range(w->save->fd, w->base + at, at, len);
}

/* Maps the base, and makes the file a copy of it. */
static int take_base(struct writer *w)
{
	const uint64_t size = w->mem->size;
	struct stat base, origin;
	void *map;

	if (fstat(w->save->base, &base))
		return -errno;
	if (!S_ISREG(base.st_mode) || (uint64_t)base.st_size != size)
		return -EINVAL;
	if (w->mem->origin) {
		if (fstat(w->mem->origin->fd, &origin))
			return -errno;
		w->base_is_origin = base.st_dev == origin.st_dev && base.st_ino == origin.st_ino;
	}
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, w->save->base, 0);
	if (map == MAP_FAILED)
		return -errno;
	w->base = map;
	/* ioctl_ficlonerange(2): where it is not possible, the data is copied. */
	if (!ioctl(w->save->fd, FICLONE, w->save->base))
		return 0;
	return memory_for_data(w->mem, w->save->base, copy_piece, w);
}

int gmem_save(const struct gmem *mem, struct gmem_save *save)
{
	struct writer w = {
		.mem = mem,
		.save = save,
		.page = (uint64_t)sysconf(_SC_PAGESIZE),
		.pagemap = mem->fd < 0 ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1,
	};
	int ret = 0;

	save->pages = 0;
	if (save->base >= 0)
		ret = take_base(&w);
	if (!ret && ftruncate(save->fd, (off_t)mem->size))
		ret = -errno;
	if (!ret)
		ret = save_all(&w);
	if (w.base)
		munmap(w.base, mem->size);
	close_fd(&w.pagemap);
	return ret;
}
