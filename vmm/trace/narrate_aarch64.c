/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of KVM requests made only on arm64. */
#include "core/kvm.h"
#include "trace/narrate.h"

static void answer_target(struct text *out, const struct narration *n)
{
	text_add(out, ": target %u", ((const struct kvm_vcpu_init *)n->event->arg)->target);
}

static void say_features(struct text *out, const struct narration *n)
{
	uint32_t features = ((const struct kvm_vcpu_init *)n->event->arg)->features[0];

	text_add(out, "%s%s%s%s", features & 1u << KVM_ARM_VCPU_PSCI_0_2 ? " PSCI" : "",
		 features & 1u << KVM_ARM_VCPU_SVE ? " SVE" : "",
		 features & 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS ? " pointer authentication" : "",
		 features & 1u << KVM_ARM_VCPU_POWER_OFF ?
			 ", off until another vCPU turns it on" : ", running");
}

/* The program counter and X0 to X30 are shown by name (struct user_pt_regs). */
static void say_register(struct text *out, const struct narration *n)
{
	const uint64_t core = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE;
	const struct kvm_one_reg *reg = n->event->arg;
	uint64_t word = reg->id - core;

	if (reg->id >= core && word == KVM_REG_ARM_CORE_REG(regs.pc))
		text_add(out, "the program counter");
	else if (reg->id >= core && word < KVM_REG_ARM_CORE_REG(regs.sp))
		text_add(out, "x%u", (unsigned)word / 2);
	else
		text_add(out, "register 0x%llx", reg->id);
	narrate_text(out, n, " of @");
}

static void answer_register(struct text *out, const struct narration *n)
{
	const struct kvm_one_reg *reg = n->event->arg;

	if ((reg->id & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U64)
		text_add(out, ": 0x%llx", *(const __u64 *)(uintptr_t)reg->addr);
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

static void say_device(struct text *out, const struct narration *n)
{
	uint32_t type = ((const struct kvm_create_device *)n->event->arg)->type;

	text_add(out, "%s %s into the kernel", type == KVM_DEV_TYPE_ARM_VGIC_ITS ? "an" : "a",
		 device_name(type));
}

static void answer_device(struct text *out, const struct narration *n)
{
	text_add(out, "; it is fd %u", ((const struct kvm_create_device *)n->event->arg)->fd);
}

static void learn_device(const struct narration *n)
{
	const struct kvm_create_device *device = n->event->arg;

	fd_names_set(n->names, (int)device->fd, "%s", device_name(device->type));
}

static const char *control_name(uint64_t attr)
{
	static const char *const names[] = {
		[KVM_DEV_ARM_VGIC_CTRL_INIT] = "all is set up, begin",
		[KVM_DEV_ARM_ITS_SAVE_TABLES] = "write your tables to RAM",
		[KVM_DEV_ARM_ITS_RESTORE_TABLES] = "read your tables from RAM",
		[KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES] = "write what MSIs are pending to RAM",
		[KVM_DEV_ARM_ITS_CTRL_RESET] = "as after power-on",
	};

	return attr < ARRAY_SIZE(names) ? names[attr] : "unknown";
}

static void say_attribute(struct text *out, const struct narration *n)
{
	const struct kvm_device_attr *attr = n->event->arg;

	if (attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR)
		text_add(out, "its registers are at 0x%llx",
			 *(const __u64 *)(uintptr_t)attr->addr);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS)
		text_add(out, "it has %u interrupts", *(const uint32_t *)(uintptr_t)attr->addr);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL)
		text_add(out, "control %llu: %s", attr->attr, control_name(attr->attr));
	else
		text_add(out, "group %u, attribute 0x%llx", attr->group, attr->attr);
}

static void say_events(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_events *events = n->event->arg;

	text_add(out, "%s",
		 events->exception.ext_dabt_pending ? "an external abort" :
		 events->exception.serror_pending   ? "an SError" :
						      "nothing");
}

static void answer_list(struct text *out, const struct narration *n)
{
	text_add(out, ": %llu", ((const struct kvm_reg_list *)n->event->arg)->n);
}

#define ENTRY(number, section, sentence, ...)                                                      \
	{ .request = number, .name = #number, .doc = "api.rst " section,                           \
	  .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_GET_VCPU_EVENTS, "4.31", "reads what is on its way to @: ",
	      .answer = say_events),
	ENTRY(KVM_SET_VCPU_EVENTS, "4.32", "sets what is on its way to @: ", say_events),
	ENTRY(KVM_SET_ONE_REG, "4.68", "sets ", say_register, answer_register),
	ENTRY(KVM_GET_ONE_REG, "4.69", "reads ", say_register, answer_register),
	ENTRY(KVM_CREATE_DEVICE, "4.79", "puts ", say_device, answer_device, learn_device),
	ENTRY(KVM_SET_DEVICE_ATTR, "4.80", "@: ", say_attribute),
	ENTRY(KVM_GET_DEVICE_ATTR, "4.80", "asks @: ", say_attribute),
	ENTRY(KVM_ARM_VCPU_INIT, "4.82", "puts @ into its power-on state, with", say_features),
	ENTRY(KVM_ARM_PREFERRED_TARGET, "4.83", "asks which kind of CPU a guest gets on this host",
	      .answer = answer_target),
	ENTRY(KVM_GET_REG_LIST, "4.84", "asks which registers @ has", .answer = answer_list),
	ENTRY(KVM_ARM_VCPU_FINALIZE, "4.119", "settles the vector registers (SVE) of @"),
};

const struct narrate_table narrate_arch = { entries, ARRAY_SIZE(entries) };
