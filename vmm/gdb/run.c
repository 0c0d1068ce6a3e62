/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping and resuming the vCPUs, and the stop reason. */
#include "internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void gdb_send(struct gdb *gdb, const struct gdb_reply *reply)
{
	gdb->frame_len = gdb_reply_frame(reply, gdb->frame);
	gdb->options.ops->send(gdb->options.owner, gdb->frame, gdb->frame_len);
}

void gdb_set_stop(struct gdb *gdb, unsigned index, unsigned signal, const char *reason)
{
	gdb->current = index;
	snprintf(gdb->stop, sizeof(gdb->stop), "T%02xthread:%x;%s", signal, index + 1, reason);
}

static void report(struct gdb *gdb)
{
	struct gdb_reply reply = { .len = 0 };

	gdb_reply_format(&reply, "%s", gdb->stop);
	gdb_send(gdb, &reply);
}

static bool is_watch(const struct gdb_point *point)
{
	return point && (point->type == GDB_POINT_WRITE || point->type == GDB_POINT_ACCESS);
}

/* The part of a stop packet for the point; NULL: a step. */
static void format_reason(const struct gdb *gdb, const struct gdb_point *point, char *text,
			  size_t len)
{
	text[0] = '\0';
	if (is_watch(point))
		snprintf(text, len, "%s:%" PRIx64 ";",
			 point->type == GDB_POINT_WRITE ? "watch" : "awatch", point->address);
	else if (point && gdb->tells_breaks)
		snprintf(text, len, "%s:;", point->type == GDB_POINT_SOFT ? "swbreak" : "hwbreak");
}

/*
 * Finds a stop of the vCPUs since they were resumed. If several have stopped, one is reported: the
 * others hit their breakpoint again when resumed, because it triggers before its instruction. An
 * exception that is not from our points is reinjected into the guest at the next gdb_resume().
 */
static bool find_hit(struct gdb *gdb)
{
	bool found = false;

	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		struct gdb_vcpu *v = &gdb->vcpus[i];
		const struct gdb_point *point;
		char reason[64];

		if (!atomic_load(&v->hit))
			continue;
		point = gdb_points_find(&gdb->points, &v->event);
		if (!point && !(v->event.step && v->action == GDB_STEP)) {
			v->reinject = v->event.trap ? ARCH_DEBUG_REINJECT_TRAP : ARCH_DEBUG_REINJECT_DEBUG;
		} else if (!found) {
			format_reason(gdb, point, reason, sizeof(reason));
			gdb_set_stop(gdb, i, GDB_SIGTRAP, reason);
			found = true;
		}
		atomic_store(&v->hit, false);
	}
	return found;
}

void gdb_stop(struct gdb *gdb)
{
	const struct machine_parts *parts = gdb->options.parts;

	if (!gdb->running)
		return;
	parts->ops->pausing(parts->vm);
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		struct gdb_vcpu *v = &gdb->vcpus[i];

		if (v->running)
			vcpu_pause(gdb_vcpu(gdb, i));
		v->running = false;
		if (arch_debug_stopped(gdb_vcpu(gdb, i), &v->note) < 0)
			log_error("gdb: vCPU %u: its registers cannot be set", i);
	}
	parts->ops->paused(parts->vm);
	gdb_points_take_out(&gdb->points, gdb->options.parts->mem);
	gdb->running = false;
}

static int control(struct gdb *gdb, unsigned index)
{
	struct gdb_vcpu *v = &gdb->vcpus[index];
	const struct arch_debug_control wanted = {
		.step = v->action == GDB_STEP,
		.traps = gdb_points_have_traps(&gdb->points),
		.reinject = v->reinject,
		.points = gdb->points.hard,
		.count = gdb->points.hard_count,
		.mem = gdb->options.parts->mem,
		.note = &v->note,
	};

	v->reinject = ARCH_DEBUG_REINJECT_NONE;
	return arch_debug_control(gdb_vcpu(gdb, index), &wanted);
}

static void release(struct gdb *gdb)
{
	gdb_points_insert(&gdb->points, gdb->options.parts->mem);
	gdb->running = true;
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		if (gdb->vcpus[i].action == GDB_STAY)
			continue;
		gdb->vcpus[i].running = true;
		vcpu_resume(gdb_vcpu(gdb, i));
	}
}

int gdb_resume(struct gdb *gdb)
{
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		int ret = gdb->vcpus[i].action == GDB_STAY ? 0 : control(gdb, i);

		if (ret < 0)
			return ret;
	}
	release(gdb);
	return 0;
}

void gdb_interrupt(struct gdb *gdb, unsigned signal)
{
	if (!gdb->running)
		return;
	gdb_stop(gdb);
	if (!find_hit(gdb))
		gdb_set_stop(gdb, gdb->current, signal, "");
	report(gdb);
}

void gdb_vcpu_debugged(struct gdb *gdb, struct vcpu *vcpu)
{
	struct gdb_vcpu *v = &gdb->vcpus[vcpu->id];

	arch_debug_event(vcpu, gdb->points.hard, gdb->points.hard_count, &v->event);
	atomic_store(&v->hit, true);
	gdb->options.ops->wake(gdb->options.owner);
}

static bool any_hit(const struct gdb *gdb)
{
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++)
		if (atomic_load(&gdb->vcpus[i].hit))
			return true;
	return false;
}

void gdb_look(struct gdb *gdb)
{
	if (!gdb->running || !any_hit(gdb))
		return;
	gdb_stop(gdb);
	/* Only exceptions of the guest itself: they are reinjected. */
	if (!find_hit(gdb) && gdb_resume(gdb) >= 0)
		return;
	report(gdb);
}

void gdb_let_go(struct gdb *gdb)
{
	gdb_stop(gdb);
	gdb->attached = false;
	gdb->points = (struct gdb_points){ .count = 0 };
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		gdb->vcpus[i].action = GDB_RUN;
		atomic_store(&gdb->vcpus[i].hit, false);
		if (control(gdb, i) < 0)
			log_error("gdb: vCPU %u: KVM_SET_GUEST_DEBUG failed", i);
	}
	release(gdb);
}

void gdb_restarting(struct gdb *gdb)
{
	if (!gdb->attached)
		return;
	gdb->points = (struct gdb_points){ .count = 0 };
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		gdb->vcpus[i].running = false;
		gdb->vcpus[i].reinject = ARCH_DEBUG_REINJECT_NONE;
		gdb->vcpus[i].note = 0;
		atomic_store(&gdb->vcpus[i].hit, false);
		vcpu_pause(gdb_vcpu(gdb, i));
	}
}

void gdb_restarted(struct gdb *gdb)
{
	bool was_running = gdb->running;

	if (!gdb->attached)
		return;
	gdb->running = false;
	gdb_set_stop(gdb, 0, GDB_SIGTRAP, "");
	if (was_running)
		report(gdb);
}
