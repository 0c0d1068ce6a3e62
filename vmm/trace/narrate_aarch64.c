/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's requests that arm64 makes, and x86 does not, in words. */
#include "core/kvm.h"
#include "trace/narrate.h"

#include <inttypes.h>

static void say_preferred_target(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_init *init = n->event->arg;

	text_add(out, "asks which kind of CPU a guest gets on this host");
	if (n->event->result >= 0)
		text_add(out, ": target %u", init->target);
}

static void say_vcpu_init(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_init *init = n->event->arg;
	uint32_t features = init->features[0];

	text_add(out, "puts ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " into its power-on state, with%s%s%s%s",
		 features & 1u << KVM_ARM_VCPU_PSCI_0_2 ? " PSCI" : "",
		 features & 1u << KVM_ARM_VCPU_SVE ? " SVE" : "",
		 features & 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS ? " pointer authentication" : "",
		 features & 1u << KVM_ARM_VCPU_POWER_OFF ?
			 ", off until another vCPU turns it on" : ", running");
}

static void say_vcpu_finalize(struct text *out, const struct narration *n)
{
	text_add(out, "settles the vector registers (SVE) of ");
	fd_names_add(n->names, n->event->fd, out);
}

/* The program counter and X0 to X30 are the ones to know by name (struct user_pt_regs). */
static void add_register(struct text *out, uint64_t id)
{
	const uint64_t core = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE;
	uint64_t word = id - core;

	if (id >= core && word == KVM_REG_ARM_CORE_REG(regs.pc))
		text_add(out, "the program counter");
	else if (id >= core && word < KVM_REG_ARM_CORE_REG(regs.sp))
		text_add(out, "x%u", (unsigned)word / 2);
	else
		text_add(out, "register 0x%" PRIx64, id);
}

static void say_one_reg(struct text *out, const struct narration *n, const char *verb)
{
	const struct kvm_one_reg *reg = n->event->arg;

	text_add(out, "%s ", verb);
	add_register(out, reg->id);
	text_add(out, " of ");
	fd_names_add(n->names, n->event->fd, out);
	if (n->event->result >= 0 && (reg->id & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U64)
		text_add(out, ": 0x%" PRIx64, *(const uint64_t *)(uintptr_t)reg->addr);
}

static void say_get_one_reg(struct text *out, const struct narration *n)
{
	say_one_reg(out, n, "reads");
}

static void say_set_one_reg(struct text *out, const struct narration *n)
{
	say_one_reg(out, n, "sets");
}

static const char *device_name(uint32_t type)
{
	switch (type) {
	case KVM_DEV_TYPE_ARM_VGIC_V3:
		return "GICv3";
	case KVM_DEV_TYPE_ARM_VGIC_ITS:
		return "ITS";
	default:
		return "device";
	}
}

static void say_create_device(struct text *out, const struct narration *n)
{
	const struct kvm_create_device *device = n->event->arg;

	text_add(out, "puts %s %s into the kernel",
		 device->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? "an" : "a", device_name(device->type));
	if (n->event->result >= 0)
		text_add(out, "; it is fd %u", device->fd);
}

static void learn_device(const struct narration *n)
{
	const struct kvm_create_device *device = n->event->arg;

	fd_names_set(n->names, (int)device->fd, "%s", device_name(device->type));
}

static void add_attribute(struct text *out, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR)
		text_add(out, "its registers are at 0x%" PRIx64,
			 *(const uint64_t *)(uintptr_t)attr->addr);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS)
		text_add(out, "it has %u interrupts", *(const uint32_t *)(uintptr_t)attr->addr);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL)
		text_add(out, "control %" PRIu64 " (0: all is set up, begin)", (uint64_t)attr->attr);
	else
		text_add(out, "group %u, attribute 0x%" PRIx64, attr->group, (uint64_t)attr->attr);
}

static void say_set_attribute(struct text *out, const struct narration *n)
{
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": ");
	add_attribute(out, n->event->arg);
}

static void say_get_attribute(struct text *out, const struct narration *n)
{
	text_add(out, "asks ");
	say_set_attribute(out, n);
}

static void say_vcpu_events(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_events *events = n->event->arg;

	text_add(out, "sets what is on its way to ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": %s", events->exception.ext_dabt_pending ? "an external abort" : "nothing");
}

#define ENTRY(request, doc, ...) { request, #request, doc, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_SET_VCPU_EVENTS, "api.rst 4.32", say_vcpu_events, NULL),
	ENTRY(KVM_SET_ONE_REG, "api.rst 4.68", say_set_one_reg, NULL),
	ENTRY(KVM_GET_ONE_REG, "api.rst 4.69", say_get_one_reg, NULL),
	ENTRY(KVM_CREATE_DEVICE, "api.rst 4.79", say_create_device, learn_device),
	ENTRY(KVM_SET_DEVICE_ATTR, "api.rst 4.80", say_set_attribute, NULL),
	ENTRY(KVM_GET_DEVICE_ATTR, "api.rst 4.80", say_get_attribute, NULL),
	ENTRY(KVM_ARM_VCPU_INIT, "api.rst 4.82", say_vcpu_init, NULL),
	ENTRY(KVM_ARM_PREFERRED_TARGET, "api.rst 4.83", say_preferred_target, NULL),
	ENTRY(KVM_ARM_VCPU_FINALIZE, "api.rst 4.119", say_vcpu_finalize, NULL),
};

const struct narrate_table narrate_arch = { entries, ARRAY_SIZE(entries) };
