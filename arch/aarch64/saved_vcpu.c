/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a vCPU: every register that KVM lists, by its number, then what is no
 * register; and the counters, which all vCPUs share.
 */
#include "arm64.h"
#include "regs.h"
#include "saved.h"

#include <stdio.h>

/* KVM 6.1 lists some 250, and 50 vectors where the CPU has SVE. */
enum { NUMBERS_MAX = 1024, VECTORS_MAX = 64, VECTOR_LEN = 256, CLOCK_STEP_MAX_S = 10 };

struct saved_number {
	uint64_t id, value;
};

struct saved_vector {
	uint64_t id;
	uint8_t value[VECTOR_LEN];
};

struct saved_registers {
	size_t number_count, vector_count;
	struct saved_number numbers[NUMBERS_MAX];
	struct saved_vector vectors[VECTORS_MAX];
};

struct saved_vcpu {
	struct kvm_mp_state mp;
	struct kvm_vcpu_events events;
};

static size_t size_of(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static const char *check_number(const void *object)
{
	const struct saved_number *number = object;

	return size_of(number->id) > sizeof(number->value) ? "a number of more than 64 bits" : NULL;
}

static const char *check_vector(const void *object)
{
	const struct saved_vector *vector = object;

	return size_of(vector->id) > sizeof(vector->value) ? "a vector of more than 2,048 bits" :
							     NULL;
}

static const struct state_field number_fields[] = {
	STATE_NUMBER(struct saved_number, id),
	STATE_NUMBER(struct saved_number, value),
	STATE_END,
};

static const struct state_field vector_fields[] = {
	STATE_NUMBER(struct saved_vector, id),
	STATE_BYTES(struct saved_vector, value),
	STATE_END,
};

static const struct state_field vcpu_fields[] = {
	STATE_NUMBER(struct saved_vcpu, mp.mp_state),
	STATE_LIMITED(struct saved_vcpu, events.exception.serror_pending, 1),
	STATE_LIMITED(struct saved_vcpu, events.exception.serror_has_esr, 1),
	STATE_LIMITED(struct saved_vcpu, events.exception.ext_dabt_pending, 1),
	STATE_NUMBER(struct saved_vcpu, events.exception.serror_esr),
	STATE_END,
};

static const struct state_field counters_fields[] = {
	STATE_NUMBER(struct arm64_counters, frequency),
	STATE_NUMBER(struct arm64_counters, virtual),
	STATE_NUMBER(struct arm64_counters, physical),
	STATE_END,
};

static const struct state_table number_table = {
	.name = "arm64-register",
	.version = 1,
	.size = sizeof(struct saved_number),
	.fields = number_fields,
	.check = check_number,
};

static const struct state_table vector_table = {
	.name = "arm64-vector",
	.version = 1,
	.size = sizeof(struct saved_vector),
	.fields = vector_fields,
	.check = check_vector,
};

static const struct state_table vcpu_table = {
	.name = "arm64-vcpu",
	.version = 1,
	.size = sizeof(struct saved_vcpu),
	.fields = vcpu_fields,
};

static const struct state_table counters_table = {
	.name = "arm64-counters",
	.version = 1,
	.size = sizeof(struct arm64_counters),
	.fields = counters_fields,
};

const struct state_table *const arch_state_tables[] = {
	&arm64_gic_table, &arm64_gic_cpu_table, &arm64_its_table, &number_table,
	&vector_table,	  &vcpu_table,		&counters_table,  NULL,
};

/* --- Registers -------------------------------------------------------------------------------- */

static int register_failed(struct vcpu *vcpu, struct state *state, uint64_t id, int ret)
{
	char what[64];

	snprintf(what, sizeof(what), "vCPU %u: register 0x%llx", vcpu->id, (unsigned long long)id);
	return arm64_state_failed(state, what, ret);
}

/* They go on while the machine is stopped: arch_clock_start() sets them. */
static bool is_counter(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT;
}

static int save_register(struct vcpu *vcpu, uint64_t id, struct saved_registers *saved)
{
	struct saved_number *number = &saved->numbers[saved->number_count];
	struct saved_vector *vector = &saved->vectors[saved->vector_count];

	if (size_of(id) <= sizeof(number->value) && saved->number_count < NUMBERS_MAX) {
		saved->number_count++;
		number->id = id;
		return arm64_get_any(vcpu, id, &number->value);
	}
	if (size_of(id) > sizeof(vector->value) || saved->vector_count == VECTORS_MAX)
		return -E2BIG;
	saved->vector_count++;
	vector->id = id;
	return arm64_get_any(vcpu, id, vector->value);
}

static int save_registers(struct vcpu *vcpu, struct state *state, struct saved_registers *saved)
{
	_cleanup_free_ struct kvm_reg_list *list = NULL;
	int ret;

	list = calloc(1, sizeof(*list) + (NUMBERS_MAX + VECTORS_MAX) * sizeof(list->reg[0]));
	if (!list)
		return arm64_state_failed(state, "KVM_GET_REG_LIST", -ENOMEM);
	list->n = NUMBERS_MAX + VECTORS_MAX;
	ret = vcpu_ioctl(vcpu, KVM_GET_REG_LIST, list);
	if (ret < 0)
		return arm64_state_failed(state, "KVM_GET_REG_LIST", ret);
	for (uint64_t i = 0; i < list->n; i++) {
		ret = is_counter(list->reg[i]) ? 0 : save_register(vcpu, list->reg[i], saved);
		if (ret < 0)
			return register_failed(vcpu, state, list->reg[i], ret);
	}
	return 0;
}

/*
 * KVM itself refuses other values of registers that tell what the CPU can do; but the affinity,
 * which the GIC and the device tree use as well, could be changed.
 */
static int load_number(const struct arm64_vm *vm, struct vcpu *vcpu,
		       const struct saved_number *number)
{
	if (number->id == ARM64_MPIDR_EL1 &&
	    (number->value & ARM64_MPIDR_AFFINITY) != vm->mpidr[vcpu->id])
		return -EINVAL;
	return arm64_set_any(vcpu, number->id, &number->value);
}

/* Which lengths SVE's vectors can have is fixed once the vCPU is complete (KVM api.rst 4.68). */
static int load_vector(struct vcpu *vcpu, const struct saved_vector *vector)
{
	uint8_t own[VECTOR_LEN] = { 0 };
	int ret;

	if (vector->id != KVM_REG_ARM64_SVE_VLS)
		return arm64_set_any(vcpu, vector->id, vector->value);
	ret = arm64_get_any(vcpu, vector->id, own);
	if (ret >= 0 && memcmp(own, vector->value, size_of(vector->id)) != 0)
		ret = -EINVAL;
	return ret;
}

static int load_numbers(const struct arm64_vm *vm, struct vcpu *vcpu, struct state *state,
			const struct saved_registers *saved)
{
	for (size_t i = 0; i < saved->number_count; i++) {
		int ret = load_number(vm, vcpu, &saved->numbers[i]);

		if (ret < 0)
			return register_failed(vcpu, state, saved->numbers[i].id, ret);
	}
	return 0;
}

static int load_vectors(struct vcpu *vcpu, struct state *state, const struct saved_registers *saved)
{
	for (size_t i = 0; i < saved->vector_count; i++) {
		int ret = load_vector(vcpu, &saved->vectors[i]);

		if (ret < 0)
			return register_failed(vcpu, state, saved->vectors[i].id, ret);
	}
	return 0;
}

static int saved_registers(const struct arm64_vm *vm, struct vcpu *vcpu, const char *name,
			   struct state *state)
{
	_cleanup_free_ struct saved_registers *saved = calloc(1, sizeof(*saved));
	bool loads = state_loads(state);
	int ret = 0;

	if (!saved)
		return arm64_state_failed(state, "registers", -ENOMEM);
	if (!loads)
		ret = save_registers(vcpu, state, saved);
	if (!ret)
		ret = state_list(state, &number_table, name, saved->numbers, NUMBERS_MAX,
				 &saved->number_count);
	if (!ret && loads)
		ret = load_numbers(vm, vcpu, state, saved);
	if (!ret)
		ret = state_list(state, &vector_table, name, saved->vectors, VECTORS_MAX,
				 &saved->vector_count);
	if (!ret && loads)
		ret = load_vectors(vcpu, state, saved);
	return ret;
}

/* --- Events and MP state ---------------------------------------------------------------------- */

static int transfer(struct vcpu *vcpu, struct state *state, struct saved_vcpu *saved)
{
	static const struct {
		unsigned long save, load;
		const char *save_name, *load_name;
		size_t offset;
	} calls[] = {
		{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, "KVM_GET_MP_STATE", "KVM_SET_MP_STATE",
		  offsetof(struct saved_vcpu, mp) },
		{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS",
		  "KVM_SET_VCPU_EVENTS", offsetof(struct saved_vcpu, events) },
	};
	bool loads = state_loads(state);

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		int ret = vcpu_ioctl(vcpu, loads ? calls[i].load : calls[i].save,
				     (char *)saved + calls[i].offset);

		if (ret < 0)
			return arm64_state_failed(
				state, loads ? calls[i].load_name : calls[i].save_name, ret);
	}
	return 0;
}

