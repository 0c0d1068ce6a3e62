/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_options.h"

#include <string.h>
#include <sys/un.h>

#define RUN(member) OPTION_FIELD(struct run_options, member)
#define GDB(member) OPTION_FIELD(struct gdb_config, member)
#define BUDGET(phase) OPTION_FIELD(struct watch_config, budgets[phase])
#define BOOT(member) OPTION_FIELD(struct boot_options, member)

#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)
#define MILLISECOND UINT64_C(1000000)
#define HOUR (UINT64_C(3600000) * MILLISECOND)

static const struct option_word serial_words[] = {
	{ "stdio", SERIAL_STDIO },
	{ "off", SERIAL_OFF },
	{ NULL, 0 },
};

static const struct option_word console_words[] = {
	{ "stdio", CONSOLE_STDIO },
	{ "null", CONSOLE_NULL },
	{ "off", CONSOLE_OFF },
	{ NULL, 0 },
};

static const struct option_word on_reboot_words[] = {
	{ "exit", ON_REBOOT_EXIT },
	{ "restart", ON_REBOOT_RESTART },
	{ NULL, 0 },
};

static const struct option_word mode_words[] = {
	{ "16", CPU_MODE_16 },
	{ "32", CPU_MODE_32 },
	{ "64", CPU_MODE_64 },
	{ NULL, 0 },
};

enum { GDB_LISTEN, GDB_NOWAIT };

static const struct option gdb_table[] = {
	/* The longest path of a Unix socket address: unix(7). */
	[GDB_LISTEN] = {
		.name = "listen", .metavar = "PORT|SOCKET", .kind = OPTION_STRING,
		.min = 1, .max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
		.help = "TCP port on 127.0.0.1, open to every user of the host; or path of a "
			"socket for this user only, removed at the end",
		GDB(listen),
	},
	[GDB_NOWAIT] = {
		.name = "nowait", .kind = OPTION_FLAG,
		.help = "let the guest run before gdb connects",
		GDB(nowait),
	},
};

/* Only digits: a port. */
static const char *gdb_finish(void *item, uint64_t given)
{
	struct gdb_config *gdb = item;
	const char *text = gdb->listen;

	if (!(given >> GDB_LISTEN & 1))
		return "has neither port nor socket; write --gdb PORT or --gdb SOCKET";
	if (text[strspn(text, "0123456789")])
		return NULL;
	gdb->port = strlen(text) < 8 ? (unsigned)strtoul(text, NULL, 10) : 0;
	if (gdb->port < 1 || gdb->port > 65535)
		return "has a port that is not 1 to 65535; a socket's path needs more than digits";
	return NULL;
}

static const struct option_keys gdb_keys = {
	.table = gdb_table,
	.count = ARRAY_SIZE(gdb_table),
	.finish = gdb_finish,
};

enum { FLAT_ADDR, FLAT_MODE };

static const struct option flat_table[] = {
	/* 52 bits: the largest physical address of x86 and arm64. */
	[FLAT_ADDR] = {
		.name = "addr", .metavar = "ADDRESS", .kind = OPTION_ADDRESS,
		.max = (UINT64_C(1) << 52) - 1,
		.help = "guest-physical address of its first byte, where it is entered",
		BOOT(flat_address),
	},
	[FLAT_MODE] = {
		.name = "mode", .kind = OPTION_WORD, .words = mode_words, .initial = "64",
		.help = "CPU mode at entry: real, protected or long; arm64 has 64 only",
		BOOT(flat_mode),
	},
};

static const char *flat_finish(void *item, uint64_t given)
{
	struct boot_options *boot = item;

	if (!(given >> FLAT_ADDR & 1))
		return "names no address; write --flat ADDRESS,mode=16|32|64";
	boot->format = BOOT_FORMAT_FLAT;
	return NULL;
}

static const struct option_keys flat_keys = {
	.table = flat_table,
	.count = ARRAY_SIZE(flat_table),
	.finish = flat_finish,
};

enum { MODULE_PATH, MODULE_ARGS };

static const struct option module_table[] = {
	[MODULE_PATH] = {
		.name = "path", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "the module; a comma in its name is written twice",
		OPTION_FIELD(struct boot_module, path),
	},
	[MODULE_ARGS] = {
		.name = "args", .metavar = "TEXT", .kind = OPTION_STRING, .max = 65535,
		.help = "the text after its name in its string; commas are written twice",
		OPTION_FIELD(struct boot_module, args),
	},
};

static const char *module_finish(void *item, uint64_t given)
{
	(void)item;
	return given >> MODULE_PATH & 1 ? NULL : "names no file; write --module FILE,args=TEXT";
}

static const struct option_keys module_keys = {
	.table = module_table,
	.count = ARRAY_SIZE(module_table),
	.finish = module_finish,
};

