/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"
#include "cmd/run_options.h"
#include "devices/balloon.h"
#include "devices/blk.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/scsi.h"
#include "devices/vsock.h"

#include "capture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ARGS = 64 };

static const uint64_t MIB = 1 << 20;

/* A host without kernels, unlike this one perhaps. */
static const struct kernel_places no_places = {
	.boot = "/nonexistent", .modules = "/nonexistent", .running = ""
};

/* Parses a command line that ends with NULL on such a host; its messages go to `said`. */
static int parse_at(const struct kernel_places *places, struct run_options *options,
		    const char *const *args, char *said, size_t len)
{
	static char *argv[MAX_ARGS + 1];
	struct capture capture;
	int argc = 0, err;

	for (; args[argc]; argc++) {
		assert_true(argc < MAX_ARGS);
		argv[argc] = (char *)args[argc];
	}
	argv[argc] = NULL;
	capture_stderr_begin(&capture);
	*options = (struct run_options){ .places = places };
	err = options_parse(&command_run, &options->common, argc, argv);
	capture_stderr_end(&capture, said, len);
	return err;
}

static int parse(struct run_options *options, const char *const *args, char *said, size_t len)
{
	return parse_at(&no_places, options, args, said, len);
}

/* Parses `args`, which must be valid. The caller destroys *options. */
#define PARSE_GOOD(options, ...) parse_good(options, (const char *const[]){ __VA_ARGS__, NULL })
static void parse_good(struct run_options *options, const char *const *args)
{
	char said[2048];
	int err = parse(options, args, said, sizeof(said));

	if (err)
		fail_msg("refused: %s", said);
	assert_string_equal(said, "");
}

static unsigned count_of(const struct run_options *options, const struct device_kind *kind)
{
	unsigned count = 0;

	while (device_set_get(&options->config.devices, kind, count))
		count++;
	return count;
}

#define CONFIG_OF(name, type, kind)                                                                \
	static const struct type *name(const struct run_options *options, unsigned instance)       \
	{                                                                                          \
		const struct type *config =                                                        \
			device_set_get(&options->config.devices, &(kind), instance);               \
                                                                                                   \
		assert_non_null(config);                                                           \
		return config;                                                                     \
	}
CONFIG_OF(disk_of, disk_config, blk_kind)
CONFIG_OF(net_of, net_config, net_kind)
CONFIG_OF(scsi_of, scsi_config, scsi_kind)
CONFIG_OF(rng_of, rng_config, rng_kind)
CONFIG_OF(vsock_of, vsock_config, vsock_kind)
CONFIG_OF(balloon_of, balloon_config, balloon_kind)

static void defaults_are_a_small_machine_on_the_serial_port(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "vmlinux");
	assert_string_equal(o.config.boot.kernel, "vmlinux");
	assert_null(o.config.boot.initrd);
	assert_int_equal(o.config.boot.format, BOOT_FORMAT_AUTO);
	assert_true(o.config.boot.firmware_tables);
	assert_int_equal(o.config.boot.cpus, 1);
	assert_int_equal(o.config.cpus, 1);
	assert_int_equal(o.config.memory, 256 * MIB);
	assert_false(o.config.hugepages);
	assert_false(o.config.prefault);
	assert_true(o.config.irqchip);
	assert_true(o.config.acpi);
	assert_int_equal(o.config.serial, SERIAL_STDIO);
	assert_int_equal(o.config.console, CONSOLE_NULL);
	assert_true(rng_of(&o, 0)->on);
	assert_int_equal(o.config.devices.count, 1);
	assert_int_equal(o.config.on_reboot, ON_REBOOT_EXIT);
	assert_int_equal(o.config.timeout_ns, 0);
	assert_null(o.gdb.listen);
	assert_false(o.dry_run || o.common.help || o.common.version);
	options_destroy(&o.common);
}

static void a_debugger_has_a_port_or_a_socket(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "--gdb", "1234", "k");
	assert_int_equal(o.gdb.port, 1234);
	assert_false(o.gdb.nowait);
	options_destroy(&o.common);
	PARSE_GOOD(&o, "--gdb", "/run/gdb,nowait", "k");
	assert_int_equal(o.gdb.port, 0);
	assert_string_equal(o.gdb.listen, "/run/gdb");
	assert_true(o.gdb.nowait);
	options_destroy(&o.common);
}

static void every_option_reaches_its_field(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "--initrd", "i.img", "--append", "a b", "--cpus", "4", "--memory", "1G",
		   "--hugepages", "--prefault", "--rng", "off", "--serial", "off", "--console",
		   "stdio", "--acpi", "off", "--irqchip", "off", "--flat", "0x7c00,mode=16",
		   "--timeout", "30s", "--on-reboot", "restart", "--dry-run", "k");
	assert_string_equal(o.config.boot.kernel, "k");
	assert_string_equal(o.config.boot.initrd, "i.img");
	assert_string_equal(o.config.boot.cmdline, "a b");
	assert_int_equal(o.config.boot.format, BOOT_FORMAT_FLAT);
	assert_int_equal(o.config.boot.flat_address, 0x7c00);
	assert_int_equal(o.config.boot.flat_mode, CPU_MODE_16);
	assert_false(o.config.boot.firmware_tables);
	assert_int_equal(o.config.boot.cpus, 4);
	assert_int_equal(o.config.cpus, 4);
	assert_int_equal(o.config.memory, 1024 * MIB);
	assert_true(o.config.hugepages);
	assert_true(o.config.prefault);
	assert_false(o.config.irqchip);
	assert_false(o.config.acpi);
	assert_int_equal(o.config.serial, SERIAL_OFF);
	assert_int_equal(o.config.console, CONSOLE_STDIO);
	assert_false(rng_of(&o, 0)->on);
	assert_int_equal(o.config.on_reboot, ON_REBOOT_RESTART);
	assert_int_equal(o.config.timeout_ns, UINT64_C(30000000000));
	assert_true(o.dry_run);
	options_destroy(&o.common);
}

