/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of GIC, ITS and vCPUs, on a fake KVM that has registers. Runs in the source
 * folder, where releases have stored such states: tests/machine/stored/VERSION/arch-aarch64;
 * `--write FILE` saves one (make stored-state).
 */
#include "../../../arch/aarch64/arm64.h"
#include "../../../arch/aarch64/gic.h"
#include "../../../arch/aarch64/regs.h"
#include "capture.h"
#include "fake_sys.h"
#include "same_state.h"
#include "saved.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { CPUS = 2, ATTRS_MAX = 1024, ORDER_MAX = 1024, LEN_MAX = 256 << 10 };

#define GICD KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define GICR KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define ITS KVM_DEV_ARM_VGIC_GRP_ITS_REGS
#define CTRL KVM_DEV_ARM_VGIC_GRP_CTRL

#define FPSR                                                                                       \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(fp_regs.fpsr))
#define VREG0                                                                                      \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |                                    \
	 KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]))
#define MIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 0)

struct attr {
	uint32_t group;
	uint64_t attr, value;
};

struct reg {
	uint64_t id;
	uint8_t value[256];
};

enum { REGS = 9 };

struct rig {
	struct fake_sys fake;
	struct kvm kvm;
	struct arch_vm arch;
	struct vcpu vcpus[CPUS];
	unsigned attr_count, order_count;
	struct attr attrs[ATTRS_MAX];
	struct attr order[ORDER_MAX]; /* what was set */
	struct reg regs[CPUS][REGS];
	struct kvm_mp_state mp[CPUS];
	struct kvm_vcpu_events events[CPUS];
	bool no_physical; /* counter that can be read or set: KVM before 6.4 */
};

/* --- The fake KVM ----------------------------------------------------------------------------- */

static struct attr *find(struct rig *rig, uint32_t group, uint64_t attr)
{
	for (unsigned i = 0; i < rig->attr_count; i++)
		if (rig->attrs[i].group == group && rig->attrs[i].attr == attr)
			return &rig->attrs[i];
	assert_true(rig->attr_count < ATTRS_MAX);
	rig->attrs[rig->attr_count] = (struct attr){ .group = group, .attr = attr };
	return &rig->attrs[rig->attr_count++];
}

static size_t size_of_group(uint32_t group)
{
	return group == ITS || group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS ? 8 : 4;
}

/* Few priorities: only the first of each AP0R and AP1R. */
static bool has_attr(const struct kvm_device_attr *attr)
{
	uint64_t sysreg = attr->attr & 0xffff;

	if (attr->group != KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS)
		return true;
	return !(sysreg > ICC(12, 8, 4) && sysreg <= ICC(12, 8, 7)) &&
	       !(sysreg > ICC(12, 9, 0) && sysreg <= ICC(12, 9, 3));
}

static int get_attr(struct rig *rig, const struct kvm_device_attr *attr)
{
	if (!has_attr(attr))
		return -EINVAL;
	memcpy((void *)(uintptr_t)attr->addr, &find(rig, attr->group, attr->attr)->value,
	       size_of_group(attr->group));
	return 0;
}

/* Pairs of registers that set and clear the same bits, at a distance of 0x80. */
static void set_bits(struct rig *rig, uint32_t group, uint64_t attr, uint64_t value)
{
	uint64_t offset = attr & 0xff80;

	if (offset == 0x180 || offset == 0x380)
		find(rig, group, attr - 0x80)->value &= ~value;
	else if (offset == 0x100 || offset == 0x300)
		find(rig, group, attr)->value |= value;
	else
		find(rig, group, attr)->value = value;
}

static int set_attr(struct rig *rig, const struct kvm_device_attr *attr)
{
	uint64_t value = 0;

	if (!has_attr(attr))
		return -EINVAL;
	if (attr->addr)
		memcpy(&value, (void *)(uintptr_t)attr->addr, size_of_group(attr->group));
	assert_true(rig->order_count < ORDER_MAX);
	rig->order[rig->order_count++] =
		(struct attr){ .group = attr->group, .attr = attr->attr, .value = value };
	if (attr->group == GICR && (attr->attr & 0xffffffff) == 0x70)
		value |= 0x80; /* KVM makes it cacheable */
	if (attr->group == GICD || attr->group == GICR)
		set_bits(rig, attr->group, attr->attr, value);
	else
		find(rig, attr->group, attr->attr)->value = value;
	return 0;
}

