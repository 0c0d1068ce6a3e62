/* SPDX-License-Identifier: Apache-2.0 */
#include "migration.h"

#include "migrate.h"
#include "pause.h"
#include "save.h"
#include "storage.h"

#include "base/log.h"
#include "core/dirty.h"
#include "machine/migration.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define DOWNTIME_NS (UINT64_C(300) * 1000000)

#define RETRY_NS (UINT64_C(10) * 1000000)
#define STORAGE_NS (UINT64_C(5000) * 1000000)

struct migration {
	struct migrate_source *source; /* owned */
	struct dirty_log log;
	bool runs;
	struct machine_progress progress;
	char where[160];

	/* A failed one: from then on its storage is wanted here. */
	struct vm *vm;
	struct loop_timer retry;
	uint64_t give_up_ns;
	enum migrate_result result;
	char why[320];
};

/* --- The source ------------------------------------------------------------------------------- */

static int describe(void *owner, int fd)
{
	return vm_save_to(owner, fd, false);
}

static int save(void *owner, int fd)
{
	int ret = storage_let_go(owner);

	return ret ? ret : vm_save_to(owner, fd, true);
}

static int log_start(void *owner)
{
	struct vm *vm = owner;

	return dirty_log_start_by_hand(&vm->migration->log, &vm->memslots, &vm->mem);
}

static int log_read(void *owner, void (*dirty)(void *set, uint64_t gpa), void *set)
{
	struct vm *vm = owner;

	return dirty_log_read(&vm->migration->log, dirty, set);
}

static int log_clear(void *owner, const struct gmem_slot *slot, uint64_t first, uint32_t count,
		     uint64_t *words)
{
	struct vm *vm = owner;

	return dirty_log_clear(&vm->migration->log, slot, first, count, words);
}

static void log_stop(void *owner)
{
	struct vm *vm = owner;

	dirty_log_stop(&vm->migration->log);
}

/* A guest that has gone down is dealt with here: its reset would clear what is being sent. */
static bool is_down(const struct vm *vm)
{
	return requests_has(&vm->requests, REQUEST_POWER_OFF) ||
	       requests_has(&vm->requests, REQUEST_RESET);
}

static int freeze(void *owner)
{
	struct vm *vm = owner;
	/* What then is left to write when the machine stands still is little. */
	int ret = storage_sync(vm);

	if (!ret)
		ret = run_pause(vm);
	if (ret)
		return ret == -EALREADY ? -EBUSY : ret;
	if (is_down(vm)) {
		ret = run_resume(vm);
		return ret ? ret : -ECANCELED;
	}
	for (unsigned i = 0; i < vm->device_count; i++)
		virtio_freeze(vm->devices[i]);
	vm->moving = true;
	return 0;
}

/* Without its storage it stands still, until it is told to go on once more. */
static int let_run(struct vm *vm, bool last)
{
	int ret = storage_take(vm, last);

	if (ret)
		return ret;
	vm->moving = false;
	for (unsigned i = 0; i < vm->device_count; i++)
		virtio_thaw(vm->devices[i]);
	if (run_resume(vm))
		log_error("after the migration the machine stays paused");
	return 0;
}

/* For --explain and --trace. */
static void note(struct vm *vm, const struct machine_progress *progress)
{
	const double mib = 1 << 20;

	if (progress->stood_ns)
		sys_note(vm->sys, SYS_TOPIC_MOVE, -1,
			 "the machine runs at %.80s; it stood still for %.1f ms",
			 vm->migration->where, (double)progress->stood_ns / 1e6);
	else if (progress->rate)
		sys_note(vm->sys, SYS_TOPIC_MOVE, -1,
			 "round %u: %.1f MiB of RAM that were written in the last one, at %.1f MiB/s "
			 "sent and %.1f written: %.1f ms%s",
			 progress->round, (double)progress->left / mib,
			 (double)progress->rate / mib, (double)progress->written / mib,
			 (double)progress->expected_ns / 1e6,
			 progress->stands ? "; the vCPUs stand still now" : "");
	else
		sys_note(vm->sys, SYS_TOPIC_MOVE, -1,
			 "round %u: %.1f MiB of RAM%s", progress->round,
			 (double)progress->left / mib,
			 progress->stands ? "; the vCPUs stand still now" : "");
}

static void progressed(void *owner, const struct machine_progress *progress)
{
	struct vm *vm = owner;

	vm->migration->progress = *progress;
	note(vm, progress);
	observers_moves(&vm->observers, progress);
}

static void decide_moved(struct vm *vm)
{
	const struct machine_progress *progress = &vm->migration->progress;

	ending_decide(&vm->ending, OUTCOME_QUIT, 0,
		      "moved to %.100s: %.1f MiB in %u rounds and %.1f s, %llu ms of them standing "
		      "still",
		      vm->migration->where, (double)progress->sent / (1 << 20), progress->round,
		      (double)progress->total_ns / 1e9,
		      (unsigned long long)progress->stood_ns / 1000000);
}

/* The machine goes on here, or stands still. */
static void tell_end(struct vm *vm)
{
	struct migration *migration = vm->migration;
	char line[440];

	migration->runs = false;
	snprintf(line, sizeof(line), "%s; %s", migration->why,
		 !vm->moving ? "the machine goes on here" :
		 migration->result == MIGRATE_FAILED ?
			       "its storage is in use, so it stands still here: kinglet resume tries "
			       "again" :
			       "it may run there, so it stands still here: if it does not, kinglet "
			       "resume");
	log_error("migration to %s: %s", migration->where, line);
	if (vm->moving)
		observers_happened(&vm->observers, MACHINE_FROZEN, line);
	else
		observers_happened(&vm->observers, MACHINE_STAYS, migration->why);
}