static void letters_stand_for_options(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "-c", "4", "-m512");
	assert_int_equal(o.config.cpus, 4);
	assert_int_equal(o.config.memory, 512 * MIB);
	options_destroy(&o.common);
	PARSE_GOOD(&o, "k", "-h");
	assert_true(o.common.help);
	options_destroy(&o.common);
}

static void commands_are_guessed(void **state)
{
	static const char *const cases[][2] = {
		{ "rnu", "did you mean run?\n" },
		{ "tset", "did you mean test?\n" },
		{ "kernels", "did you mean kernel?\n" },
		{ "vmlinuz", "known: run, test, " },
		{ "-kernel", "a command comes first: kinglet run KERNEL" },
	};
	struct capture capture;
	char said[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		capture_stderr_begin(&capture);
		command_log_unknown(cases[i][0]);
		capture_stderr_end(&capture, said, sizeof(said));
		if (!strstr(said, cases[i][1]))
			fail_msg("no \"%s\" in: %s", cases[i][1], said);
	}
}

static void modules_have_strings_of_their_own(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--module", "vmlinuz,args=console=hvc0 a,,b", "--module=initrd");
	assert_int_equal(o.config.boot.module_count, 2);
	assert_string_equal(o.config.boot.modules[0].path, "vmlinuz");
	assert_string_equal(o.config.boot.modules[0].args, "console=hvc0 a,b");
	assert_string_equal(o.config.boot.modules[1].path, "initrd");
	assert_null(o.config.boot.modules[1].args);
	options_destroy(&o.common);
}

static void equals_sign_and_next_argument_are_the_same(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--cpus=2", "--append=--x=y", "--disk=d,readonly");
	assert_int_equal(o.config.cpus, 2);
	assert_string_equal(o.append, "--x=y");
	assert_true(disk_of(&o, 0)->image.readonly);
	options_destroy(&o.common);
}

static void flags_of_a_disk_reach_their_fields(void **state)
{
	struct run_options o;
	const struct disk_config *d;

	(void)state;
	PARSE_GOOD(&o, "k", "--disk",
		   "root.img,readonly,serial=X1,queues=4,direct,aio=threads,format=raw",
		   "--disk=path=b,,c=d.img");
	assert_int_equal(count_of(&o, &blk_kind), 2);
	d = disk_of(&o, 0);
	assert_string_equal(d->image.path, "root.img");
	assert_true(d->image.readonly && d->image.direct && d->image.threads && d->image.raw);
	assert_string_equal(d->serial, "X1");
	assert_int_equal(d->queues, 4);
	d = disk_of(&o, 1);
	assert_string_equal(d->image.path, "b,c=d.img");
	assert_false(d->image.readonly || d->image.direct || d->image.threads || d->image.raw);
	assert_null(d->serial);
	assert_int_equal(d->queues, 1);
	options_destroy(&o.common);
}

static void a_user_network_reaches_its_fields(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--net", "user", "--net",
		   "user,forward=tcp:8080:80,mac=52:54:00:00:00:01,loopback=off,dns=::1,"
		   "forward=udp:::1/53:5353,dns=1.1.1.1", "--net", "tap=user", "--net",
		   "vhost-user=s,queues=2,offloads=off,reconnect=7");
	assert_true(net_of(&o, 0)->user && net_of(&o, 0)->loopback && !net_of(&o, 0)->mac_set);
	assert_int_equal(net_of(&o, 0)->forward_count + net_of(&o, 0)->dns_count, 0);
	assert_true(net_of(&o, 1)->user && !net_of(&o, 1)->loopback && net_of(&o, 1)->mac_set);
	assert_int_equal(net_of(&o, 1)->forward_count, 2);
	assert_string_equal(net_of(&o, 1)->forwards[0], "tcp:8080:80");
	assert_string_equal(net_of(&o, 1)->forwards[1], "udp:::1/53:5353");
	assert_int_equal(net_of(&o, 1)->dns_count, 2);
	assert_string_equal(net_of(&o, 1)->dns[1], "1.1.1.1");
	assert_false(net_of(&o, 2)->user);
	assert_string_equal(net_of(&o, 2)->tap, "user");
	assert_string_equal(net_of(&o, 3)->vhost_user, "s");
	assert_int_equal(net_of(&o, 3)->queues, 2);
	assert_int_equal(net_of(&o, 3)->reconnect, 7);
	assert_false(net_of(&o, 3)->offloads);
	options_destroy(&o.common);
}