static const uint64_t ids[REGS] = {
	ARM64_CORE_REG(regs.pc),
	FPSR,
	ARM64_MPIDR_EL1,
	MIDR_EL1,
	VREG0,
	KVM_REG_ARM64_SVE_VLS,
	ARM64_SCTLR_EL1,
	KVM_REG_ARM_TIMER_CNT, /* the last two are set by arch_clock_start() */
	KVM_REG_ARM_PTIMER_CNT,
};

static struct reg *find_reg(struct rig *rig, unsigned cpu, uint64_t id)
{
	if (id == KVM_REG_ARM_PTIMER_CNT && rig->no_physical)
		return NULL;
	for (unsigned i = 0; i < REGS; i++)
		if (rig->regs[cpu][i].id == id)
			return &rig->regs[cpu][i];
	return NULL;
}

static size_t size_of_reg(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static int set_reg(struct rig *rig, unsigned cpu, const struct kvm_one_reg *one)
{
	struct reg *reg = find_reg(rig, cpu, one->id);
	const void *value = (const void *)(uintptr_t)one->addr;

	if (!reg)
		return -ENOENT;
	if (one->id == KVM_REG_ARM64_SVE_VLS)
		return -EPERM;
	if (one->id == MIDR_EL1 && memcmp(value, reg->value, 8) != 0)
		return -EINVAL;
	memcpy(reg->value, value, size_of_reg(one->id));
	return 0;
}

static int get_reg(struct rig *rig, unsigned cpu, const struct kvm_one_reg *one)
{
	struct reg *reg = find_reg(rig, cpu, one->id);

	if (!reg)
		return -ENOENT;
	memcpy((void *)(uintptr_t)one->addr, reg->value, size_of_reg(one->id));
	return 0;
}

static int list_regs(struct rig *rig, unsigned cpu, struct kvm_reg_list *list)
{
	if (list->n < REGS)
		return -E2BIG;
	list->n = REGS;
	for (unsigned i = 0; i < REGS; i++)
		list->reg[i] = rig->regs[cpu][i].id;
	return 0;
}

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct rig *rig = fake->hook_data;
	/* While the second is created, its fd is not known. */
	unsigned cpu = fd != rig->vcpus[0].fd;

	switch (request) {
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)arg)->fd =
			(uint32_t)open("/dev/null", O_RDWR | O_CLOEXEC);
		return 0;
	case KVM_GET_DEVICE_ATTR:
		return get_attr(rig, arg);
	case KVM_SET_DEVICE_ATTR:
		return set_attr(rig, arg);
	case KVM_GET_REG_LIST:
		return list_regs(rig, cpu, arg);
	case KVM_SET_ONE_REG:
		return set_reg(rig, cpu, arg);
	case KVM_GET_ONE_REG:
		return get_reg(rig, cpu, arg);
	case KVM_GET_MP_STATE:
		*(struct kvm_mp_state *)arg = rig->mp[cpu];
		return 0;
	case KVM_SET_MP_STATE:
		rig->mp[cpu] = *(struct kvm_mp_state *)arg;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		*(struct kvm_vcpu_events *)arg = rig->events[cpu];
		return 0;
	case KVM_SET_VCPU_EVENTS:
		rig->events[cpu] = *(struct kvm_vcpu_events *)arg;
		return 0;
	default:
		return FAKE_PASS;
	}
}

/* --- The machine ------------------------------------------------------------------------------ */

static uint64_t reg_of(struct rig *rig, unsigned cpu, uint64_t id)
{
	uint64_t value;

	memcpy(&value, find_reg(rig, cpu, id)->value, sizeof(value));
	return value;
}

static void put_reg(struct rig *rig, unsigned cpu, uint64_t id, uint64_t value)
{
	memcpy(find_reg(rig, cpu, id)->value, &value, sizeof(value));
}

