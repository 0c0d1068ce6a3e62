/* SPDX-License-Identifier: Apache-2.0 */
#include "save.h"

#include "board.h"
#include "pause.h"
#include "program.h"
#include "snapshot_folder.h"
#include "storage.h"

#include "base/log.h"
#include "base/real_time.h"
#include "core/state.h"
#include "devices/console.h"
#include "virtio/pci.h"

#include <string.h>

/* --- What is saved ---------------------------------------------------------------------------- */

/* What the guest has done so far that counts at its end. */
struct machine_record {
	int32_t guest_status; /* of the port kinglet.status; -1: none */
	bool powers_off, resets, asks; /* it waits for that, or for an answer on its port */
	uint8_t panic_proof;	 /* enum panic_proof */
	char panic_line[PANIC_LINE_MAX];
};

static const struct state_field record_fields[] = {
	STATE_NUMBER(struct machine_record, guest_status),
	STATE_FLAG(struct machine_record, powers_off),
	STATE_FLAG(struct machine_record, resets),
	STATE_LIMITED(struct machine_record, panic_proof, PANIC_SURE),
	STATE_BYTES(struct machine_record, panic_line),
	STATE_FLAG(struct machine_record, asks),
	STATE_END,
};

static const char *check_record(const void *object)
{
	const struct machine_record *record = object;

	if (record->guest_status < -1 || record->guest_status > UINT8_MAX)
		return "guest_status is neither a byte nor -1";
	return memchr(record->panic_line, 0, PANIC_LINE_MAX) ? NULL : "panic_line has no end";
}

static const struct state_table record_table = {
	.name = "machine",
	.version = 1,
	.size = sizeof(struct machine_record),
	.fields = record_fields,
	.check = check_record,
};

const struct state_table *snapshot_table_at(unsigned n)
{
	static const struct state_table *const own[] = { &snapshot_info_table, &record_table,
							 NULL };
	static const struct state_table *const *const lists[] = {
		own,
		arch_state_tables,
		board_state_tables,
		pci_state_tables,
		virtio_pci_state_tables,
		virtio_state_tables,
		virtio_console_state_tables,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct state_table *const *at = lists[i]; *at; at++)
			if (!n--)
				return *at;
	for (unsigned i = 0; device_kinds[i]; i++)
		for (const struct state_table *const *at = device_kinds[i]->state_tables;
		     at && *at; at++)
			if (!n--)
				return *at;
	return NULL;
}

