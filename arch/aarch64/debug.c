/* SPDX-License-Identifier: Apache-2.0 */
/* Not yet: nobody calls more than the first of these. */
#include "arch/debug.h"

bool arch_debug_is_available(void)
{
	return false;
}

void arch_debug_describe(char *text, size_t len)
{
	if (len)
		text[0] = '\0';
}

bool arch_debug_register(unsigned number, size_t *offset, size_t *size)
{
	(void)number;
	*offset = *size = 0;
	return false;
}

size_t arch_debug_registers_size(void)
{
	return 0;
}

int arch_debug_get_registers(struct vcpu *vcpu, uint8_t *block)
{
	(void)vcpu;
	(void)block;
	return -ENOSYS;
}

int arch_debug_set_registers(struct vcpu *vcpu, const uint8_t *block)
{
	(void)vcpu;
	(void)block;
	return -ENOSYS;
}

int arch_debug_translate(struct vcpu *vcpu, uint64_t address, uint64_t *gpa)
{
	(void)vcpu;
	(void)address;
	(void)gpa;
	return -ENOSYS;
}

unsigned arch_debug_trap(uint8_t bytes[ARCH_DEBUG_TRAP_MAX])
{
	(void)bytes;
	return 0;
}

bool arch_debug_points_fit(const struct arch_debug_point *points, unsigned count)
{
	(void)points;
	return !count;
}

int arch_debug_control(struct vcpu *vcpu, const struct arch_debug_control *control)
{
	(void)vcpu;
	(void)control;
	return -ENOSYS;
}

void arch_debug_event(struct vcpu *vcpu, const struct arch_debug_point *points, unsigned count,
		      struct arch_debug_event *event)
{
	(void)vcpu;
	(void)points;
	(void)count;
	*event = (struct arch_debug_event){ .point = -1 };
}