static struct rig *new_rig(void)
{
	const struct arch_vm_options options = { .cpus = CPUS, .irqchip = true };
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	fake_sys_init(&rig->fake);
	rig->fake.hook = answer;
	rig->fake.hook_data = rig;
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		for (unsigned i = 0; i < REGS; i++)
			rig->regs[cpu][i].id = ids[i];
		put_reg(rig, cpu, ARM64_MPIDR_EL1, 1ULL << 31 | cpu);
		put_reg(rig, cpu, MIDR_EL1, 0x414fd0b1);
		put_reg(rig, cpu, KVM_REG_ARM64_SVE_VLS, 3);
		rig->vcpus[cpu].fd = -1;
	}
	assert_int_equal(kvm_init(&rig->kvm, &rig->fake.sys, 0), 0);
	assert_int_equal(arch_vm_init(&rig->arch, &rig->kvm, &options), 0);
	for (unsigned i = 0; i < CPUS; i++) {
		struct vcpu *vcpu = &rig->vcpus[i];

		assert_int_equal(vcpu_init(vcpu, &rig->kvm, i, NULL, NULL, NULL, NULL), 0);
		assert_int_equal(arch_vcpu_init(&rig->arch, vcpu), 0);
	}
	rig->order_count = 0;
	return rig;
}

static void free_rig(struct rig *rig)
{
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_destroy(&rig->vcpus[i]);
	arch_vm_destroy(&rig->arch);
	kvm_destroy(&rig->kvm);
	fake_sys_destroy(&rig->fake);
	free(rig);
}

struct machines {
	struct rig *from, *to;
	int fd; /* the file */
};

static int setup(void **state)
{
	struct machines *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->from = new_rig();
	m->to = new_rig();
	m->fd = memfd_create("state", MFD_CLOEXEC);
	assert_true(m->fd >= 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machines *m = *state;

	free_rig(m->from);
	free_rig(m->to);
	close(m->fd);
	free(m);
	return 0;
}

static int transfer(struct rig *rig, struct state *state)
{
	int ret = arch_vm_saved(&rig->arch, state);

	for (unsigned i = 0; i < CPUS && !ret; i++)
		ret = arch_vcpu_saved(&rig->arch, &rig->vcpus[i], state);
	return ret;
}

static int save(struct rig *rig, int fd)
{
	struct state *state;
	int ret;

	assert_int_equal(state_new(&state), 0);
	ret = transfer(rig, state);
	if (!ret) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(state_write(state, fd), 0);
	}
	state_free(state);
	return ret;
}

static int load(struct rig *rig, int fd)
{
	struct state *state;
	int ret;

	assert_int_equal(state_open(&state, fd, "snap"), 0);
	ret = transfer(rig, state);
	if (!ret)
		ret = state_end(state);
	state_free(state);
	return ret;
}

static void load_refused(struct rig *rig, int fd, const char *said)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = load(rig, fd);
	capture_expect_all(&capture, said);
	assert_int_equal(ret, -EBADMSG);
}

static bool is_fixed(const struct attr *attr)
{
	return attr->group == CTRL || attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS ||
	       attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR ||
	       (attr->group == GICD && attr->attr == 4) || (attr->group == ITS && attr->attr == 8);
}

/* Another value in each register. */
static void make_busy(struct rig *rig, int fd)
{
	assert_int_equal(save(rig, fd), 0); /* reads them all */
	for (unsigned i = 0; i < rig->attr_count; i++) {
		struct attr *attr = &rig->attrs[i];

		if (!is_fixed(attr))
			memset(&attr->value, 0x80 | i, size_of_group(attr->group));
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		for (unsigned i = 0; i < REGS; i++)
			if (ids[i] != MIDR_EL1 && ids[i] != ARM64_MPIDR_EL1 &&
			    ids[i] != KVM_REG_ARM64_SVE_VLS)
				memset(rig->regs[cpu][i].value, (int)(1 + cpu * REGS + i),
				       size_of_reg(ids[i]));
		rig->events[cpu].exception.serror_pending = 1;
		rig->events[cpu].exception.serror_esr = 0x1234;
	}
	rig->mp[1].mp_state = KVM_MP_STATE_STOPPED;
	/* Shared by all vCPUs. */
	put_reg(rig, 0, KVM_REG_ARM_TIMER_CNT, 1000);
	put_reg(rig, 0, KVM_REG_ARM_PTIMER_CNT, 5000);
	rig->order_count = 0;
}

