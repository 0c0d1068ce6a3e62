/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds, serves and takes down one machine: the stages are started in the order of the table and
 * undone in reverse, each undoing exactly what it did.
 */
#include "migration.h"
#include "program.h"
#include "run.h"
#include "save.h"

#include "base/log.h"
#include "machine/migration.h"
#include "machine/snapshot.h"

#include <string.h>

/* The cause of a stage's failure: it decides the exit status. */
enum blame {
	BLAME_HOST,  /* 101 */
	BLAME_INPUT, /* 100: an option's value, or a file */
	BLAME_ERRNO, /* 100 when the errno means an input error, else 101 */
};

struct stage {
	int (*up)(struct vm *vm);
	void (*down)(struct vm *vm); /* NULL: nothing to undo */
	enum blame blame;
};

/* An undo step that destroys a single part. */
#define DOWN(stage, destroy, part)                                                                 \
	static void stage##_down(struct vm *vm)                                                    \
	{                                                                                          \
		destroy(&vm->part);                                                                \
	}

DOWN(memory, gmem_destroy, mem)
DOWN(arch, arch_vm_destroy, arch)
DOWN(irqs, irqs_destroy, irqs)
DOWN(pci, pci_bus_destroy, pci)
DOWN(console, console_destroy, console)
DOWN(observers, observers_stopped, observers)

static bool memory_may_stop(void *owner)
{
	struct vm *vm = owner;

	return ending_is_known(&vm->ending);
}

static bool is_restored(const struct vm *vm)
{
	return vm->config->restore && !vm->config->incoming;
}

static int memory_up(struct vm *vm)
{
	const struct gmem_options options = {
		.shared = vm->config->shared_memory ||
			  device_set_shares_ram(&vm->config->devices),
		.hugepages = vm->config->hugepages,
		.prefault = vm->config->prefault,
		.from_file = is_restored(vm),
		.file = is_restored(vm) ? vm->config->restore->memory_fd : -1,
		.stop = { .wanted = memory_may_stop, .owner = vm },
	};
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(vm->config->memory, ranges);
	int ret = count > 0 ? gmem_init(&vm->mem, ranges, (unsigned)count, &options) : count;

	if (ret == -EINVAL)
		log_error("--memory: %llu bytes is not a possible size of guest RAM%s",
			  (unsigned long long)vm->config->memory,
			  options.hugepages ? " of 2 MiB pages" : "");
	return ret;
}

static int kvm_up(struct vm *vm)
{
	return kvm_init(&vm->kvm, vm->sys, arch_machine_type(vm->config->memory));
}

static void kvm_down(struct vm *vm)
{
	if (!vm->config->leaves_vm)
		kvm_destroy(&vm->kvm);
}

static int config_checked(struct vm *vm)
{
	unsigned max = arch_max_cpus(&vm->kvm);

	if (vm->config->cpus > max) {
		log_error("--cpus %u: KVM on this host allows 1 to %u", vm->config->cpus, max);
		return -EINVAL;
	}
	return machine_check(vm->config);
}

static int memslots_up(struct vm *vm)
{
	return gmem_kvm_attach(&vm->memslots, &vm->mem, &vm->kvm);
}

static void memslots_down(struct vm *vm)
{
	gmem_del_listener(&vm->mem, &vm->memslots.listener);
}

static int buses_up(struct vm *vm)
{
	int ret = bus_init(&vm->pio);

	if (ret)
		return ret;
	ret = bus_init(&vm->mmio);
	if (ret)
		bus_destroy(&vm->pio);
	return ret;
}

static void buses_down(struct vm *vm)
{
	bus_destroy(&vm->mmio);
	bus_destroy(&vm->pio);
}

static int arch_up(struct vm *vm)
{
	const struct arch_vm_options options = {
		.cpus = vm->config->cpus,
		.irqchip = vm->config->irqchip,
	};

	return arch_vm_init(&vm->arch, &vm->kvm, &options);
}

static int irqs_up(struct vm *vm)
{
	const struct kvm_irq_routing_entry *routes;
	unsigned count;

	routes = arch_irq_routes(&count);
	return irqs_init(&vm->irqs, &vm->kvm, &vm->loop, routes, count);
}

static int board_up(struct vm *vm)
{
	return board_init(vm, run_crashed);
}

static int pci_up(struct vm *vm)
{
	struct pci_bus_options options = { .mmio = &vm->mmio, .irqs = &vm->irqs };

	board_pci_options(vm, &options);
	return pci_bus_init(&vm->pci, &options);
}

static void vcpus_down(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_destroy(&vm->vcpus[i]);
	vm->vcpu_count = 0;
	free(vm->vcpus);
	vm->vcpus = NULL;
}

static int vcpu_up(struct vm *vm, unsigned id)
{
	struct vcpu *vcpu = &vm->vcpus[id];
	int ret = vcpu_init(vcpu, &vm->kvm, id, &vm->pio, &vm->mmio, &run_vcpu_ops, vm);

	if (ret) {
		log_error("vCPU %u: KVM_CREATE_VCPU: %s", id, strerror(-ret));
		return ret;
	}
	vm->vcpu_count++;
	return arch_vcpu_init(&vm->arch, vcpu);
}