/* A target that has failed may be ending: only then is the storage free. */
static void try_to_go_on(struct loop_timer *timer)
{
	struct migration *migration = container_of(timer, struct migration, retry);
	bool last = sys_now_ns() >= migration->give_up_ns;

	if (let_run(migration->vm, last) == -EBUSY && !last)
		loop_timer_set(timer, RETRY_NS);
	else
		tell_end(migration->vm);
}

static void ended(void *owner, enum migrate_result result, const char *why)
{
	struct vm *vm = owner;
	struct migration *migration = vm->migration;

	if (result == MIGRATE_DONE) {
		migration->runs = false;
		decide_moved(vm);
		return;
	}
	migration->result = result;
	snprintf(migration->why, sizeof(migration->why), "%s", why);
	migration->give_up_ns = sys_now_ns() + STORAGE_NS;
	if (result == MIGRATE_FAILED && vm->moving)
		try_to_go_on(&migration->retry);
	else
		tell_end(vm);
}

static int check(struct vm *vm)
{
	char why[200];

	if (!machine_can_move(vm->config, why, sizeof(why))) {
		log_error("%s", why);
		return -EOPNOTSUPP;
	}
	if (vm->migration && vm->migration->runs)
		log_error("another migration is going on");
	else if (vm->paused)
		log_error("the machine is paused; kinglet resume lets it run on");
	else
		return 0;
	return -EBUSY;
}

/* A client's fd may be anything. */
static int check_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return -errno;
	return type == SOCK_STREAM ? 0 : -ENOTSOCK;
}

static int begin(struct vm *vm, int fd, const struct machine_move *move)
{
	static const struct migrate_source_ops ops = {
		.describe = describe,
		.save = save,
		.log_start = log_start,
		.log_read = log_read,
		.log_clear = log_clear,
		.log_stop = log_stop,
		.freeze = freeze,
		.progressed = progressed,
		.ended = ended,
	};
	struct migrate_source_options options = {
		.fd = fd,
		.loop = &vm->loop,
		.mem = &vm->mem,
		.downtime_ns = move->downtime_ns ? move->downtime_ns : DOWNTIME_NS,
		.ops = &ops,
		.owner = vm,
	};
	struct migration *migration = vm->migration;
	int ret;

	snprintf(migration->where, sizeof(migration->where), "%s", move->target);
	ret = migrate_source_start(migration->source, &options);
	migration->runs = !ret;
	return ret;
}

/* Kept for the next one: the loop may know of it. */
static int prepare(struct vm *vm)
{
	struct migration *migration;
	int ret;

	if (vm->migration)
		return 0;
	migration = calloc(1, sizeof(*migration));
	if (!migration)
		return -ENOMEM;
	migration->vm = vm;
	migration->retry.fn = try_to_go_on;
	ret = migrate_source_new(&migration->source);
	if (!ret)
		ret = loop_timer_add(&vm->loop, &migration->retry);
	if (ret) {
		migrate_source_free(migration->source);
		free(migration);
		return ret;
	}
	vm->migration = migration;
	return 0;
}

int vm_migrate(struct vm *vm, const struct machine_move *move)
{
	_cleanup_close_ int to = move->fd;
	int ret = check(vm);

	if (ret)
		return ret;
	ret = check_socket(to);
	if (!ret)
		ret = prepare(vm);
	if (!ret)
		ret = begin(vm, steal_fd(&to), move);
	if (ret)
		log_error("migration to %s: %s", move->target, strerror(-ret));
	return ret;
}

int vm_migrate_cancel(struct vm *vm)
{
	return vm->migration ? migrate_source_cancel(vm->migration->source) : -EALREADY;
}

int vm_take_back(struct vm *vm)
{
	if (!vm->moving)
		return 0;
	if (vm->migration->runs)
		return -EINPROGRESS;
	return let_run(vm, true) ? -EAGAIN : 0;
}

void vm_migration_free(struct vm *vm)
{
	if (!vm->migration)
		return;
	migrate_source_free(vm->migration->source);
	loop_timer_remove(&vm->loop, &vm->migration->retry);
	free(vm->migration);
	vm->migration = NULL;
}

/* --- The target ------------------------------------------------------------------------------- */

static int load(void *owner, int fd)
{
	struct vm *vm = owner;
	struct snapshot *snapshot;
	int ret = snapshot_take(&snapshot, fd, "the incoming machine");

	if (ret)
		return ret;
	ret = vm_load(vm, snapshot);
	snapshot_free(snapshot);
	/* Its source has let it go. */
	return ret ? ret : storage_take(vm, true);
}

int machine_expect(struct snapshot **snapshot, int fd)
{
	struct migrate_target target = { .fd = fd, .wake_fd = -1 };
	int hello = migrate_target_hello(&target), ret = hello;

	if (hello >= 0)
		ret = snapshot_take(snapshot, hello, "the incoming machine");
	close_fd(&hello);
	return ret;
}

void machine_refuse(int fd, const char *why)
{
	migrate_target_refuse(fd, why);
}

int vm_receive(struct vm *vm)
{
	struct migrate_target target = {
		.fd = vm->config->incoming_fd,
		.wake_fd = vm->ending.known_fd,
		.mem = &vm->mem,
		.load = load,
		.owner = vm,
	};
	int ret = migrate_target_fill(&target);

	if (!ret)
		vm_restart_devices(vm);
	else
		(void)!storage_let_go(vm);
	return ret;
}
