/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds, runs and takes down one machine: the stages come up in the order of the table and go down
 * in reverse, each undoing exactly what it did.
 */
#include "../trace/watch.h"

#include "base/log.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

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

static bool memory_may_stop(void *owner)
{
	return vm_has_ended(owner);
}

static int memory_up(struct vm *vm)
{
	const struct gmem_options options = {
		.shared = vm->config->shared_memory,
		.hugepages = vm->config->hugepages,
		.prefault = vm->config->prefault,
		.stop = { .wanted = memory_may_stop, .owner = vm },
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
	int ret;

	vm_console_greet(vm);
	ret = vm_start_vcpus(vm);
	if (ret)
		run_down(vm);
	return ret;
}

/*
 * Devices go down behind the vCPUs, which might still use them, and before what they are made of:
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
	{ board_init, board_destroy, BLAME_HOST },
	{ pci_up, pci_down, BLAME_HOST },
	{ vm_add_devices, NULL, BLAME_ERRNO }, /* the bus owns them */
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

	/* A write that fails says so: a reader has gone, or a file may not grow (RLIMIT_FSIZE). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* The usual soft limit of 1,024 is for select(2); a vCPU has a descriptor, a queue two. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* Returns how many stages are up; all of them, or the run has ended. */
static unsigned build(struct vm *vm)
{
	unsigned built = 0;

	while (built < ARRAY_SIZE(stages) && !vm_has_ended(vm)) {
		int ret = stages[built].up(vm);

		if (ret) {
			/* The stage has said why; there is nothing to add. */
			vm_end(vm, blame(&stages[built], ret), 0, "%s", "");
			break;
		}
		built++;
	}
	return built;
}

static void serve(struct vm *vm)
{
	int ret;

	atomic_store(&vm->running, true);
	ret = loop_run(&vm->loop);
	if (ret)
		vm_end(vm, OUTCOME_HOST, 0, "event loop: %s", strerror(-ret));
	if (vm->config->stats)
		vm_print_stats(vm);
}

static void take_down(struct vm *vm, unsigned built)
{
	watch_phase(vm, PHASE_DOWN);
	while (built--) {
		if (stages[built].down)
			stages[built].down(vm);
		atomic_fetch_add(&vm->progress, 1);
	}
}

void vm_main(struct vm *vm)
{
	unsigned built = 0;

	if (watch_begin(vm))
		vm_end(vm, OUTCOME_USAGE, 0, "%s", "");
	else
		built = build(vm);
	if (built == ARRAY_SIZE(stages))
		serve(vm);
	take_down(vm, built);
	watch_end(vm);
}

/* What it takes to run: the two loops. */
static int prepare(struct vm *vm)
{
	int ret = loop_init(&vm->loop);

	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		return ret;
	}
	ret = vm_requests_init(vm);
	if (ret)
		goto err_loop;
	ret = control_init(vm);
	if (ret)
		goto err_requests;
	vm_verdict_init(vm);
	return 0;

err_requests:
	vm_requests_destroy(vm);
err_loop:
	loop_destroy(&vm->loop);
	return ret;
}

static void dispose(struct vm *vm)
{
	control_destroy(vm);
	vm_requests_destroy(vm);
	loop_destroy(&vm->loop);
	vm_verdict_destroy(vm);
	free(vm);
}

/*
 * The machine's thread is stuck, and so may others be. What would outlive the process is seen to
 * here; all else goes with it. Who has the lock of the consoles keeps observers from being called.
 */
static void abandon(struct vm *vm)
{
	struct timespec soon;

	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon = (struct timespec){ soon.tv_sec, soon.tv_nsec + 100000000 };
	if (soon.tv_nsec >= 1000000000)
		soon = (struct timespec){ soon.tv_sec + 1, soon.tv_nsec - 1000000000 };
	if (pthread_mutex_clocklock(&vm->console_lock, CLOCK_MONOTONIC, &soon))
		vm_fail(vm, OUTCOME_HOST, "the console's text was not looked at to its end");
	terminal_restore(&vm->terminal);
	vm_gdb_abandon(vm);
	vm_abandon_devices(vm);
	if (!atomic_load(&vm->to_finish))
		return;
	log_warning("the machine does not stop: what it had still to write may be lost");
	vm_fail(vm, OUTCOME_HOST, "the machine did not stop");
}

bool machine_run(const struct machine_config *config, struct sys *sys, struct verdict *verdict)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	bool gone;

	*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = 101 };
	if (!vm) {
		log_error("machine: %s", strerror(ENOMEM));
		return true;
	}
	vm->config = config;
	vm->sys = sys;
	prepare_process();
	if (prepare(vm)) {
		free(vm);
		return true;
	}
	gone = control_run(vm);
	if (!gone)
		abandon(vm);
	pthread_mutex_lock(&vm->verdict_lock);
	*verdict = vm->verdict;
	pthread_mutex_unlock(&vm->verdict_lock);
	if (gone)
		dispose(vm);
	return gone;
}