static size_t contents(int fd, uint8_t *data)
{
	ssize_t len = pread(fd, data, LEN_MAX, 0);

	assert_in_range(len, 1, LEN_MAX - 1);
	return (size_t)len;
}

/* Saves both ways the same, and has the same in KVM. */
static void assert_comes_back(struct machines *m)
{
	uint8_t *before = calloc(1, LEN_MAX), *after = calloc(1, LEN_MAX);
	size_t len;

	assert_non_null(before);
	assert_non_null(after);
	assert_int_equal(save(m->from, m->fd), 0);
	len = contents(m->fd, before);
	assert_int_equal(load(m->to, m->fd), 0);
	assert_int_equal(arch_clock_start(&m->to->arch, m->to->vcpus, CPUS, 0), 0);
	assert_int_equal(save(m->to, m->fd), 0);
	assert_int_equal(contents(m->fd, after), len);
	assert_memory_equal(before, after, len);
	free(before);
	free(after);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void a_machine_after_power_on_comes_back(void **state)
{
	assert_comes_back(*state);
}

static void a_busy_machine_comes_back(void **state)
{
	struct machines *m = *state;

	make_busy(m->from, m->fd);
	assert_comes_back(m);
	for (unsigned i = 0; i < m->from->attr_count; i++) {
		const struct attr *was = &m->from->attrs[i];

		assert_int_equal(find(m->to, was->group, was->attr)->value, was->value);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_memory_equal(m->to->regs[cpu], m->from->regs[cpu],
				    (REGS - 2) * sizeof(struct reg));
		assert_memory_equal(&m->to->events[cpu], &m->from->events[cpu],
				    sizeof(m->to->events[cpu]));
	}
	assert_int_equal(m->to->mp[0].mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(m->to->mp[1].mp_state, KVM_MP_STATE_STOPPED);
}

static unsigned place(const struct rig *rig, uint32_t group, uint64_t attr)
{
	for (unsigned i = 0; i < rig->order_count; i++)
		if (rig->order[i].group == group && rig->order[i].attr == attr)
			return i;
	fail_msg("attribute %#llx of group %u was not set", (unsigned long long)attr, group);
	return 0;
}

/* The order of arm-vgic-its.rst, and what KVM's GIC needs beyond that. */
static void registers_are_loaded_in_kvms_order(void **state)
{
	const uint64_t cpu1 = 1ULL << 32;
	struct machines *m = *state;
	struct rig *to = m->to;

	make_busy(m->from, m->fd);
	assert_int_equal(save(m->from, m->fd), 0);
	assert_true(place(m->from, CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES) <
		    place(m->from, CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES));
	assert_int_equal(m->from->order_count, 2);

	assert_int_equal(load(to, m->fd), 0);
	assert_int_equal(place(to, GICD, 8), 0); /* IIDR */
	assert_true(place(to, GICD, 0) < place(to, GICD, 0x204));	   /* CTLR, ISPENDR */
	assert_true(place(to, GICD, 0x384) < place(to, GICD, 0x304));	   /* IC-, ISACTIVER */
	assert_true(place(to, GICD, 0x104) < place(to, GICR, 0x70));
	assert_true(place(to, GICR, cpu1 | 0x78) < place(to, GICR, cpu1)); /* PENDBASER, CTLR */
	assert_true(place(to, GICR, cpu1) < place(to, ITS, 0x80));	   /* CBASER */
	assert_true(place(to, ITS, 0x80) < place(to, ITS, 0x90));	   /* CREADR */
	assert_true(place(to, ITS, GITS_BASER(1)) <
		    place(to, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES));
	assert_int_equal(place(to, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), to->order_count - 2);
	assert_int_equal(place(to, ITS, 0), to->order_count - 1); /* CTLR */
}

static void another_gic_is_refused(void **state)
{
	struct machines *m = *state;

	find(m->from, GICD, 4)->value = 0x7b0001;
	assert_int_equal(save(m->from, m->fd), 0);
	load_refused(m->to, m->fd, "kinglet: snap: section arm64-gic: GICD_TYPER is 0x7b0001; "
				   "this machine's is 0x0\n");
}

static void another_cpu_is_refused_by_register(void **state)
{
	struct machines *m = *state;

	put_reg(m->from, 1, MIDR_EL1, 0x410fd4f0);
	assert_int_equal(save(m->from, m->fd), 0);
	load_refused(m->to, m->fd,
		     "kinglet: snap: section arm64-register (vcpu 1): vCPU 1: register "
		     "0x603000000013c000 cannot be loaded here: Invalid argument\n");
}

static void a_register_that_kvm_does_not_have_is_refused(void **state)
{
	struct machines *m = *state;

	find_reg(m->to, 0, ARM64_SCTLR_EL1)->id = FPSR;
	assert_int_equal(save(m->from, m->fd), 0);
	load_refused(m->to, m->fd,
		     "kinglet: snap: section arm64-register (vcpu 0): vCPU 0: register "
		     "0x603000000013c080 cannot be loaded here: No such file or directory\n");
}

static void other_vector_lengths_are_refused(void **state)
{
	struct machines *m = *state;

	put_reg(m->from, 0, KVM_REG_ARM64_SVE_VLS, 1);
	assert_int_equal(save(m->from, m->fd), 0);
	load_refused(m->to, m->fd,
		     "kinglet: snap: section arm64-vector (vcpu 0): vCPU 0: register "
		     "0x606000000015ffff cannot be loaded here: Invalid argument\n");
}

/* KVM would accept it, and the GIC no longer find the vCPU. */
static void another_affinity_is_refused(void **state)
{
	struct machines *m = *state;

	put_reg(m->from, 1, ARM64_MPIDR_EL1, 1ULL << 31 | 0x100);
	assert_int_equal(save(m->from, m->fd), 0);
	load_refused(m->to, m->fd,
		     "kinglet: snap: section arm64-register (vcpu 1): vCPU 1: register "
		     "0x603000000013c005 cannot be loaded here: Invalid argument\n");
}

/* --- Files that no Kinglet writes ------------------------------------------------------------- */

static const struct state_table *table_named(const char *name)
{
	for (const struct state_table *const *table = arch_state_tables; *table; table++)
		if (strcmp((*table)->name, name) == 0)
			return *table;
	fail_msg("no table %s", name);
	return NULL;
}

struct forged {
	uint64_t register_id, vector_id; /* 0: none */
	struct arm64_counters counters;
};

/* The state of vCPU 0 alone. */
static void forge(const struct forged *forged, int fd)
{
	struct {
		uint64_t id;
		uint8_t value[256];
	} vector = { .id = forged->vector_id };
	uint64_t number[2] = { forged->register_id };
	size_t numbers = forged->register_id != 0, vectors = forged->vector_id != 0;
	struct arm64_counters counters = forged->counters;
	struct {
		struct kvm_mp_state mp;
		struct kvm_vcpu_events events;
	} rest = { 0 };
	struct state *state;
	int ret;

	assert_int_equal(state_new(&state), 0);
	ret = state_list(state, table_named("arm64-register"), "vcpu 0", number, 1, &numbers);
	if (!ret)
		ret = state_list(state, table_named("arm64-vector"), "vcpu 0", &vector, 1,
				 &vectors);
	if (!ret)
		ret = state_section(state, table_named("arm64-vcpu"), "vcpu 0", &rest);
	if (!ret)
		ret = state_section(state, table_named("arm64-counters"), "", &counters);
	assert_int_equal(ret, 0);
	assert_int_equal(state_write(state, fd), 0);
	state_free(state);
}

static void forged_is_refused(struct machines *m, const struct forged *forged, const char *said)
{
	struct capture capture;
	struct state *state;
	int ret;

	forge(forged, m->fd);
	assert_int_equal(state_open(&state, m->fd, "snap"), 0);
	capture_stderr_begin(&capture);
	ret = arch_vcpu_saved(&m->to->arch, &m->to->vcpus[0], state);
	capture_expect(&capture, said);
	assert_int_equal(ret, -EBADMSG);
	state_free(state);
}

static void a_number_wider_than_its_field_is_refused(void **state)
{
	forged_is_refused(*state, &(struct forged){ .register_id = VREG0 },
			  "section arm64-register (vcpu 0): a number of more than 64 bits");
}

static void a_vector_wider_than_its_field_is_refused(void **state)
{
	forged_is_refused(*state, &(struct forged){ .vector_id = 0xfULL << KVM_REG_SIZE_SHIFT },
			  "section arm64-vector (vcpu 0): a vector of more than 2,048 bits");
}

static void a_counter_of_another_frequency_is_refused(void **state)
{
	forged_is_refused(*state, &(struct forged){ .counters.frequency = 1 },
			  "section arm64-counters: the counter has 1 Hz; this host's has ");
}

static int part(void *object, struct state *state)
{
	return transfer(object, state);
}

/* Never anything else, and one line of the refused. */
static void damage_is_loaded_or_refused(void **state)
{
	struct machines *m = *state;
	struct saved saved;
	unsigned refused = 0;
	char said[1100];
	uint8_t *byte;

	make_busy(m->from, m->fd);
	saved = saved_take(part, m->from);
	for (size_t n = 0; (byte = saved_byte(&saved, n)); n += 3) {
		struct capture capture;
		int ret;

		*byte ^= 0x81;
		m->to->order_count = 0;
		capture_stderr_begin(&capture);
		ret = saved_load(&saved, part, m->to);
		capture_stderr_end(&capture, said, sizeof(said));
		*byte ^= 0x81;
		assert_true(ret == 0 || ret == -EBADMSG);
		assert_ptr_equal(strchr(said, '\n'), ret ? said + strlen(said) - 1 : NULL);
		refused += ret != 0;
	}
	assert_in_range(refused, 20, 1000);
	saved_free(&saved);
}

/* --- Clocks ----------------------------------------------------------------------------------- */

static void clocks_go_on_from_where_they_were(void **state)
{
	struct machines *m = *state;
	struct arm64_vm *vm = m->to->arch.priv;
	uint64_t ticks;

	make_busy(m->from, m->fd);
	assert_int_equal(save(m->from, m->fd), 0);
	assert_int_equal(load(m->to, m->fd), 0);
	assert_int_equal(reg_of(m->to, 0, KVM_REG_ARM_TIMER_CNT), 0);
	assert_int_equal(arch_clock_start(&m->to->arch, m->to->vcpus, CPUS, 2500000000), 0);
	ticks = vm->counters.frequency * 5 / 2;
	assert_true(ticks > 0);
	assert_int_equal(reg_of(m->to, 0, KVM_REG_ARM_TIMER_CNT), 1000 + ticks);
	assert_int_equal(reg_of(m->to, 0, KVM_REG_ARM_PTIMER_CNT), 5000 + ticks);
	assert_int_equal(reg_of(m->to, 1, KVM_REG_ARM_TIMER_CNT), 0); /* KVM does that */
}

/* Linux would report that a CPU hangs. */
static void clocks_go_on_by_ten_seconds_at_most(void **state)
{
	struct machines *m = *state;
	struct arm64_vm *vm = m->to->arch.priv;

	make_busy(m->from, m->fd);
	assert_int_equal(save(m->from, m->fd), 0);
	assert_int_equal(load(m->to, m->fd), 0);
	assert_int_equal(arch_clock_start(&m->to->arch, m->to->vcpus, CPUS, UINT64_MAX), 0);
	assert_int_equal(reg_of(m->to, 0, KVM_REG_ARM_TIMER_CNT), 1000 + 10 * vm->counters.frequency);
}

static void a_kvm_without_physical_counter_leaves_the_hosts(void **state)
{
	struct machines *m = *state;
	struct rig *from = m->from, *to = m->to;

	make_busy(from, m->fd);
	assert_int_equal(save(from, m->fd), 0);
	to->no_physical = true;
	assert_int_equal(load(to, m->fd), 0);
	assert_int_equal(arch_clock_start(&to->arch, to->vcpus, CPUS, 0), 0);
	assert_int_equal(reg_of(to, 0, KVM_REG_ARM_TIMER_CNT), 1000);

	/* And from there to a KVM that has it. */
	assert_int_equal(save(to, m->fd), 0);
	put_reg(from, 0, KVM_REG_ARM_TIMER_CNT, 0);
	assert_int_equal(load(from, m->fd), 0);
	assert_int_equal(arch_clock_start(&from->arch, from->vcpus, CPUS, 0), 0);
	assert_int_equal(reg_of(from, 0, KVM_REG_ARM_TIMER_CNT), 1000);
	assert_int_equal(reg_of(from, 0, KVM_REG_ARM_PTIMER_CNT), 5000);
}

/* --- Failures --------------------------------------------------------------------------------- */

static int load_and_start(struct rig *rig, int fd)
{
	int ret = load(rig, fd);

	return ret ? ret : arch_clock_start(&rig->arch, rig->vcpus, CPUS, 0);
}

/* Each call fails in turn: one line that names what failed, and the error. */
static unsigned fail_each(struct rig *rig, int fd, int (*what)(struct rig *rig, int fd))
{
	char said[1100];
	int ret = -EIO;
	unsigned n = 0;

	while (ret) {
		struct capture capture;

		rig->fake.calls = rig->order_count = 0;
		rig->fake.fail_at = ++n;
		capture_stderr_begin(&capture);
		ret = what(rig, fd);
		capture_stderr_end(&capture, said, sizeof(said));
		assert_int_equal(ret, rig->fake.calls >= n ? -EIO : 0);
		if (!ret)
			break;
		assert_non_null(strstr(said, ": Input/output error\n"));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		assert_ptr_equal(strstr(said, "kinglet: /dev/kvm: "), said);
	}
	return n - 1;
}

static void every_failure_is_reported_once(void **state)
{
	struct machines *m = *state;

	make_busy(m->from, m->fd);
	assert_in_range(fail_each(m->from, m->fd, save), 150, 400);
	assert_in_range(fail_each(m->to, m->fd, load_and_start), 150, 600);
}

/* Whose states are loaded, the newest last. */
static const char *const releases[] = { "0.1.0" };

static void states_of_releases_are_loaded(void **state)
{
	static const struct moving_field none[] = { { NULL, NULL } };
	struct machines *m = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(releases); i++) {
		struct rig *rig = new_rig();
		char path[80], saved[32];
		int fd;

		snprintf(path, sizeof(path), "tests/machine/stored/%s/arch-aarch64", releases[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(load_and_start(rig, fd), 0);
		assert_int_equal(save(rig, m->fd), 0);
		snprintf(saved, sizeof(saved), "/proc/self/fd/%d", m->fd);
		same_state(path, saved, none);
		close(fd);
		free_rig(rig);
	}
}

static int write_state(const char *path)
{
	struct rig *rig = new_rig();
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	make_busy(rig, fd);
	assert_int_equal(save(rig, fd), 0);
	close(fd);
	free_rig(rig);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_machine_after_power_on_comes_back),
		TEST(a_busy_machine_comes_back),
		TEST(registers_are_loaded_in_kvms_order),
		TEST(another_gic_is_refused),
		TEST(another_cpu_is_refused_by_register),
		TEST(a_register_that_kvm_does_not_have_is_refused),
		TEST(other_vector_lengths_are_refused),
		TEST(another_affinity_is_refused),
		TEST(a_number_wider_than_its_field_is_refused),
		TEST(a_vector_wider_than_its_field_is_refused),
		TEST(a_counter_of_another_frequency_is_refused),
		TEST(damage_is_loaded_or_refused),
		TEST(clocks_go_on_from_where_they_were),
		TEST(clocks_go_on_by_ten_seconds_at_most),
		TEST(a_kvm_without_physical_counter_leaves_the_hosts),
		TEST(every_failure_is_reported_once),
		TEST(states_of_releases_are_loaded),
	};

	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_state(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