static void nets_reach_their_fields(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xAb, 0xcd, 0xef };
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--net", "tap=tap0,mac=52:54:00:Ab:cd:ef", "--net", "fd=7", "--net",
		   "tap1,create,vhost=off,queues=4", "--net", "fd=9:8,vhostfd=3:4,poll=50");
	assert_int_equal(count_of(&o, &net_kind), 4);
	assert_string_equal(net_of(&o, 0)->tap, "tap0");
	assert_int_equal(net_of(&o, 0)->fds.count, 0);
	assert_true(net_of(&o, 0)->mac_set);
	assert_memory_equal(net_of(&o, 0)->mac, mac, 6);
	assert_null(net_of(&o, 1)->tap);
	assert_int_equal(net_of(&o, 1)->fds.count, 1);
	assert_int_equal(net_of(&o, 1)->fds.fds[0], 7);
	assert_false(net_of(&o, 1)->mac_set);
	assert_string_equal(net_of(&o, 2)->tap, "tap1");
	assert_true(net_of(&o, 2)->create && !net_of(&o, 0)->create);
	assert_int_equal(net_of(&o, 2)->fds.count, 0);
	assert_int_equal(net_of(&o, 0)->vhost, VHOST_AUTO);
	assert_int_equal(net_of(&o, 0)->queues, 1);
	assert_int_equal(net_of(&o, 2)->vhost, VHOST_OFF);
	assert_int_equal(net_of(&o, 2)->queues, 4);
	assert_int_equal(net_of(&o, 3)->queues, 2);
	assert_int_equal(net_of(&o, 3)->fds.fds[0], 9);
	assert_int_equal(net_of(&o, 3)->fds.fds[1], 8);
	assert_int_equal(net_of(&o, 3)->vhost, VHOST_ON);
	assert_int_equal(net_of(&o, 0)->poll_us, 0);
	assert_int_equal(net_of(&o, 3)->poll_us, 50);
	assert_int_equal(net_of(&o, 3)->vhost_fds.count, 2);
	assert_int_equal(net_of(&o, 3)->vhost_fds.fds[1], 4);
	options_destroy(&o.common);
}

static void scsi_disks_reach_their_fields(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--scsi", "a.img,readonly,queues=16", "--scsi",
		   "wwpn=naa.5001405000000001");
	assert_int_equal(count_of(&o, &scsi_kind), 2);
	assert_string_equal(scsi_of(&o, 0)->image.path, "a.img");
	assert_null(scsi_of(&o, 0)->wwpn);
	assert_true(scsi_of(&o, 0)->image.readonly);
	assert_int_equal(scsi_of(&o, 0)->queues, 16);
	assert_null(scsi_of(&o, 1)->image.path);
	assert_string_equal(scsi_of(&o, 1)->wwpn, "naa.5001405000000001");
	assert_false(scsi_of(&o, 1)->image.readonly);
	assert_int_equal(scsi_of(&o, 1)->queues, 1);
	options_destroy(&o.common);
}

static void vsock_cid_reaches_its_field(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--vsock", "cid=3");
	assert_int_equal(vsock_of(&o, 0)->cid, 3);
	options_destroy(&o.common);
	PARSE_GOOD(&o, "k", "--vsock=4294967294");
	assert_int_equal(vsock_of(&o, 0)->cid, 0xfffffffe);
	options_destroy(&o.common);
}

static void balloon_keys_reach_their_fields(void **state)
{
	const struct balloon_config *balloon;
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--balloon", "0");
	balloon = balloon_of(&o, 0);
	assert_int_equal(balloon->size, 0);
	assert_true(balloon->free_page_reporting && !balloon->deflate_on_oom);
	assert_int_equal(balloon->stats_interval, UINT64_C(1000000000));
	options_destroy(&o.common);
	PARSE_GOOD(&o, "k", "--balloon",
		   "1M,deflate-on-oom=on,free-page-reporting=off,stats=200ms");
	balloon = balloon_of(&o, 0);
	assert_int_equal(balloon->size, 1 << 20);
	assert_true(!balloon->free_page_reporting && balloon->deflate_on_oom);
	assert_int_equal(balloon->stats_interval, 200000000);
	options_destroy(&o.common);
}

static void sizes_times_and_addresses_have_units(void **state)
{
	static const struct {
		const char *option, *value;
		size_t offset;
		uint64_t expected;
	} cases[] = {
#define MEMORY offsetof(struct run_options, config.memory)
#define TIMEOUT offsetof(struct run_options, config.timeout_ns)
#define ADDRESS offsetof(struct run_options, config.boot.flat_address)
		{ "--memory", "8", MEMORY, UINT64_C(8) << 20 },
		{ "--memory", "0x40", MEMORY, UINT64_C(64) << 20 },
		{ "--memory", "8M", MEMORY, UINT64_C(8) << 20 },
		{ "--memory", "8192K", MEMORY, UINT64_C(8) << 20 },
		{ "--memory", "5g", MEMORY, UINT64_C(5) << 30 },
		{ "--memory", "4T", MEMORY, UINT64_C(4) << 40 },
		{ "--memory", "010M", MEMORY, UINT64_C(10) << 20 },
		{ "--timeout", "1ms", TIMEOUT, UINT64_C(1000000) },
		{ "--timeout", "2", TIMEOUT, UINT64_C(2000000000) },
		{ "--timeout", "2s", TIMEOUT, UINT64_C(2000000000) },
		{ "--timeout", "5m", TIMEOUT, UINT64_C(300000000000) },
		{ "--timeout", "1000h", TIMEOUT, UINT64_C(3600000000000000) },
		{ "--flat", "0", ADDRESS, 0 },
		{ "--flat", "1M", ADDRESS, 1 << 20 },
		{ "--flat", "addr=0xfffffffffffff", ADDRESS, 0xfffffffffffff },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;
		uint64_t got;

		PARSE_GOOD(&o, "k", cases[i].option, cases[i].value);
		memcpy(&got, (char *)&o + cases[i].offset, sizeof(got));
		if (got != cases[i].expected)
			fail_msg("%s %s: %" PRIu64, cases[i].option, cases[i].value, got);
		options_destroy(&o.common);
	}
}

