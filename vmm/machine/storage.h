/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage of a machine that is saved, or that moves: then one of the two processes has it.
 * Machine's thread. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_STORAGE_H
#define KINGLET_MACHINE_STORAGE_H

#include "vm.h"

/* Puts what was written onto stable storage. The first error of a device, which has logged it. */
__must_check int storage_sync(struct vm *vm);

/*
 * Lets another process have it, with all that was written; all devices stand still, as for the
 * next. The first error of a device, which has
 * logged it; then, too, none has any.
 */
__must_check int storage_let_go(struct vm *vm);

/*
 * Takes what is not here yet. -EBUSY: another process has it; and others of model->own(). Then
 * nothing is here, and this is logged; but if it is not the `last` try, -EBUSY leaves what is here
 * by then to the next one.
 */
__must_check int storage_take(struct vm *vm, bool last);

#endif
