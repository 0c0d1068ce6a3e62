/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an architecture must provide. Implemented once per folder under arch/; nothing else but the
 * board file of the machine layer depends on which one it is.
 *
 * Order of calls, all on the machine's thread before any vCPU runs:
 *   arch_ram_ranges → gmem_init → arch_vm_init → (irqs_init with arch_irq_routes) → devices →
 *   vcpu_init + arch_vcpu_init for each vCPU → arch_boot_load → arch_boot_vcpu → vcpu_start.
 * A machine that is restored goes on from arch_vcpu_init with arch_vm_saved → arch_vcpu_saved for
 * each vCPU → devices' state → arch_clock_start → vcpu_start.
 * A reboot inside the process stops the vCPUs, zeroes RAM, calls arch_vm_reset and, for each vCPU,
 * arch_vcpu_reset, then repeats from arch_boot_load.
 *
 * arch/probe.h and arch/debug.h are the rest of the interface; docs/architecture.md lists
 * everything that a new architecture needs.
 */
#ifndef KINGLET_ARCH_ARCH_H
#define KINGLET_ARCH_ARCH_H

#include "core/kvm.h"
#include "core/memory.h"
#include "core/state.h"
#include "core/vcpu.h"

/* The mode in which a flat binary is entered. Only x86 has modes other than 64. */
enum cpu_mode { CPU_MODE_16, CPU_MODE_32, CPU_MODE_64 };

enum boot_format {
	BOOT_FORMAT_AUTO, /* by the file's own magic */
	BOOT_FORMAT_FLAT, /* no magic: bytes at flat_address, entered at the first one */
};

/* A file loaded with the kernel (Multiboot), with its own string. */
struct boot_module {
	const char *path;
	const char *args; /* or NULL */
};

enum { BOOT_MODULES_MAX = 16 };

/* What to boot. All strings borrowed, valid until arch_boot_load() returns. */
struct boot_options {
	const char *kernel;    /* path */
	const char *initrd;    /* path, or NULL; Multiboot: the first module */
	struct boot_module modules[BOOT_MODULES_MAX]; /* without the initrd */
	unsigned module_count;
	const char *cmdline;   /* never NULL */
	const char *dump_fdt;  /* file that gets the device tree as well, or NULL */
	enum boot_format format;
	uint64_t flat_address; /* GPA */
	enum cpu_mode flat_mode;
	bool firmware_tables;  /* ACPI or FDT */
	unsigned cpus;
};

/* What was loaded, and where: the loader uses it to place the initrd. */
struct boot_summary {
	const char *format;    /* "bzImage", "PVH", "flat", "Image", … */
	uint64_t entry;	       /* GPA of the first instruction */
	uint64_t kernel_start; /* GPA */
	uint64_t kernel_end;   /* first GPA after the kernel (and its bss, if known) */
	uint64_t initrd_start; /* 0 when none */
	uint64_t initrd_len;   /* bytes */
};

/*
 * The initial state of vCPU 0. Opaque outside arch/: `words` is the arch's own struct,
 * _Static_assert-ed to fit.
 */
struct boot_state {
	struct boot_summary summary;
	uint64_t words[16];
};

struct arch_vm {
	struct kvm *kvm;
	unsigned cpus;
	void *priv; /* owned by arch */
};

struct arch_vm_options {
	unsigned cpus;
	bool irqchip; /* in-kernel interrupt controllers and timers; without them HLT exits */
};

/* Words of Linux's command line that depend on the machine. */
struct arch_linux_words {
	const char *serial;	    /* what Linux calls the serial port: "ttyS0" */
	const char *without_tables; /* words needed when firmware_tables is off; or NULL */
};
extern const struct arch_linux_words arch_linux_words;

/* EM_* of elf.h: which architecture a snapshot is of. */
extern const uint16_t arch_elf_machine;

/*
 * False when the file is certainly not Linux (a Multiboot kernel), which has no use for those
 * words. arch_boot_load() reports a file that cannot be read.
 */
bool arch_kernel_may_be_linux(const char *path);

/*
 * The machine type for KVM_CREATE_VM (KVM api.rst 4.2) for a guest with `ram_size` bytes of RAM: 0
 * for KVM's default. A VM of that type must also have room for the highest address in layout.h.
 */
unsigned long arch_machine_type(uint64_t ram_size);

/* False when every machine has in-kernel interrupt controllers (arch_vm_options.irqchip). */
bool arch_irqchip_is_optional(void);

/*
 * The guest-physical ranges of `size` bytes of RAM. Returns the number of ranges written (at most
 * 2), or -EINVAL when the size is not a multiple of the page size, less than the arch can boot with
 * (1 MiB, or more) or beyond what it can address.
 */
__must_check int arch_ram_ranges(uint64_t size, struct gmem_range ranges[2]);

/* The largest number of vCPUs that this arch's firmware tables and KVM support. */
unsigned arch_max_cpus(struct kvm *kvm);

/*
 * VM-wide set-up in KVM's order, up to what needs vCPUs (the last arch_vcpu_init() does that), and
 * sets kvm->has_irqchip where there is one. Afterwards KVM accepts GSI routes. A negative errno is
 * a host error (exit status 101): logs one line, and leaves nothing behind.
 */