static int vcpus_up(struct vm *vm)
{
	int ret = 0;

	vm->vcpus = calloc(vm->config->cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return -ENOMEM;
	for (unsigned i = 0; i < vm->config->cpus && !ret; i++)
		ret = vcpu_up(vm, i);
	if (ret)
		vcpus_down(vm);
	return ret;
}

static int console_up(struct vm *vm)
{
	const struct console_options options = {
		.config = vm->config,
		.loop = &vm->loop,
		.ending = &vm->ending,
		.observers = &vm->observers,
		.serial = vm->serial,
		.hvc = vm->hvc,
	};

	return console_init(&vm->console, &options);
}

static int program_up(struct vm *vm)
{
	if (!vm->config->program)
		return 0;
	return program_new(&vm->program, vm->config, &vm->loop, &vm->ending, vm->hvc,
			   vm->program_port);
}

static void program_down(struct vm *vm)
{
	program_free(vm->program);
	vm->program = NULL;
}

static int observers_up(struct vm *vm)
{
	vm->parts.device_count = vm->device_count;
	vm->parts.vcpus = vm->vcpus;
	vm->parts.vcpu_count = vm->vcpu_count;
	return observers_built(&vm->observers, &vm->parts);
}

static int boot_up(struct vm *vm)
{
	return vm->config->restore ? 0 : run_load(vm);
}

static int restore_up(struct vm *vm)
{
	return is_restored(vm) ? vm_restore(vm) : 0;
}

/* Last, so that nothing can fail any more once the source has been told to end. */
static int receive_up(struct vm *vm)
{
	return vm->config->incoming ? vm_receive(vm) : 0;
}

static int run_up(struct vm *vm)
{
	console_greet(&vm->console);
	observers_phase(&vm->observers, MACHINE_RUNS);
	return run_start(vm);
}

/*
 * Devices are destroyed after the vCPUs, which might still use them, and before their parts:
 * interrupt lines, buses, RAM.
 */
static const struct stage stages[] = {
	{ memory_up, memory_down, BLAME_ERRNO },
	{ kvm_up, kvm_down, BLAME_HOST },
	{ config_checked, NULL, BLAME_INPUT },
	{ memslots_up, memslots_down, BLAME_HOST },
	{ buses_up, buses_down, BLAME_HOST },
	{ arch_up, arch_down, BLAME_HOST },
	{ irqs_up, irqs_down, BLAME_HOST },
	{ board_up, board_destroy, BLAME_HOST },
	{ pci_up, pci_down, BLAME_HOST },
	{ vm_add_devices, NULL, BLAME_ERRNO }, /* the bus owns them */
	{ vcpus_up, vcpus_down, BLAME_HOST },
	{ console_up, console_down, BLAME_HOST },
	{ program_up, program_down, BLAME_HOST },
	{ boot_up, NULL, BLAME_INPUT },
	{ restore_up, NULL, BLAME_ERRNO },
	{ observers_up, observers_down, BLAME_HOST },
	{ receive_up, NULL, BLAME_HOST },
	{ run_up, run_stop, BLAME_HOST },
};

static bool speaks_of_input(int err)
{
	return err == -EINVAL || err == -ENOENT || err == -ENOTDIR || err == -EBADMSG;
}

static enum outcome blame(const struct stage *stage, int err)
{
	if (stage->blame == BLAME_INPUT || (stage->blame == BLAME_ERRNO && speaks_of_input(err)))
		return OUTCOME_USAGE;
	return OUTCOME_HOST;
}

/* Returns the number of completed stages; if not all, the run has ended. */
static unsigned build(struct vm *vm)
{
	unsigned built = 0;
	char why[200];

	log_keep(why, sizeof(why));
	while (built < ARRAY_SIZE(stages) && !ending_is_known(&vm->ending)) {
		int ret = stages[built].up(vm);

		if (ret) {
			/* The stage has logged the reason. */
			ending_decide(&vm->ending, blame(&stages[built], ret), 0, "%s", "");
			if (vm->config->incoming)
				machine_refuse(vm->config->incoming_fd, why);
			break;
		}
		built++;
	}
	log_keep(NULL, 0);
	return built;
}

static void serve(struct vm *vm)
{
	int ret;

	atomic_store(&vm->control.built, true);
	ret = loop_run(&vm->loop);
	if (ret)
		ending_decide(&vm->ending, OUTCOME_HOST, 0, "event loop: %s", strerror(-ret));
}

static void take_down(struct vm *vm, unsigned built)
{
	observers_phase(&vm->observers, MACHINE_ENDS);
	while (built--) {
		if (stages[built].down)
			stages[built].down(vm);
		atomic_fetch_add(&vm->ending.progress, 1);
	}
}

void vm_live(void *owner)
{
	struct vm *vm = owner;
	unsigned built = 0;

	if (observers_begin(&vm->observers, &vm->parts))
		ending_decide(&vm->ending, OUTCOME_USAGE, 0, "%s", "");
	else
		built = build(vm);
	if (built == ARRAY_SIZE(stages))
		serve(vm);
	run_check_saved(vm);
	vm_migration_free(vm);
	take_down(vm, built);
	observers_gone(&vm->observers);
}
