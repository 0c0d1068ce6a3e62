/* SPDX-License-Identifier: Apache-2.0 */
#include "../trace/watch.h"

#include "base/log.h"

#include <string.h>

int vm_load_guest(struct vm *vm)
{
	struct boot_state state;
	const struct boot_summary *summary = &state.summary;
	int ret;

	watch_phase(vm, PHASE_LOAD);
	ret = arch_boot_load(&vm->arch, &vm->mem, &vm->config->boot, &state);
	if (ret)
		return ret;
	sys_note(vm->sys, SYS_TOPIC_PHASE, -1,
		 "the kernel (%s) is in guest RAM from 0x%llx to 0x%llx, its entry is 0x%llx",
		 summary->format, (unsigned long long)summary->kernel_start,
		 (unsigned long long)summary->kernel_end - 1, (unsigned long long)summary->entry);
	if (summary->initrd_len)
		sys_note(vm->sys, SYS_TOPIC_PHASE, -1,
			 "the initrd is in guest RAM from 0x%llx on, %llu bytes",
			 (unsigned long long)summary->initrd_start,
			 (unsigned long long)summary->initrd_len);
	vm->loaded = *summary;
	return arch_boot_vcpu(&vm->vcpus[0], &state);
}

int vm_start_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		int ret = vcpu_start(&vm->vcpus[i]);

		if (ret) {
			log_error("vCPU %u: starting its thread: %s", i, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

void vm_stop_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_stop(&vm->vcpus[i]);
}

static int reset_machine(struct vm *vm)
{
	int ret;

	pci_bus_reset(&vm->pci);
	board_reset(vm);
	ret = gmem_clear(&vm->mem);
	if (!ret)
		ret = arch_vm_reset(&vm->arch);
	for (unsigned i = 0; i < vm->vcpu_count && !ret; i++)
		ret = arch_vcpu_reset(&vm->arch, &vm->vcpus[i]);
	return ret;
}

void vm_restart(struct vm *vm)
{
	int ret;

	/* Or a vCPU waits for room in the output, and we for the vCPU. */
	board_serial_stop(vm);
	vm_stop_vcpus(vm);
	if (vm_has_ended(vm))
		return;
	vm_forget_guest_requests(vm);
	vm_forget_boot(vm);
	ret = reset_machine(vm);
	if (!ret)
		ret = vm_load_guest(vm);
	vm_gdb_restarting(vm);
	if (!ret)
		ret = vm_start_vcpus(vm);
	if (!ret)
		vm_gdb_restarted(vm);
	else
		vm_end(vm, OUTCOME_HOST, 0, "reboot: %s", strerror(-ret));
}
