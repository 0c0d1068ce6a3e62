/* SPDX-License-Identifier: Apache-2.0 */
#include "pause.h"

void run_park(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_pause(&vm->vcpus[i]);
	vm->paused = true;
}

int run_pause(struct vm *vm)
{
	if (vm->paused)
		return -EALREADY;
	if (observers_hold(&vm->observers))
		return -EBUSY;
	/* As in run_stop(). */
	serial_stop(vm->serial);
	run_park(vm);
	serial_continue(vm->serial);
	return 0;
}

int run_resume(struct vm *vm)
{
	if (!vm->paused)
		return -EALREADY;
	vm->paused = false;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_resume(&vm->vcpus[i]);
	return 0;
}