static int saved_rest(struct vcpu *vcpu, const char *name, struct state *state)
{
	struct saved_vcpu saved = { 0 };
	int ret = 0;

	if (!state_loads(state))
		ret = transfer(vcpu, state, &saved);
	if (!ret)
		ret = state_section(state, &vcpu_table, name, &saved);
	if (!ret && state_loads(state))
		ret = transfer(vcpu, state, &saved);
	return ret;
}

/* --- Counters --------------------------------------------------------------------------------- */

/* In Hz: guests see the host's. */
static uint64_t counter_frequency(void)
{
	uint64_t value;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

/*
 * KVM before 6.4 has the physical timer and counter for the guest, but neither to read nor to set:
 * such a guest has the host's counter. 0: it cannot be read.
 */
static int save_counters(struct vcpu *vcpu, struct state *state, struct arm64_counters *counters)
{
	int ret = arm64_get_reg(vcpu, KVM_REG_ARM_TIMER_CNT, &counters->virtual);

	if (ret < 0)
		return register_failed(vcpu, state, KVM_REG_ARM_TIMER_CNT, ret);
	ret = arm64_get_reg(vcpu, KVM_REG_ARM_PTIMER_CNT, &counters->physical);
	if (ret < 0 && ret != -ENOENT)
		return register_failed(vcpu, state, KVM_REG_ARM_PTIMER_CNT, ret);
	counters->frequency = counter_frequency();
	return 0;
}

static int saved_counters(struct arm64_vm *vm, struct vcpu *vcpu, struct state *state)
{
	struct arm64_counters counters = { 0 };
	int ret = 0;

	if (!state_loads(state))
		ret = save_counters(vcpu, state, &counters);
	if (!ret)
		ret = state_section(state, &counters_table, "", &counters);
	if (ret || !state_loads(state))
		return ret;
	if (counters.frequency != counter_frequency())
		return state_refuse(state, "the counter has %llu Hz; this host's has %llu Hz",
				    (unsigned long long)counters.frequency,
				    (unsigned long long)counter_frequency());
	vm->counters = counters;
	return 0;
}

/*
 * Both counters are the VM's: to set one by any vCPU sets it for all. Nothing tells Linux on arm64
 * that its CPUs stood still, as KVM_KVMCLOCK_CTRL does on x86: after a larger step it would report a
 * stall of RCU, which waits 21 s (CONFIG_RCU_CPU_STALL_TIMEOUT).
 */
int arch_clock_start(struct arch_vm *arch, struct vcpu *vcpus, unsigned count, uint64_t elapsed_ns)
{
	const struct arm64_counters *saved = &((struct arm64_vm *)arch->priv)->counters;
	const uint64_t second = 1000000000;
	uint64_t ticks;
	int ret = 0;

	if (elapsed_ns > CLOCK_STEP_MAX_S * second)
		elapsed_ns = CLOCK_STEP_MAX_S * second;
	ticks = elapsed_ns / second * saved->frequency +
		elapsed_ns % second * saved->frequency / second;
	if (!count)
		return 0;
	if (saved->physical)
		ret = arm64_set_reg(&vcpus[0], KVM_REG_ARM_PTIMER_CNT, saved->physical + ticks);
	if (ret >= 0 || ret == -ENOENT)
		ret = arm64_set_reg(&vcpus[0], KVM_REG_ARM_TIMER_CNT, saved->virtual + ticks);
	if (ret < 0)
		log_error("/dev/kvm: counter of the guest: KVM_SET_ONE_REG: %s", strerror(-ret));
	return ret < 0 ? ret : 0;
}

int arch_vcpu_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state)
{
	char name[STATE_NAME_MAX + 1];
	int ret;

	snprintf(name, sizeof(name), "vcpu %u", vcpu->id);
	ret = saved_registers(arch->priv, vcpu, name, state);
	if (!ret)
		ret = saved_rest(vcpu, name, state);
	if (!ret && !vcpu->id)
		ret = saved_counters(arch->priv, vcpu, state);
	return ret;
}