__must_check int arch_vm_init(struct arch_vm *arch, struct kvm *kvm,
			      const struct arch_vm_options *options);

/* Closes and frees what arch_vm_init() created, after the last vCPU. Idempotent. */
void arch_vm_destroy(struct arch_vm *arch);

/*
 * Puts interrupt controllers and timers shared by all vCPUs back into their power-on state; no vCPU
 * runs. Logs on failure.
 */
__must_check int arch_vm_reset(struct arch_vm *arch);

/*
 * Pin routes of the in-kernel interrupt controllers, static storage; GSIs below IRQ_LEGACY_GSIS.
 * None if KVM has them by default.
 */
const struct kvm_irq_routing_entry *arch_irq_routes(unsigned *count);

/*
 * Sets feature registers, CPUID and everything else that survives a reset, then the power-on state
 * like arch_vcpu_reset(). Logs on failure.
 */
__must_check int arch_vcpu_init(struct arch_vm *arch, struct vcpu *vcpu);

/* Puts a vCPU back into its power-on state (secondary CPUs wait for start-up). Logs on failure. */
__must_check int arch_vcpu_reset(struct arch_vm *arch, struct vcpu *vcpu);

/*
 * Loads kernel, initrd, command line, memory map and firmware tables into RAM. Logs one line with
 * the file and what is wrong with it. Errors: -ENOENT, -EACCES, … of open(2); -ENOEXEC for a file
 * that is no known format or is damaged; -E2BIG when it does not fit in RAM or the command line is
 * too long. Every one of them is a usage error (exit status 100). `arch` NULL: only checks whether
 * it would succeed; then there is no device tree and no dump of it.
 */
__must_check int arch_boot_load(struct arch_vm *arch, struct gmem *mem,
				const struct boot_options *options, struct boot_state *state);

/* Sets vCPU 0 to the entry state. Logs on failure. */
__must_check int arch_boot_vcpu(struct vcpu *vcpu, const struct boot_state *state);

/*
 * An exit that the generic run loop does not handle. Returns VCPU_RUNNING to enter the guest
 * again, or why the vCPU ends, with one line in detail. vCPU thread.
 */
enum vcpu_end arch_vcpu_exit(struct vcpu *vcpu, char *detail, size_t len);

enum { ARCH_REGISTERS_MAX = 40 };

/* Names are static. `bits` lists the bits set in a register of flags; else empty. */
struct arch_register {
	const char *name;
	uint64_t value;
	char bits[80];
};

/* Where a vCPU is, for people and programs. */
struct arch_vcpu_state {
	uint64_t ip;
	const char *mode;     /* "64-bit", …; static */
	const char *activity; /* "running", "halted", "not started"; static */
	/*
	 * A symbol of Linux whose address is in a CPU register, which reveals the kernel's random
	 * offset (KASLR); NULL when there is none yet. Static.
	 */
	const char *anchor_symbol;
	uint64_t anchor;
	unsigned register_count;
	struct arch_register registers[ARCH_REGISTERS_MAX];
};

/*
 * Reads it; the vCPU must be parked or ended. A negative errno if KVM cannot provide it. Loop
 * thread, or the vCPU's own.
 */
__must_check int arch_vcpu_state(struct vcpu *vcpu, struct arch_vcpu_state *state);

/* One line for people about where a vCPU is (address, mode); it must be parked or ended. */
void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t len);

/* --- Saved state: core/state.h ---------------------------------------------------------------- */

/*
 * What all vCPUs share: interrupt controllers, timers, the guest's clock. Saves it, with all vCPUs
 * parked; or loads it into a machine whose vCPUs have been initialised and have not run. Clocks and
 * timers are only kept then, until arch_clock_start(). Logs one line on failure. Errors: -EBADMSG
 * for what is wrong with the state, those of KVM's ioctls.
 *
 * RAM is saved after it, and is there before it is loaded: arm64's ITS has its tables there.
 */
__must_check int arch_vm_saved(struct arch_vm *arch, struct state *state);

/*
 * One vCPU, in sections of the name "vcpu N": saves it, parked; or loads it after arch_vm_saved(),
 * before it has run. What this host's CPU and KVM cannot give it as saved is refused. Logs one line
 * on failure. Errors: -EBADMSG for what is wrong with the state, -EOPNOTSUPP for a vCPU that cannot
 * be saved as it is (x86: the guest runs guests), -ENOMEM, those of KVM's ioctls.
 */
__must_check int arch_vcpu_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state);

/*
 * The last step of a restore before the vCPUs start, after all of them have been loaded: sets the
 * guest's clocks to what they were when it was saved plus `elapsed_ns`, the real time since then,
 * and starts its timers; on arm64 plus at most 10 seconds, because its kernel would take more for a
 * hang: the guest's time of day is late then. The time-stamp counters of all vCPUs advance by the same amount, and the
 * guest is told that it was stopped, so that its watchdogs keep quiet. Logs one line on failure.
 * Errors: those of KVM's ioctls.
 */
__must_check int arch_clock_start(struct arch_vm *arch, struct vcpu *vcpus, unsigned count,
				  uint64_t elapsed_ns);

/* The tables of the sections above; ends with NULL. */
extern const struct state_table *const arch_state_tables[];

#endif