#define BUDGET_KEY(key, phase, text)                                                               \
	{                                                                                          \
		.name = (key), .metavar = "TIME", .kind = OPTION_DURATION, .min = MILLISECOND,     \
		.max = 1000 * HOUR, .help = (text), BUDGET(phase),                                 \
	}

static const struct option budget_table[] = {
	BUDGET_KEY("init", PHASE_INIT, "until the kernel starts init, by its console"),
	BUDGET_KEY("load", PHASE_LOAD, "until the machine is built"),
	BUDGET_KEY("run", PHASE_RUN, "until the guest's first instruction"),
	BUDGET_KEY("device", PHASE_DEVICE, "until the guest touches its first device"),
	BUDGET_KEY("kernel", PHASE_KERNEL, "until the kernel prints its banner on a console"),
	BUDGET_KEY("driver", PHASE_DRIVER, "until a first virtio driver is ready (DRIVER_OK)"),
	BUDGET_KEY("down", PHASE_DOWN, "until the run ends"),
};

static const struct option_keys budget_keys = {
	.table = budget_table,
	.count = ARRAY_SIZE(budget_table),
};

static const struct option boot_options[] = {
	{
		.name = "initrd", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_INPUT,
		.help = "initial RAM disk, or none; for a Multiboot kernel its first module. Without KERNEL: "
			"the initrd.img-VERSION of the host's kernel",
		.saved = true, RUN(config.boot.initrd),
	},
	{
		.name = "append", .metavar = "TEXT", .kind = OPTION_STRING, .max = 65535,
		.help = "kernel command line, passed on unchanged; without it Kinglet makes one "
			"for Linux from the other options",
		.saved = true, RUN(append),
	},
	{
		.name = "module", .metavar = "FILE", .kind = OPTION_KEYS, .keys = &module_keys,
		.help = "a module of a Multiboot kernel, after those given before and the initrd",
		.saved = true, RUN(config.boot.modules),
		.max_items = BOOT_MODULES_MAX,
		.count_offset = offsetof(struct run_options, config.boot.module_count),
	},
	{
		.name = "serial", .kind = OPTION_WORD, .words = serial_words, .initial = "stdio",
		.help = "serial port, ttyS0; off as well with --console stdio",
		.saved = true, RUN(config.serial),
	},
	{
		.name = "console", .kind = OPTION_WORD, .words = console_words, .initial = "null",
		.help = "virtio console: hvc0 and the port kinglet.status; null drops the output "
			"of hvc0",
		.saved = true, RUN(config.console),
	},
	{
		.name = "acpi", .kind = OPTION_WORD, .words = option_on_off, .initial = "on",
		.help = "firmware tables that describe CPUs, PCI and power-off to the guest; a "
			"device tree on arm64",
		.saved = true, RUN(config.acpi),
	},
	{
		.name = "dump-fdt", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_OUTPUT,
		.help = "also write the guest's device tree to this file; arm64 only",
		RUN(config.boot.dump_fdt),
	},
	{
		.name = "irqchip", .kind = OPTION_WORD, .words = option_on_off, .initial = "on",
		.help = "in-kernel interrupt controllers and timers; without them HLT ends the run; "
			"always on on arm64",
		.saved = true, RUN(config.irqchip),
	},
	{
		.name = "flat", .metavar = "ADDRESS", .kind = OPTION_KEYS, .keys = &flat_keys,
		.help = "load KERNEL byte for byte at this address and enter it there",
		.saved = true, RUN(config.boot),
	},
	{
		.name = "on-reboot", .kind = OPTION_WORD, .words = on_reboot_words,
		.initial = "exit", .help = "what a reboot by the guest does",
		.saved = true, RUN(config.on_reboot),
	},
};

const struct option_list boot_option_list = {
	.name = "boot",
	.title = "The kernel and its environment",
	.table = boot_options,
	.count = ARRAY_SIZE(boot_options),
};

