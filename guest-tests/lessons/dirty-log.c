/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty-log GUEST - the host's side of lesson 9: a machine of one vCPU, a little RAM and a single
 * device. At each write to it, the pages written since the last one are printed.
 */
#include "dirty_machine.h"

#include "core/bus.h"
#include "core/dirty.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct machine {
	struct sys sys;
	struct kvm kvm;
	struct gmem mem;
	struct gmem_kvm memslots;
	struct bus pio, mmio;
	struct arch_vm arch;
	struct vcpu vcpu;
	struct dirty_log log;
	struct bus_region device;
	unsigned round;
	sem_t ended;
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "dirty-log: %s\n", what);
	exit(1);
}

static void print_page(void *owner, uint64_t gpa)
{
	(void)owner;
	printf(" 0x%" PRIx64, gpa);
}

/* On the vCPU's thread: the guest is stopped in its write. */
static void round_ends(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct machine *m = owner;

	(void)offset;
	(void)value;
	(void)size;
	printf("round %u:", ++m->round);
	require(!dirty_log_read(&m->log, print_page, NULL), "KVM_GET_DIRTY_LOG");
	puts("");
}

static uint64_t nothing(void *owner, uint64_t offset, unsigned size)
{
	(void)owner;
	(void)offset;
	(void)size;
	return 0;
}

static const struct bus_ops device_ops = { .read = nothing, .write = round_ends };

static void guest_ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail)
{
	struct machine *m = owner;

	(void)vcpu;
	if (end != guest_ends)
		fprintf(stderr, "dirty-log: the guest did not end as it should: %s\n", detail);
	sem_post(&m->ended);
}

static const struct vcpu_ops vcpu_ops = { .exit = arch_vcpu_exit, .ended = guest_ended };

static void build(struct machine *m, const char *guest)
{
	const struct gmem_range ram = { .gpa = RAM_BASE, .len = RAM_SIZE };
	const struct gmem_options private = { 0 };
	const struct arch_vm_options no_irqchip = { .cpus = 1 };
	const struct boot_options boot = {
		.kernel = guest,
		.cmdline = "",
		.format = BOOT_FORMAT_FLAT,
		.flat_address = LOAD_ADDRESS,
		.flat_mode = guest_mode,
		.cpus = 1,
	};
	struct boot_state state;

	sys_init(&m->sys);
	sem_init(&m->ended, 0, 0);
	require(!gmem_init(&m->mem, &ram, 1, &private), "no memory");
	require(!kvm_init(&m->kvm, &m->sys, arch_machine_type(RAM_SIZE)), "no KVM");
	require(!gmem_kvm_attach(&m->memslots, &m->mem, &m->kvm), "no memory slot");
	m->device = (struct bus_region){ ROUND, 1, &device_ops, m, "end of a round" };
	require(!bus_init(&m->pio) && !bus_init(&m->mmio) &&
			!bus_add(ROUND_IS_PORT ? &m->pio : &m->mmio, &m->device),
		"no bus");
	require(!arch_vm_init(&m->arch, &m->kvm, &no_irqchip), "no machine");
	require(!vcpu_init(&m->vcpu, &m->kvm, 0, &m->pio, &m->mmio, &vcpu_ops, m) &&
			!arch_vcpu_init(&m->arch, &m->vcpu),
		"no vCPU");
	require(!arch_boot_load(&m->arch, &m->mem, &boot, &state) &&
			!arch_boot_vcpu(&m->vcpu, &state),
		"no guest");
}

static void take_down(struct machine *m)
{
	vcpu_destroy(&m->vcpu);
	arch_vm_destroy(&m->arch);
	bus_destroy(&m->pio);
	bus_destroy(&m->mmio);
	gmem_del_listener(&m->mem, &m->memslots.listener);
	kvm_destroy(&m->kvm);
	gmem_destroy(&m->mem);
}

int main(int argc, char **argv)
{
	static struct machine m;

	require(argc == 2, "usage: dirty-log GUEST");
	build(&m, argv[1]);
	require(!dirty_log_start(&m.log, &m.memslots, &m.mem), "no dirty log");
	require(!vcpu_start(&m.vcpu), "no thread");
	while (sem_wait(&m.ended))
		;
	vcpu_stop(&m.vcpu);
	dirty_log_stop(&m.log);
	take_down(&m);
	return m.round == 4 ? 0 : 1;
}
