/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds, runs and takes down one machine: the stages come up in the order of the table and go down
 * in reverse, each undoing exactly what it did.
 */
#include "watch.h"

#include "base/log.h"

#include <string.h>
#include <sys/resource.h>

/* Whose fault the failure of a stage is: it decides the exit status. */
enum blame {
	BLAME_HOST,  /* 101 */
	BLAME_INPUT, /* 100: an option's value, or a file */
	BLAME_ERRNO, /* 100 when the errno speaks of the input, else 101 */
};

struct stage {
	int (*up)(struct vm *vm);
	void (*down)(struct vm *vm); /* NULL: nothing to undo */
	enum blame blame;
};

static int loop_up(struct vm *vm)
{
	int ret = loop_init(&vm->loop);

	if (ret)
		log_error("event loop: %s", strerror(-ret));
	return ret;
}

static void loop_down(struct vm *vm)
{
	loop_destroy(&vm->loop);
}

static int memory_up(struct vm *vm)
{
	const struct gmem_options options = {
		.shared = vm->config->shared_memory,
		.hugepages = vm->config->hugepages,
		.prefault = vm->config->prefault,
	};
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(vm->config->memory, ranges);
	int ret = count > 0 ? gmem_init(&vm->mem, ranges, (unsigned)count, &options) : count;

	if (ret == -EINVAL)
		log_error("--memory: %llu bytes is no size that guest RAM%s can have",
			  (unsigned long long)vm->config->memory,
			  options.hugepages ? " of 2 MiB pages" : "");
	return ret;
}

static void memory_down(struct vm *vm)
{
	gmem_destroy(&vm->mem);
}

static int kvm_up(struct vm *vm)
{
	return kvm_init(&vm->kvm, vm->sys, arch_machine_type(vm->config->memory));
}

static void kvm_down(struct vm *vm)
{
	kvm_destroy(&vm->kvm);
}

static int config_checked(struct vm *vm)
{
	unsigned max = arch_max_cpus(&vm->kvm);

	if (vm->config->cpus > max) {
		log_error("--cpus %u: KVM on this host allows 1 to %u", vm->config->cpus, max);
		return -EINVAL;
	}
	if (!vm->config->irqchip && !arch_irqchip_is_optional()) {
		log_error("--irqchip off: this architecture's machines always have one; leave it out");
		return -EINVAL;
	}
	if (vm->config->cpus > 1 && !vm->config->irqchip) {
		log_error("--cpus %u needs --irqchip on", vm->config->cpus);
		return -EINVAL;
	}
	return 0;
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

static void arch_down(struct vm *vm)
{
	arch_vm_destroy(&vm->arch);
}

static int irqs_up(struct vm *vm)
{
	const struct kvm_irq_routing_entry *routes;
	unsigned count;

	routes = arch_irq_routes(&count);
	return irqs_init(&vm->irqs, &vm->kvm, &vm->loop, routes, count);
}

static void irqs_down(struct vm *vm)
{
	irqs_destroy(&vm->irqs);
}

static int pci_up(struct vm *vm)
{
	struct pci_bus_options options = { .mmio = &vm->mmio, .irqs = &vm->irqs };

	board_pci_options(vm, &options);
	return pci_bus_init(&vm->pci, &options);
}

static void pci_down(struct vm *vm)
{
	pci_bus_destroy(&vm->pci);
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
	static const struct vcpu_ops ops = { .exit = arch_vcpu_exit, .ended = vm_vcpu_ended,
					     .debugged = vm_vcpu_debugged };
	struct vcpu *vcpu = &vm->vcpus[id];
	int ret = vcpu_init(vcpu, &vm->kvm, id, &vm->pio, &vm->mmio, &ops, vm);

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

static void run_down(struct vm *vm)
{
	board_serial_stop(vm);
	vm_stop_vcpus(vm);
}

static int run_up(struct vm *vm)
{
	int ret = vm_start_vcpus(vm);

	if (ret)
		run_down(vm);
	return ret;
}

/*
 * Devices go down behind the vCPUs, which might still use them, and before what they are made of:
 * interrupt lines, buses, RAM.
 */
static const struct stage stages[] = {
	{ loop_up, loop_down, BLAME_HOST },
	{ vm_events_init, vm_events_destroy, BLAME_HOST },
	{ memory_up, memory_down, BLAME_ERRNO },
	{ kvm_up, kvm_down, BLAME_HOST },
	{ config_checked, NULL, BLAME_INPUT },
	{ memslots_up, memslots_down, BLAME_HOST },
	{ buses_up, buses_down, BLAME_HOST },
	{ arch_up, arch_down, BLAME_HOST },
	{ irqs_up, irqs_down, BLAME_HOST },
	{ board_init, board_destroy, BLAME_HOST },
	{ vm_scsi_targets_up, vm_scsi_targets_down, BLAME_ERRNO },
	{ pci_up, pci_down, BLAME_HOST },
	{ vm_add_devices, NULL, BLAME_ERRNO }, /* the bus owns them */
	{ vm_net_links_up, vm_net_links_down, BLAME_HOST },
	{ vcpus_up, vcpus_down, BLAME_HOST },
	{ vm_console_init, vm_console_destroy, BLAME_HOST },
	{ vm_program_init, vm_program_destroy, BLAME_HOST },
	{ vm_load_guest, NULL, BLAME_INPUT },
	{ watch_machine_up, watch_machine_down, BLAME_HOST },
	{ vm_gdb_init, vm_gdb_destroy, BLAME_HOST },
	{ run_up, run_down, BLAME_HOST },
};

static bool speaks_of_input(int err)
{
	return err == -EINVAL || err == -ENOENT || err == -ENOTDIR;
}

static enum outcome blame(const struct stage *stage, int err)
{
	if (stage->blame == BLAME_INPUT || (stage->blame == BLAME_ERRNO && speaks_of_input(err)))
		return OUTCOME_USAGE;
	return OUTCOME_HOST;
}

/* What a machine asks of its process. Stays so: the verdict, too, may find that nobody reads it. */
static void prepare_process(void)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	/* The usual soft limit of 1,024 is for select(2); a vCPU has a descriptor, a queue two. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

void machine_run(const struct machine_config *config, struct sys *sys, struct verdict *verdict)
{
	struct vm vm = { .config = config, .sys = sys, .control.fd = -1 };
	unsigned built = 0;
	int ret = 0;

	prepare_process();
	vm_verdict_init(&vm, verdict);
	ret = watch_begin(&vm);
	if (ret) {
		vm_end(&vm, OUTCOME_USAGE, 0, "%s", "");
		vm_verdict_destroy(&vm);
		return;
	}
	while (built < ARRAY_SIZE(stages)) {
		ret = stages[built].up(&vm);
		if (ret)
			break;
		built++;
	}

	if (ret) {
		/* The stage has said why; there is nothing to add. */
		vm_end(&vm, blame(&stages[built], ret), 0, "%s", "");
	} else {
		ret = loop_run(&vm.loop);
		if (ret)
			vm_end(&vm, OUTCOME_HOST, 0, "event loop: %s", strerror(-ret));
		if (config->stats)
			vm_print_stats(&vm);
	}

	while (built--)
		if (stages[built].down)
			stages[built].down(&vm);
	watch_end(&vm);
	vm_verdict_destroy(&vm);
}