const struct state_table *snapshot_table(const char *name)
{
	const struct state_table *table;

	for (unsigned i = 0; (table = snapshot_table_at(i)); i++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

static struct machine_record record_of(struct vm *vm)
{
	const struct machine_panic panic = observers_panic(&vm->observers);
	struct machine_record record = {
		.guest_status = atomic_load(&vm->ending.guest_status),
		.powers_off = requests_has(&vm->requests, REQUEST_POWER_OFF),
		.resets = requests_has(&vm->requests, REQUEST_RESET),
		.asks = vm->snapshot_port.asked,
		.panic_proof = (uint8_t)panic.proof,
	};

	memcpy(record.panic_line, panic.line, sizeof(record.panic_line));
	return record;
}

static void apply_record(struct vm *vm, const struct machine_record *record)
{
	struct machine_panic panic = { .proof = record->panic_proof };

	memcpy(panic.line, record->panic_line, sizeof(panic.line));
	ending_set_panic(&vm->ending, &panic);
	atomic_store(&vm->ending.guest_status, record->guest_status);
	vm->snapshot_port.asked = record->asks;
	if (record->powers_off)
		requests_post(&vm->requests, REQUEST_POWER_OFF);
	if (record->resets)
		requests_post(&vm->requests, REQUEST_RESET);
}

static int record_state(struct vm *vm, struct state *state)
{
	struct machine_record record = record_of(vm);
	int ret = state_section(state, &record_table, "", &record);

	if (!ret && state_loads(state))
		apply_record(vm, &record);
	return ret;
}

/* Every section of the machine, in both directions. In the order in which KVM can load it. */
static int vm_state(struct vm *vm, struct state *state)
{
	int ret = record_state(vm, state);

	if (!ret)
		ret = arch_vm_saved(&vm->arch, state);
	for (unsigned i = 0; i < vm->vcpu_count && !ret; i++)
		ret = arch_vcpu_saved(&vm->arch, &vm->vcpus[i], state);
	if (!ret)
		ret = board_state(vm, state);
	return ret ? ret : pci_bus_state(&vm->pci, state);
}

/* --- Saving ----------------------------------------------------------------------------------- */

static int save_sections(struct vm *vm, struct state *state, bool whole)
{
	struct snapshot_info info = {
		.cpus = vm->vcpu_count,
		.memory = vm->mem.size,
		.saved_ns = timespec_ns(real_time()),
	};
	int ret = snapshot_describe(state, &info, vm->config->words, vm->config->word_count);

	return ret || !whole ? ret : vm_state(vm, state);
}

int vm_save_to(struct vm *vm, int fd, bool whole)
{
	struct state *state;
	int ret = state_new(&state);

	if (ret)
		return ret;
	ret = save_sections(vm, state, whole);
	if (!ret)
		ret = state_write(state, fd);
	state_free(state);
	return ret;
}

static int save_files(struct vm *vm, const struct snapshot_folder *folder, int base)
{
	struct gmem_save memory = { .fd = folder->memory_fd, .base = base };
	int ret = vm_save_to(vm, folder->state_fd, true);

	return ret ? ret : gmem_save(&vm->mem, &memory);
}

static void go_on(struct vm *vm, bool was_paused)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		virtio_thaw(vm->devices[i]);
	if (!was_paused && run_resume(vm))
		log_error("after the snapshot the machine stays paused");
}

/*
 * The machine stands still only while its files are written: that they last takes longer, and needs
 * it no more. A machine that ends with its snapshot stands until then, to go on if it fails.
 */
static int save_in(struct vm *vm, struct snapshot_folder *folder, int base, unsigned flags)
{
	bool was_paused = vm->paused, stands = true;
	int ret = was_paused ? 0 : run_pause(vm);

	if (ret) {
		log_error("snapshot %s: a debugger decides which vCPUs run (--gdb)", folder->dir);
		snapshot_folder_abort(folder);
		return ret;
	}
	for (unsigned i = 0; i < vm->device_count; i++)
		virtio_freeze(vm->devices[i]);
	ret = save_files(vm, folder, base);
	if (ret || !(flags & SAVE_LAST)) {
		go_on(vm, was_paused);
		stands = false;
	}
	/* Else a crash of the host could leave a snapshot of a guest whose writes are gone. */
	if (!ret && !folder->unsynced)
		ret = storage_sync(vm);
	if (!ret) {
		ret = snapshot_folder_commit(folder);
	} else {
		if (ret != -ECANCELED)
			log_error("snapshot %s: %s", folder->dir, strerror(-ret));
		snapshot_folder_abort(folder);
	}
	if (ret && stands)
		go_on(vm, was_paused);
	return ret;
}

int vm_save(struct vm *vm, const char *dir, const char *base_dir, unsigned flags)
{
	struct snapshot_folder folder;
	struct snapshot *base = NULL;
	int ret;

	if (vm->moving) {
		log_error("snapshot %s: the machine is moving to another host", dir);
		return -EBUSY;
	}
	ret = base_dir ? snapshot_open(&base, base_dir) : 0;
	if (!ret && base && base->info.memory != vm->mem.size) {
		log_error("snapshot %s: its base %s has another size of RAM", dir, base_dir);
		ret = -EINVAL;
	}
	if (!ret)
		ret = snapshot_folder_begin(&folder, dir);
	if (!ret) {
		folder.unsynced = flags & SAVE_UNSYNCED;
		ret = save_in(vm, &folder, base ? base->memory_fd : -1, flags);
	}
	snapshot_free(base);
	return ret;
}

/* --- Restoring -------------------------------------------------------------------------------- */

static void restart_device(struct virtio_dev *dev)
{
	virtio_thaw(dev);
	if (!dev->model->restored)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->model->restored(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* For how long the clocks of the guest did not run. */
static uint64_t elapsed_ns(const struct snapshot *snapshot)
{
	uint64_t now = timespec_ns(real_time());

	return now > snapshot->info.saved_ns ? now - snapshot->info.saved_ns : 0;
}

/* For the port kinglet.snapshot. */
static int greet(struct vm *vm)
{
	const char *args = vm->config->restore_args;
	char renewal[PROGRAM_RENEWAL_MAX];
	int ret = 0;

	if (vm->program) {
		ret = program_renewal(renewal);
		args = renewal;
	}
	if (!ret)
		snapshot_port_answer(&vm->snapshot_port, "restored", args);
	return ret;
}

void vm_restart_devices(struct vm *vm)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		restart_device(vm->devices[i]);
}

static int load_sections(struct vm *vm, struct snapshot *snapshot)
{
	int ret = vm_state(vm, snapshot->state);

	return ret ? ret : state_end(snapshot->state);
}

int vm_load(struct vm *vm, struct snapshot *snapshot)
{
	int ret = load_sections(vm, snapshot);

	return ret ? ret : arch_clock_start(&vm->arch, vm->vcpus, vm->vcpu_count,
					    elapsed_ns(snapshot));
}

int vm_restore(struct vm *vm)
{
	struct snapshot *snapshot = vm->config->restore;
	int ret;

	observers_phase(&vm->observers, MACHINE_LOADS);
	ret = load_sections(vm, snapshot);
	if (!ret)
		ret = board_renew_generation(vm);
	if (ret)
		return ret;
	sys_note(vm->sys, SYS_TOPIC_PHASE, -1, "restored from %s", snapshot->path);
	vm_restart_devices(vm);
	ret = greet(vm);
	return ret ? ret : arch_clock_start(&vm->arch, vm->vcpus, vm->vcpu_count,
					    vm->program ? 0 : elapsed_ns(snapshot));
}
