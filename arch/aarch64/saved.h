/* SPDX-License-Identifier: Apache-2.0 */
/* What saved_gic.c and saved_vcpu.c share. Private to arch/aarch64. */
#ifndef KINGLET_AARCH64_SAVED_H
#define KINGLET_AARCH64_SAVED_H

#include "base/log.h"
#include "core/state.h"

#include <errno.h>
#include <string.h>

extern const struct state_table arm64_gic_table, arm64_gic_cpu_table, arm64_its_table;

/*
 * Logs that KVM did not read or set `what`, and returns what the caller returns: -EBADMSG if the
 * reason is the loaded value, or that this KVM has no such register; else `ret`. Of -EBADMSG, which
 * state_refuse() has logged, nothing is left to say.
 */
static inline __must_check int arm64_state_failed(struct state *state, const char *what, int ret)
{
	if (ret == -EBADMSG)
		return ret;
	if (state_loads(state) && (ret == -EINVAL || ret == -ENOENT || ret == -ENXIO ||
				   ret == -EPERM))
		return state_refuse(state, "%s cannot be loaded here: %s", what, strerror(-ret));
	log_error("/dev/kvm: %s: %s", what, strerror(-ret));
	return ret;
}

#endif
