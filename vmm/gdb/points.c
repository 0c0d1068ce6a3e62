/* SPDX-License-Identifier: Apache-2.0 */
#include "points.h"

#include <string.h>

enum { PAGE_BYTES = 4096 }; /* the smallest page size */

static struct gdb_point *find(struct gdb_points *points, enum gdb_point_type type,
			      uint64_t address, uint64_t len)
{
	for (unsigned i = 0; i < points->count; i++) {
		struct gdb_point *point = &points->points[i];

		if (point->type == type && point->address == address && point->len == len)
			return point;
	}
	return NULL;
}

static void list_hard(struct gdb_points *points)
{
	static const enum arch_debug_kind kinds[] = {
		[GDB_POINT_SOFT] = ARCH_DEBUG_EXECUTE,	[GDB_POINT_HARD] = ARCH_DEBUG_EXECUTE,
		[GDB_POINT_WRITE] = ARCH_DEBUG_WRITE,	[GDB_POINT_READ] = ARCH_DEBUG_ACCESS,
		[GDB_POINT_ACCESS] = ARCH_DEBUG_ACCESS,
	};

	points->hard_count = 0;
	for (unsigned i = 0; i < points->count; i++) {
		const struct gdb_point *point = &points->points[i];

		if (!point->patched)
			points->hard[points->hard_count++] = (struct arch_debug_point){
				kinds[point->type], point->address, point->len
			};
	}
}

/* Whether a trap instruction can be placed there, within one page. */
static bool can_patch(const struct gmem *mem, struct vcpu *vcpu, struct gdb_point *point)
{
	uint8_t trap[ARCH_DEBUG_TRAP_MAX];
	unsigned len = arch_debug_trap(trap);

	return point->address % PAGE_BYTES + len <= PAGE_BYTES &&
	       arch_debug_translate(mem, vcpu, point->address, &point->gpa) >= 0 &&
	       gmem_ptr(mem, point->gpa, len);
}

int gdb_points_add(struct gdb_points *points, const struct gmem *mem, struct vcpu *vcpu,
		   enum gdb_point_type type, uint64_t address, uint64_t len)
{
	struct gdb_point point = { .type = type, .address = address, .len = len };

	/* No CPU can watch only reads: gdb then uses an access watchpoint and compares itself. */
	if (type == GDB_POINT_READ)
		return -EOPNOTSUPP;
	if (find(points, type, address, len))
		return 0;
	if (points->count == GDB_POINTS_MAX)
		return -ENOSPC;
	point.patched = type == GDB_POINT_SOFT && can_patch(mem, vcpu, &point);
	points->points[points->count++] = point;
	list_hard(points);
	if (!point.patched && !arch_debug_points_fit(vcpu, points->hard, points->hard_count)) {
		points->count--;
		list_hard(points);
		return type == GDB_POINT_SOFT ? -EFAULT : -ENOSPC;
	}
	return 0;
}

void gdb_points_remove(struct gdb_points *points, enum gdb_point_type type, uint64_t address,
		       uint64_t len)
{
	struct gdb_point *point = find(points, type, address, len);

	if (!point)
		return;
	*point = points->points[--points->count];
	list_hard(points);
}

/* Writes code that a vCPU may execute next. */
static int write_code(const struct gmem *mem, uint64_t gpa, const void *data, size_t len)
{
	const void *code = gmem_ptr(mem, gpa, len);
	int ret = gmem_write(mem, gpa, data, len);

	if (!ret && code)
		arch_debug_wrote(code, len);
	return ret;
}

void gdb_points_insert(struct gdb_points *points, const struct gmem *mem)
{
	uint8_t trap[ARCH_DEBUG_TRAP_MAX];
	unsigned len = arch_debug_trap(trap);

	if (points->in_memory)
		return;
	for (unsigned i = 0; i < points->count; i++) {
		struct gdb_point *point = &points->points[i];

		if (point->patched && (gmem_read(mem, point->gpa, point->saved, len) ||
				       write_code(mem, point->gpa, trap, len)))
			point->patched = false; /* cannot fail: RAM does not go away */
	}
	points->in_memory = true;
}

/* Backwards: two addresses may map to the same place. */
void gdb_points_take_out(struct gdb_points *points, const struct gmem *mem)
{
	uint8_t trap[ARCH_DEBUG_TRAP_MAX];
	unsigned len = arch_debug_trap(trap);

	if (!points->in_memory)
		return;
	for (unsigned i = points->count; i--;) {
		const struct gdb_point *point = &points->points[i];
		uint8_t now[ARCH_DEBUG_TRAP_MAX];

		/* What the guest has written there meanwhile is kept. */
		if (!point->patched || gmem_read(mem, point->gpa, now, len) ||
		    memcmp(now, trap, len) != 0 ||
		    write_code(mem, point->gpa, point->saved, len))
			continue;
	}
	points->in_memory = false;
}

bool gdb_points_have_traps(const struct gdb_points *points)
{
	for (unsigned i = 0; i < points->count; i++)
		if (points->points[i].patched)
			return true;
	return false;
}

const struct gdb_point *gdb_points_find(const struct gdb_points *points,
					const struct arch_debug_event *event)
{
	int hard = 0;

	for (unsigned i = 0; i < points->count; i++) {
		const struct gdb_point *point = &points->points[i];

		if (point->patched ? event->trap && point->address == event->pc :
				     hard++ == event->point && !event->trap)
			return point;
	}
	return NULL;
}

/* The part of [address, address + len) that is in one page, and its physical address. */
static int find_piece(const struct gmem *mem, struct vcpu *vcpu, uint64_t address, size_t *len,
		      uint64_t *gpa)
{
	size_t in_page = PAGE_BYTES - address % PAGE_BYTES;

	if (*len > in_page)
		*len = in_page;
	return arch_debug_translate(mem, vcpu, address, gpa);
}

/* One of `into` and `from` is NULL. Returns as gdb_memory_read(). */
static int copy(const struct gmem *mem, struct vcpu *vcpu, uint64_t address, char *into,
		const char *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const char *data = from ? from + done : NULL;
		size_t piece = len - done;
		uint64_t gpa;

		if (find_piece(mem, vcpu, address + done, &piece, &gpa) < 0 ||
		    (into ? gmem_read(mem, gpa, into + done, piece) :
			    write_code(mem, gpa, data, piece)))
			break;
		done += piece;
	}
	return done || !len ? (int)done : -EFAULT;
}

int gdb_memory_read(const struct gmem *mem, struct vcpu *vcpu, uint64_t address, void *data,
		    size_t len)
{
	return copy(mem, vcpu, address, data, NULL, len);
}

int gdb_memory_write(const struct gmem *mem, struct vcpu *vcpu, uint64_t address, const void *data,
		     size_t len)
{
	return copy(mem, vcpu, address, NULL, data, len);
}