static const struct option machine_options[] = {
	{
		.name = "cpus", .letter = 'c', .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 1024,
		.initial = "1", .help = "virtual CPUs, as many as the host's KVM allows",
		.saved = true, RUN(config.cpus),
	},
	{
		.name = "memory", .letter = 'm', .metavar = "SIZE", .kind = OPTION_SIZE,
		.min = 8 * MIB, .max = 4 * TIB, .initial = "256M",
		.help = "guest RAM, with K, M, G or T; a plain number is MiB",
		.saved = true, RUN(config.memory),
	},
	{
		.name = "hugepages", .kind = OPTION_FLAG,
		.help = "take guest RAM from the host's reserved 2 MiB pages",
		RUN(config.hugepages),
	},
	{
		.name = "shared-memory", .kind = OPTION_FLAG,
		.help = "take guest RAM from a memfd that other processes can map; boots slower",
		RUN(config.shared_memory),
	},
	{
		.name = "prefault", .kind = OPTION_FLAG,
		.help = "allocate all guest RAM at the start instead of at first touch",
		RUN(config.prefault),
	},
	{ .kind = OPTION_DEVICES, RUN(config.devices) },
	{
		.name = "timeout", .metavar = "TIME", .kind = OPTION_DURATION,
		.min = MILLISECOND, .max = 1000 * HOUR,
		.help = "end the run after this time with status 124: 500ms, 30s, 5m, 2h; a plain "
			"number is seconds",
		RUN(config.timeout_ns),
	},
	{
		.name = "gdb", .metavar = "PORT|SOCKET", .kind = OPTION_KEYS, .keys = &gdb_keys,
		.help = "wait before the first instruction for gdb, which connects with 'target "
			"remote :PORT' or 'target remote SOCKET'",
		RUN(gdb),
	},
	{
		.name = "name", .metavar = "NAME", .kind = OPTION_STRING, .min = 1, .max = 64,
		.help = "the machine's name for kinglet list, stop and the like; without it the ID "
			"of its process; for a test of a list, NAME-1, NAME-2, ...",
		RUN(control.name),
	},
	{
		.name = "control", .metavar = "PATH|fd=N|off", .kind = OPTION_STRING, .min = 1,
		.max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
		.help = "path of the control socket, or an inherited one; without it "
			"$XDG_RUNTIME_DIR/kinglet/NAME.sock, but for test and exec only with --name",
		RUN(control.where),
	},
	{
		.name = "snapshot", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4090,
		.help = "save the machine in this folder once --snapshot-on says so, and go on: see "
			"kinglet restore",
		RUN(config.snapshot),
	},
	{
		.name = "snapshot-on", .metavar = "TEXT|port", .kind = OPTION_STRING, .min = 1, .max = 1024,
		.initial = "port",
		.help = "when: a line of the console has this text; or port: the guest writes to "
			"/dev/virtio-ports/kinglet.snapshot",
		RUN(snapshot_on),
	},
	{
		.name = "snapshot-end", .kind = OPTION_FLAG,
		.help = "end the run once the machine is saved",
		RUN(config.snapshot_ends),
	},
	{
		.name = "snapshot-port", .kind = OPTION_FLAG, .saved = true,
		.help = "give the guest the port kinglet.snapshot; implied by --snapshot without "
			"a text",
		RUN(config.snapshot_port),
	},
	{
		.name = "stats", .kind = OPTION_FLAG,
		.help = "print at the end, and on SIGUSR1, how often vCPUs left the guest for "
			"Kinglet, and for which device, how often a device woke Kinglet, and "
			"counts of the frames that Kinglet carried",
		RUN(stats),
	},
	{
		.name = "explain", .kind = OPTION_FLAG,
		.help = "narrate to standard error: each ioctl of KVM, vhost and tun and each kind "
			"of exit in a sentence, with its source line in Kinglet",
		RUN(watch.explain),
	},
	{
		.name = "explain=html", .metavar = "FILE", .kind = OPTION_STRING, .min = 1,
		.max = 4095,
		.file = FILE_OUTPUT,
		.help = "write a page about the run: timeline, memory map, PCI, queues, cost of "
			"exits",
		RUN(watch.explain_page),
	},
	{
		.name = "trace", .metavar = "FILE", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.file = FILE_OUTPUT,
		.help = "write every exit, ioctl, interrupt and phase as trace events (JSON) for "
			"ui.perfetto.dev, or for kinglet report",
		RUN(watch.trace),
	},
	{
		.name = "budget", .metavar = "init=TIME", .kind = OPTION_KEYS, .keys = &budget_keys,
		.help = "end a successful run with status 1 if, from its start, it took longer "
			"than",
		RUN(watch),
	},
	{
		.name = "dry-run", .kind = OPTION_FLAG,
		.help = "check everything that a run would check except /dev/kvm, print the "
			"machine that would be built, and end",
		RUN(dry_run),
	},
};

const struct option_list machine_option_list = {
	.name = "machine",
	.title = "The machine and its run",
	.table = machine_options,
	.count = ARRAY_SIZE(machine_options),
};

static const struct option common_options[] = {
	{
		.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "print this help, and end",
		OPTION_FIELD(struct common_options, help),
	},
	{
		.name = "version", .kind = OPTION_FLAG, .help = "print the version, and end",
		OPTION_FIELD(struct common_options, version),
	},
};

const struct option_list common_option_list = {
	.name = "common",
	.title = "Every command",
	.table = common_options,
	.count = ARRAY_SIZE(common_options),
};
