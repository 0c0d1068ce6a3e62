/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine as the source of a migration (docs/migration.md), or its target. Machine's thread.
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_MIGRATION_PRIVATE_H
#define KINGLET_MACHINE_MIGRATION_PRIVATE_H

#include "vm.h"

/*
 * Begins to send the machine to the Kinglet at the other end of move->fd, which it takes over. Then
 * MACHINE_STAYS or MACHINE_FROZEN happens, or the run ends. Logs. -ENOTSOCK: the fd is no stream
 * socket; -EBUSY: one is going on, or the machine is paused; -ENOMEM, and errno of the host.
 */
__must_check int vm_migrate(struct vm *vm, const struct machine_move *move);
/* -EALREADY: there is none; -EBUSY: it is too late. */
__must_check int vm_migrate_cancel(struct vm *vm);

/*
 * Lets a machine go on whose target has not said whether it runs there; does nothing if it does not
 * stand still for a migration. -EINPROGRESS: that is going on; -EAGAIN, logged: another program has
 * its storage.
 */
__must_check int vm_take_back(struct vm *vm);

/* config->incoming: fills the machine, which has just been built; it then runs here. Logs. */
__must_check int vm_receive(struct vm *vm);

/* After the loop has ended. */
void vm_migration_free(struct vm *vm);

#endif