static void default_command_line_suits_the_machine(void **state)
{
	static const struct {
		const char *args[8];
		const char *line;
	} cases[] = {
		{ { "k" }, "console=ttyS0 panic=-1" },
		{ { "k", "--console", "stdio" }, "console=hvc0 panic=-1" },
		{ { "k", "--serial", "off" }, "panic=-1" },
		{ { "k", "--disk", "d" }, "console=ttyS0 panic=-1 root=/dev/vda rw" },
		{ { "k", "--disk", "d,readonly" }, "console=ttyS0 panic=-1 root=/dev/vda ro" },
		{ { "k", "--flat", "0" }, "" },
		{ { "k", "--append", "" }, "" },
		{ { "k", "--append", " as  it is ", "--disk", "d" }, " as  it is " },
		{ { "k", "--root", "d", "--disk", "d" },
		  "rootfstype=virtiofs root=kinglet-root rw rdinit=/.kinglet/init "
		  "console=ttyS0 panic=-1" },
		{ { "k", "--root", "d,readonly", "--append", "a -- root=b" },
		  "rootfstype=virtiofs root=kinglet-root ro rdinit=/.kinglet/init a -- root=b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;

		parse_good(&o, cases[i].args);
		assert_string_equal(o.config.boot.cmdline, cases[i].line);
		options_destroy(&o.common);
	}
}

static void default_command_line_suits_a_machine_without_tables(void **state)
{
	static const char *const args[8] = { "k", "--acpi", "off" };
	const char *words = arch_linux_words.without_tables;
	char line[80];
	struct run_options o;

	(void)state;
	snprintf(line, sizeof(line), "console=ttyS0 panic=-1%s%s", words ? " " : "",
		 words ? words : "");
	parse_good(&o, args);
	assert_string_equal(o.config.boot.cmdline, line);
	options_destroy(&o.common);
}

static void init_arguments_are_quoted_for_the_kernel(void **state)
{
	static const struct {
		const char *args[12];
		const char *line;
	} cases[] = {
		{ { "k", "--append", "quiet", "--" }, "quiet" },
		{ { "k", "--append", "quiet", "--", "single" }, "quiet -- single" },
		{ { "k", "--append", "", "--", "a" }, "-- a" },
		{ { "k", "--append", "q", "--", "a b", "--cpus", "", "x=y z", "--" },
		  "q -- \"a b\" --cpus \"\" \"x=y z\" --" },
		/* 0xa0, the second byte of a-grave, is a space to the kernel's isspace(). */
		{ { "k", "--append", "q", "--", "\xc3\xa0" }, "q -- \"\xc3\xa0\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;

		parse_good(&o, cases[i].args);
		assert_string_equal(o.config.boot.cmdline, cases[i].line);
		options_destroy(&o.common);
	}
}

static void assert_initrd(const struct kernel_places *places, const char *const *args,
			  const char *initrd)
{
	struct run_options o;
	char said[1024];

	assert_int_equal(parse_at(places, &o, args, said, sizeof(said)), 0);
	assert_non_null(o.config.boot.kernel);
	if (initrd)
		assert_string_equal(o.config.boot.initrd, initrd);
	else
		assert_null(o.config.boot.initrd);
	options_destroy(&o.common);
}

/* The host's kernel comes with its initramfs; a given kernel only with a given one. */
static void the_default_kernel_comes_with_its_initrd(void **state)
{
	static const struct {
		const char *args[4], *initrd;
	} cases[] = {
		{ { NULL }, "the host's" },
		{ { "--initrd", "none" }, NULL },
		{ { "--initrd", "./none" }, "./none" },
		{ { "--initrd", "mine" }, "mine" },
		{ { "k" }, NULL },
		{ { "k", "--initrd", "none" }, NULL },
	};
	char folder[] = "/tmp/kinglet-test-XXXXXX", path[80];
	const struct kernel_places places = { .boot = folder, .modules = folder, .running = "6.2" };
	static const char *const files[] = { "vmlinuz-6.2", "initrd.img-6.2" };

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		fclose(fopen(path, "we"));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_initrd(&places, cases[i].args, i ? cases[i].initrd : path);
	/* A kernel without an initramfs may need none. */
	unlink(path);
	assert_initrd(&places, cases[0].args, NULL);
	snprintf(path, sizeof(path), "%s/%s", folder, files[0]);
	unlink(path);
	rmdir(folder);
}

static void console_on_stdio_takes_it_from_the_serial_port(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "k", "--console=stdio");
	assert_int_equal(o.config.serial, SERIAL_OFF);
	options_destroy(&o.common);
}

static void help_and_version_need_nothing_else(void **state)
{
	struct run_options o;

	(void)state;
	PARSE_GOOD(&o, "--help", "--nonsense");
	assert_true(o.common.help);
	options_destroy(&o.common);
	PARSE_GOOD(&o, "--cpus=2", "--version");
	assert_true(o.common.version);
	options_destroy(&o.common);
}

/*
 * The message names the option, the value and the remedy. `says` has strings that the one line must
 * contain.
 */
static void wrong_options_are_refused_in_one_line(void **state)
{
	static const struct {
		const char *args[8];
		const char *says[4];
	} cases[] = {
		/* The command line as a whole */
		{ { NULL }, { "no kernel", "kinglet run KERNEL" } },
		{ { "" }, { "empty", "kinglet run KERNEL" } },
		{ { "a", "b" }, { "b: a second kernel beside a" } },
		{ { "k", "--memroy", "1G" }, { "--memroy", "did you mean --memory?\n" } },
		{ { "k", "--mem=1G" }, { "--mem=1G", "did you mean --memory?" } },
		{ { "k", "--zzz" }, { "--zzz: unknown option; see kinglet run --help\n" } },
		{ { "k", "--cpu" }, { "--cpu: unknown", "did you mean --cpus?" } },
		{ { "k", "--cpusx", "1" }, { "did you mean --cpus?" } },
		{ { "k", "--cpsu", "1" }, { "did you mean --cpus?" } },
		{ { "k", "-x" }, { "-x: unknown option; see kinglet run --help\n" } },
		{ { "k", "-m" }, { "--memory needs a value" } },
		{ { "k", "-m", "1G", "--memory=1G" }, { "--memory is given twice" } },
		/* Habits of QEMU users */
		{ { "-kernel", "k" }, { "-kernel: unknown option; KERNEL stands alone" } },
		{ { "--kernel=k" }, { "--kernel=k: unknown option; KERNEL stands alone" } },
		{ { "k", "-initrd", "i" }, { "-initrd: unknown option; did you mean --initrd?" } },
		{ { "k", "-append", "a" }, { "did you mean --append?" } },
		{ { "k", "-smp", "2" }, { "-smp: unknown option; write --cpus N" } },
		{ { "k", "-hda", "d" }, { "write --disk FILE" } },
		{ { "k", "-cpu", "host" }, { "the guest gets the host's CPU" } },
		{ { "k", "-machine=q35" }, { "leave it out" } },
		{ { "k", "-nographic" }, { "the serial port is on this terminal" } },
		{ { "k", "--i" }, { "did you mean --initrd?" } }, /* not --irqchip, which is longer */
		{ { "k", "--=1" }, { "--=1: unknown option" } },
		{ { "k", "--a\nb\x1b" }, { "--a?b?: unknown option" } },
		{ { "k", "--cpus", "1", "--cpus=1" }, { "--cpus is given twice" } },
		{ { "k", "--prefault", "--prefault" }, { "--prefault is given twice" } },
		{ { "k", "--flat", "0", "--flat", "1" }, { "--flat is given twice" } },
		{ { "k", "--initrd" }, { "--initrd needs a value", "--initrd=FILE" } },
		{ { "k", "--initrd", "--rng", "on" }, { "--initrd needs a value" } },
		{ { "k", "--acpi" }, { "--acpi needs a value", "on|off" } },
		{ { "k", "--prefault=on" }, { "--prefault=on", "takes no value" } },
		/* Strings */
		{ { "k", "--initrd", "" }, { "--initrd", "empty", "FILE" } },
		{ { "k", "--disk", "d,serial=123456789012345678901" },
		  { "serial", "21 bytes", "at most 20" } },
		{ { "k", "--net", "tap=interface-name-1" }, { "tap", "at most 15" } },
		/* Numbers */
		{ { "k", "--cpus", "0" }, { "--cpus 0: must be 1 to 1024" } },
		{ { "k", "--cpus", "1025" }, { "must be 1 to 1024" } },
		{ { "k", "--cpus", "-1" }, { "--cpus -1: not a number" } },
		{ { "k", "--cpus", "" }, { "not a number" } },
		{ { "k", "--cpus", " 1" }, { "not a number" } },
		{ { "k", "--cpus", "+1" }, { "not a number" } },
		{ { "k", "--cpus", "0x" }, { "not a number" } },
		{ { "k", "--cpus", "1M" }, { "not a number" } },
		{ { "k", "--cpus", "4294967297" }, { "must be 1 to 1024" } },
		{ { "k", "--cpus", "18446744073709551617" }, { "must be 1 to 1024" } },
		/* Sizes */
		{ { "k", "--memory", "7" }, { "--memory 7: must be 8M to 4T" } },
		{ { "k", "--memory", "8191K" }, { "must be 8M to 4T" } },
		{ { "k", "--memory", "5T" }, { "must be 8M to 4T" } },
		{ { "k", "--memory", "17592186044424" }, { "must be 8M to 4T" } },
		{ { "k", "--memory", "18446744073709551624M" }, { "must be 8M to 4T" } },
		{ { "k", "--memory", "1Q" }, { "--memory 1Q: not a size", "K, M, G or T" } },
		{ { "k", "--memory", "1.5G" }, { "not a size" } },
		{ { "k", "--memory", "1GB" }, { "not a size" } },
		{ { "k", "--memory", "M" }, { "not a size" } },
		{ { "k", "--memory", "8193K" }, { "whole number of MiB" } },
		{ { "k", "--hugepages", "--memory", "9M" }, { "--hugepages", "multiple of 2M" } },
		/* Times */
		{ { "k", "--timeout", "0" }, { "--timeout 0: must be 1ms to 1000h" } },
		{ { "k", "--timeout", "1001h" }, { "must be 1ms to 1000h" } },
		{ { "k", "--timeout", "99999999999999h" }, { "must be 1ms to 1000h" } },
		{ { "k", "--timeout", "10 s" }, { "not a time", "30s" } },
		{ { "k", "--scsi", "readonly=1" }, { "takes no value" } },
		{ { "k", "--scsi", "queues=2" }, { "names no disk; write --scsi path=FILE" } },
		{ { "k", "--scsi", "d,wwpn=naa.1" }, { "both path= and wwpn=" } },
		{ { "k", "--scsi", "wwpn=naa.1,format=raw" }, { "format goes with path=" } },
		{ { "k", "--disk", "d,format=qcow2" }, { "format qcow2: must be one of raw" } },
		{ { "k", "--scsi", "wwpn=naa.1,readonly" }, { "readonly goes with path=" } },
		{ { "k", "--scsi", "wwpn=../../core" }, { "wwpn is no name of a target" } },
		{ { "k", "--scsi", "wwpn=.." }, { "wwpn is no name of a target" } },
		{ { "k", "--scsi", "d,queues=17" }, { "queues 17: must be 1 to 16" } },
		{ { "k", "--scsi", "d,queues=2,workers=3" }, { "has more workers= than queues=" } },
		/* Context ids: 0, 1, 2 and 2^32 - 1 are reserved. */
		{ { "k", "--vsock", "cid=2" }, { "cid 2: must be 3 to 4294967294" } },
		{ { "k", "--vsock", "cid=4294967295" }, { "must be 3 to 4294967294" } },
		{ { "k", "--vsock", "4294967299" }, { "must be 3 to 4294967294" } },
		{ { "k", "--vsock" }, { "--vsock needs a value; write --vsock=cid=N\n" } },
		{ { "k", "--vsock", "3", "--vsock", "4" }, { "--vsock is given twice" } },
		{ { "k", "--balloon", "4K" }, { "--balloon 4K: size is not a whole number of MiB" } },
		{ { "k", "--balloon", "0,stats=61m" }, { "stats 61m: must be 0h to 1h" } },
		{ { "k", "--gdb", "0" }, { "--gdb 0: has a port that is not 1 to 65535" } },
		{ { "k", "--gdb", "65536,nowait" }, { "not 1 to 65535" } },
		{ { "k", "--gdb", "99999999999" }, { "not 1 to 65535", "path needs more" } },
		{ { "k", "--gdb", "" }, { "--gdb", "empty" } },
		{ { "k", "--gdb", "1234,wait" }, { "unknown key wait", "did you mean nowait?" } },
		/* Addresses */
		{ { "k", "--flat", "0x10000000000000" },
		  { "must be 0 to 0xfffffffffffff" } },
		{ { "k", "--flat", "here" }, { "addr here: not an address", "0x7c00" } },
		{ { "k", "--flat", "mode=16" }, { "names no address", "--flat ADDRESS" } },
		{ { "k", "--flat", "0,mode=8" }, { "mode 8: must be one of 16|32|64" } },
		/* Words */
		{ { "k", "--acpi", "yes" }, { "--acpi yes: must be one of on|off" } },
		{ { "k", "--acpi", "" }, { "must be one of on|off" } },
		{ { "k", "--serial", "pty" }, { "must be one of stdio|off" } },
		{ { "k", "--console", "ON" }, { "must be one of stdio|null|off" } },
		{ { "k", "--on-reboot", "stop" }, { "must be one of exit|restart" } },
		{ { "k", "--console", "stdio", "--serial", "stdio" }, { "turn one of them off" } },
		/* Keys */
		{ { "k", "--disk", "" }, { "path", "empty" } },
		{ { "k", "--disk", "readonly,d" }, { "unknown key d" } },
		{ { "k", "--disk", "queues=2" }, { "names no image", "--disk FILE" } },
		{ { "k", "--disk", "d,qeues=2" },
		  { "--disk d,qeues=2", "unknown key qeues", "did you mean queues?\n" } },
		{ { "k", "--disk", "vhost-user=s,queues=2" }, { "has vhost-user and more" } },
		{ { "k", "--fs", "share" }, { "write --fs NAME,vhost-user=SOCKET" } },
		{ { "k", "--fs", "vhost-user=s" }, { "write --fs NAME,vhost-user=SOCKET" } },
		{ { "k", "--device", "rng" }, { "write --device rng,vhost-user=SOCKET" } },
		{ { "k", "--device", "rmg,vhost-user=s" }, { "neither a name" } },
		{ { "k", "--device", "65537,vhost-user=s,queues=1" }, { "a number from 1 to 63" } },
		{ { "k", "--device", "5,vhost-user=s" }, { "and no queues=N" } },
		{ { "k", "--disk", "d,zzz=on" }, { "unknown key zzz; known: path, readonly" } },
		{ { "k", "--net", "t,x=1" }, { "unknown key x; known: tap" } }, /* fd is not near */
		{ { "k", "--disk", "my=d" }, { "unknown key my", "begin with path=" } },
		{ { "k", "--disk", "my,root.img" }, { "key root.img", "a comma in a name is written twice" } },
		/* Their first keys are not names. */
		{ { "k", "--budget", "boot=1s" },
		  { "known: init, load, run, device, kernel, driver, down\n" } },
		{ { "k", "--vsock", "id=3" }, { "did you mean cid?\n" } },
		{ { "k", "--disk", "d," }, { "unknown key" } },
		{ { "k", "--disk", "d,path=e" }, { "path is given twice" } },
		{ { "k", "--disk", "d,direct,direct" }, { "direct is given twice" } },
		{ { "k", "--disk", "d,serial" }, { "serial needs a value", "serial=TEXT" } },
		{ { "k", "--disk", "d,serial=" }, { "serial", "empty" } },
		{ { "k", "--disk", "d,direct=on" }, { "direct takes no value" } },
		{ { "k", "--disk", "d,queues=0" }, { "queues 0: must be 1 to 16" } },
		{ { "k", "--disk", "d,queues=17" }, { "must be 1 to 16" } },
		{ { "k", "--disk", "d,aio=native" }, { "must be one of uring|threads" } },
		{ { "k", "--net", "mac=52:54:00:00:00:01" }, { "names no interface" } },
		{ { "k", "--net", "vhost-user=s,tap=tap0" }, { "vhost-user with a key of a tap" } },
		{ { "k", "--net", "vhost-user=s,forward=tcp:1:1" }, { "only for user" } },
		{ { "k", "--net", "tap=t,reconnect=2" }, { "reconnect without vhost-user" } },
		{ { "k", "--disk", "f,reconnect=2" }, { "reconnect without vhost-user" } },
		{ { "k", "--disk", "vhost-user=s,reconnect=0" }, { "reconnect" } },
		{ { "k", "--net", "user,vhost-user=s" }, { "a key of a tap or a daemon" } },
		{ { "k", "--net", "tap=t,fd=3" }, { "both tap= and fd=" } },
		{ { "k", "--share", "tag=x" }, { "names no folder; write --share DIR" } },
		{ { "k", "--share", "a,cache=never" }, { "cache", "auto" } },
		{ { "k", "--share", "a", "--share", "b" }, { "--share tag=share: is given twice" } },
		{ { "k", "--net", "user=1" }, { "user takes no value" } },
		{ { "k", "--net", "user,tap=t" }, { "user with a key of a tap" } },
		{ { "k", "--net", "user,queues=2" }, { "user with a key of a tap" } },
		{ { "k", "--net", "t,forward=tcp:1:1" }, { "only for user; write --net user" } },
		{ { "k", "--net", "user,forward=tcp:80" }, { "other than tcp:[ADDRESS/]PORT:PORT" } },
		{ { "k", "--net", "user,forward=sctp:1:1" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:0:80" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:80:65536" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:80:80x" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:+80:80" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:host/80:80" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:/80:80" }, { "other than" } },
		{ { "k", "--net", "user,forward=tcp:1:1,forward=tcp:2:2,forward=tcp:3:3,"
				  "forward=tcp:4:4,forward=tcp:5:5,forward=tcp:6:6,"
				  "forward=tcp:7:7,forward=tcp:8:8,forward=tcp:9:9" },
		  { "forward: only 8 are possible" } },
		{ { "k", "--net", "user,dns=host" }, { "dns= that is no address" } },
		{ { "k", "--net", "user,dns=none,dns=1.1.1.1" }, { "only dns=none" } },
		{ { "k", "--net", "fd=3,queues=2" }, { "queues= with fd=" } },
		{ { "k", "--net", "t,queues=17" }, { "queues", "1 to 16" } },
		{ { "k", "--net", "t,vhost=yes" }, { "vhost", "auto" } },
		{ { "k", "--net", "fd=3,create" }, { "create with fd=" } },
		{ { "k", "--net", "fd=2" }, { "fd 2: not file descriptors; write numbers from 3" } },
		{ { "k", "--net", "fd=3:" }, { "fd 3:: not file descriptors" } },
		{ { "k", "--net", "fd=3:4:3" }, { "names fd 3 twice" } },
		{ { "k", "--net", "fd=3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19" },
		  { "more than 16 file descriptors" } },
		{ { "k", "--net", "fd=3:4,vhostfd=5" }, { "give as many" } },
		{ { "k", "--net", "tap=t,queues=2,vhostfd=5:6:7" }, { "give as many" } },
		{ { "k", "--net", "tap=t,vhost=off,poll=5" }, { "poll= with vhost=off" } },
		{ { "k", "--net", "tap=t,vhost=off,vhostfd=5" }, { "vhostfd= with vhost=off" } },
		{ { "k", "--net", "t,mac=52:54:00:00:00" }, { "not a MAC address" } },
		{ { "k", "--net", "t,mac=52:54:00:00:00:01:02" }, { "not a MAC address" } },
		{ { "k", "--net", "t,mac=52:54:00:00:00:1" }, { "not a MAC address" } },
		{ { "k", "--net", "t,mac=52:54:00:00:00:0g" }, { "not a MAC address" } },
		{ { "k", "--net", "t,mac=" }, { "not a MAC address" } },
		{ { "k", "--net", "t,mac=01:00:5e:00:00:01" }, { "first byte must be even" } },
		{ { "k", "--net", "t,mac=00:00:00:00:00:00" }, { "not a station" } },
		/* Twice */
		{ { "k", "--net=t", "--net=tap=t" }, { "--net tap=t: is given twice" } },
		{ { "k", "--net=t,mac=52:54:00:00:00:01", "--net=u,mac=52:54:00:00:00:01" },
		  { "--net: mac=52:54:00:00:00:01 is given twice" } },
		{ { "k", "--net=fd=3", "--net=fd=4:3" }, { "--net: fd 3 is given twice" } },
		{ { "k", "--net=fd=3,vhostfd=3" }, { "--net: fd 3 is given twice" } },
		{ { "k", "--scsi=wwpn=naa.1", "--scsi=wwpn=naa.1" },
		  { "--scsi wwpn=naa.1: is given twice" } },
		/* A root */
		{ { "k", "--root", "readonly" }, { "--root readonly: names no folder; write --root DIR" } },
		{ { "k", "--root", "d", "--initrd", "i" },
		  { "--initrd: --root boots Linux by an initramfs of its own; leave one of them out" } },
		{ { "k", "--root", "d", "--flat", "0" }, { "--flat: --root boots Linux" } },
		{ { "k", "--root", "d", "--append", "a root=/dev/vda" },
		  { "--append: root= is set by --root; leave one of them out" } },
		{ { "k", "--root", "d", "--append", "rdinit=/bin/sh b" }, { "--append: rdinit= is set" } },
		{ { "k", "--root", "d", "--share", "e,tag=kinglet-root" }, { "given twice" } },
		/* Init arguments */
		{ { "k", "--", "say \"hi\"" }, { "-- say \"hi\": a double quote" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;
		char said[2048], *end;

		if (parse(&o, cases[i].args, said, sizeof(said)) != -EINVAL)
			fail_msg("case %zu, %s: not refused", i, cases[i].args[1]);
		options_destroy(&o.common);
		end = strchr(said, '\n');
		if (strncmp(said, "kinglet: ", 9) != 0 || !end || end[1])
			fail_msg("case %zu is not one line: %s", i, said);
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].says) && cases[i].says[k]; k++)
			if (!strstr(said, cases[i].says[k]))
				fail_msg("no \"%s\" in: %s", cases[i].says[k], said);
	}
}

static void repeatable_options_have_an_end(void **state)
{
	static const struct {
		const char *format;
		const struct device_kind *kind;
	} cases[] = {
		{ "--disk=d%u", &blk_kind },
		{ "--net=t%u", &net_kind },
		{ "--scsi=d%u", &scsi_kind },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *args[MAX_ARGS] = { "k" };
		char said[2048], texts[MAX_ARGS][16];
		unsigned max = cases[i].kind->option.max_items;
		struct run_options o;

		for (unsigned n = 1; n <= max; n++) {
			snprintf(texts[n], sizeof(texts[n]), cases[i].format, n);
			args[n] = texts[n];
		}
		parse_good(&o, args);
		assert_int_equal(count_of(&o, cases[i].kind), max);
		options_destroy(&o.common);
		args[max + 1] = args[1];
		assert_int_equal(parse(&o, args, said, sizeof(said)), -EINVAL);
		assert_non_null(strstr(said, "are possible; leave out one"));
		options_destroy(&o.common);
	}
}

static void a_command_takes_only_what_is_its_own(void **state)
{
	static const struct {
		const struct command *command;
		const char *arg, *says;
	} cases[] = {
		{ &command_version, "x", "x: kinglet version takes no such argument" },
		{ &command_version, "--", "kinglet version takes nothing behind --" },
		{ &command_version, "--cpus=2", "--cpus=2: unknown option; see kinglet version --help\n" },
		{ &command_help, "nonesuch", "nonesuch: unknown command; known: run, " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = { (char *)cases[i].arg, NULL };
		struct capture capture;
		char said[2048];
		int status;

		capture_stderr_begin(&capture);
		status = command_execute(cases[i].command, 1, argv);
		capture_stderr_end(&capture, said, sizeof(said));
		assert_int_equal(status, EXIT_USAGE);
		if (!strstr(said, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, said);
	}
}

static void numbers_are_written_as_they_are_typed(void **state)
{
	static const struct {
		enum option_kind kind;
		uint64_t value;
		const char *text;
	} cases[] = {
		{ OPTION_NUMBER, 0, "0" },
		{ OPTION_NUMBER, 1024, "1024" },
		{ OPTION_SIZE, 8 << 20, "8M" },
		{ OPTION_SIZE, 1536 << 20, "1536M" },
		{ OPTION_SIZE, UINT64_C(1) << 40, "1T" },
		{ OPTION_SIZE, 1 << 12, "4K" },
		{ OPTION_ADDRESS, 0x7c00, "0x7c00" },
		{ OPTION_DURATION, UINT64_C(1500000000), "1500ms" },
		{ OPTION_DURATION, UINT64_C(90000000000), "90s" },
		{ OPTION_DURATION, UINT64_C(7200000000000), "2h" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[32];

		option_format_value(cases[i].kind, cases[i].value, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_a_small_machine_on_the_serial_port),
		cmocka_unit_test(a_debugger_has_a_port_or_a_socket),
		cmocka_unit_test(every_option_reaches_its_field),
		cmocka_unit_test(letters_stand_for_options),
		cmocka_unit_test(commands_are_guessed),
		cmocka_unit_test(modules_have_strings_of_their_own),
		cmocka_unit_test(equals_sign_and_next_argument_are_the_same),
		cmocka_unit_test(flags_of_a_disk_reach_their_fields),
		cmocka_unit_test(a_user_network_reaches_its_fields),
		cmocka_unit_test(nets_reach_their_fields),
		cmocka_unit_test(scsi_disks_reach_their_fields),
		cmocka_unit_test(vsock_cid_reaches_its_field),
		cmocka_unit_test(balloon_keys_reach_their_fields),
		cmocka_unit_test(sizes_times_and_addresses_have_units),
		cmocka_unit_test(default_command_line_suits_the_machine),
		cmocka_unit_test(default_command_line_suits_a_machine_without_tables),
		cmocka_unit_test(init_arguments_are_quoted_for_the_kernel),
		cmocka_unit_test(the_default_kernel_comes_with_its_initrd),
		cmocka_unit_test(console_on_stdio_takes_it_from_the_serial_port),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(wrong_options_are_refused_in_one_line),
		cmocka_unit_test(repeatable_options_have_an_end),
		cmocka_unit_test(a_command_takes_only_what_is_its_own),
		cmocka_unit_test(numbers_are_written_as_they_are_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
