/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"
#include "cmd/run_options.h"

#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Files of a known size in a temporary folder; the test runs inside it. */
struct folder {
	char path[32];
	char before[4096];
};

static const char *const disks[] = { "disk", "disk1", "lun" };

static void make_file(const char *name, long size)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_int_equal(ftruncate(fileno(out), size), 0);
	assert_int_equal(fclose(out), 0);
}

static void put(FILE *out, long at, const char *bytes, size_t len)
{
	assert_int_equal(fseek(out, at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
}

/*
 * A kernel that either architecture boots: a bzImage by its setup header
 * (Documentation/x86/boot.rst), an arm64 Image by its magic at 56.
 */
static void make_kernel(const char *name)
{
	FILE *out;

	make_file(name, 7 << 20);
	out = fopen(name, "r+e");
	assert_non_null(out);
	put(out, 56, "ARM\x64", 4);
	put(out, 0x1f1, "\1", 1);		    /* setup_sects */
	put(out, 0x1fe, "\x55\xaa\xeb\x66HdrS\x0c\2", 10); /* boot_flag, jump, header, version */
	put(out, 0x211, "\1", 1);		    /* loadflags: LOADED_HIGH */
	put(out, 0x22c, "\xff\xff\xff\x7f\0\0\x20\0\1\0\1\0\xff\7", 14); /* initrd_addr_max on */
	put(out, 0x258, "\0\0\0\1\0\0\0\0\0\0\0\1", 12);	     /* pref_address, init_size */
	assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (!folder || !getcwd(folder->before, sizeof(folder->before)))
		return -1;
	strcpy(folder->path, "/tmp/kinglet-test-XXXXXX");
	if (!mkdtemp(folder->path) || chdir(folder->path) < 0)
		return -1;
	*state = folder;
	/* A run's control socket would be there. */
	unsetenv("XDG_RUNTIME_DIR");
	make_kernel("kernel");
	make_file("initrd", 1536);
	make_file("zeros", 4096);
	for (unsigned i = 0; i < ARRAY_SIZE(disks); i++)
		make_file(disks[i], 512);
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	unlink("kernel");
	unlink("initrd");
	unlink("zeros");
	for (unsigned i = 0; i < ARRAY_SIZE(disks); i++)
		unlink(disks[i]);
	if (chdir(folder->before) < 0 || rmdir(folder->path) < 0)
		return -1;
	free(folder);
	return 0;
}

/* The dry run of these options; returns its result, the page and the text on standard error. */
static int dry_run(const char *const *args, char **page, char *said, size_t len)
{
	char *argv[24];
	struct run_options options = { 0 };
	struct capture capture;
	size_t page_len;
	FILE *out = open_memstream(page, &page_len);
	int argc = 0, err;

	for (; args[argc]; argc++)
		argv[argc] = (char *)args[argc];
	argv[argc] = NULL;
	assert_int_equal(options_parse(&command_run, &options.common, argc, argv), 0);
	assert_non_null(out);
	capture_stderr_begin(&capture);
	err = dry_run_print(out, &options);
	capture_stderr_end(&capture, said, len);
	options_destroy(&options.common);
	assert_int_equal(fclose(out), 0);
	return err;
}

/* The RAM ranges of this architecture, which are tested elsewhere. */
static const char *ram_rows(uint64_t size, char text[120])
{
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(size, ranges), at = 0;

	assert_true(count > 0);
	for (int i = 0; i < count; i++)
		at += snprintf(text + at, (size_t)(120 - at), "           0x%012llx-0x%012llx\n",
			       (unsigned long long)ranges[i].gpa,
			       (unsigned long long)(ranges[i].gpa + ranges[i].len - 1));
	return text;
}

/* FORMAT stands for the kernel's format on this architecture. */
static void assert_page(const char *page, const char *start, uint64_t ram, const char *rest)
{
	const char *name = arch_irqchip_is_optional() ? "bzImage" : "Image";
	const char *format = strstr(rest, "FORMAT");
	char rows[120], *want;

	ram_rows(ram, rows);
	assert_memory_equal(page, start, strlen(start));
	page += strlen(start);
	assert_memory_equal(page, rows, strlen(rows));
	assert_true(asprintf(&want, "%.*s%s%s", format ? (int)(format - rest) : 0, rest,
			     format ? name : "", format ? format + strlen("FORMAT") : rest) > 0);
	assert_string_equal(page + strlen(rows), want);
	free(want);
}

static void every_part_of_the_machine_is_listed(void **state)
{
	static const char *const args[] = { "kernel",
					    "--cpus=2",
					    "--memory=4G",
					    "--initrd=initrd",
					    "--disk",
					    "disk,readonly,serial=S1,queues=2,direct,aio=threads",
					    "--disk=disk1",
					    "--net=tap=t0,create,mac=52:54:00:0a:0b:0c,vhost=on,queues=4,offloads=off",
					    "--net=fd=9",
					    "--scsi=lun,readonly,queues=2,workers=2",
					    "--scsi=wwpn=naa.5001405000000001",
					    "--vsock=cid=3",
					    "--balloon=1G,deflate-on-oom=on",
					    "--gdb=1234",
					    "--control=ctl.sock",
					    "--name=m1",
					    "--timeout=90s",
					    "--on-reboot=restart",
					    "--prefault",
					    "--",
					    "single",
					    NULL };
	_cleanup_free_ char *page = NULL;
	char said[1100];

	(void)state;
	assert_int_equal(dry_run(args, &page, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	assert_page(page, "cpus       2\n"
			  "memory     4G, allocated at the start\n",
		    4ULL << 30,   "kernel     kernel (7.0 MiB), FORMAT\n"
				  "initrd     initrd (1.5 KiB)\n"
				  "cmdline    console=ttyS0 panic=-1 root=/dev/vda ro -- single\n"
				  "acpi       on\n"
				  "irqchip    on\n"
				  "serial     ttyS0 on stdio\n"
				  "console    kinglet.status; hvc0 dropped\n"
				  "rng        on\n"
				  "disk 0     disk (512 bytes), read-only, 2 queues, I/O threads, "
				  "direct, serial S1\n"
				  "disk 1     disk1 (512 bytes), writable, 1 queue, io_uring\n"
				  "net 0      tap t0, vhost, 4 queue pairs, no offloads, MAC 52:54:00:0a:0b:0c\n"
				  "net 1      tap on fd 9, vhost if there, 1 queue pair, MAC of "
				  "Kinglet's choice\n"
				  "scsi 0     lun (512 bytes), read-only, 2 queues, 2 workers\n"
				  "scsi 1     target naa.5001405000000001, 1 queue\n"
				  "vsock      CID 3\n"
				  "balloon    1024 MiB, deflates on OOM, free page reporting, "
				  "statistics every 1000 ms\n"
				  "can move   --gdb: a debugger's machine stays where that is; "
				  "leave it out\n"
				  "on-reboot  restart\n"
				  "gdb        127.0.0.1:1234, waits for it\n"
				  "control    ctl.sock\n"
				  "timeout    90s\n");
}

static void a_flat_binary_names_address_and_mode(void **state)
{
	struct gmem_range ranges[2];
	char flat[40], rest[600];
	const char *const args[] = { "kernel",	  flat,	 "--console=stdio", "--rng=off",
				     "--acpi=off", NULL };
	_cleanup_free_ char *page = NULL;
	unsigned long long address;
	char said[1100];

	(void)state;
	assert_true(arch_ram_ranges(256 << 20, ranges) > 0);
	address = ranges[0].gpa + (2 << 20);
	snprintf(flat, sizeof(flat), "--flat=%#llx,mode=64", address);
	snprintf(rest, sizeof(rest),
		 "kernel     kernel (7.0 MiB)\n"
		 "           flat binary at %#llx, 64-bit\n"
		 "cmdline    \n"
		 "acpi       off\n"
		 "irqchip    on\n"
		 "serial     off\n"
		 "console    hvc0 on stdio\n"
		 "rng        off\n"
		 "can move   yes\n"
		 "on-reboot  exit\n"
		 "timeout    none\n",
		 address);
	assert_int_equal(dry_run(args, &page, said, sizeof(said)), 0);
	assert_page(page, "cpus       1\n"
			  "memory     256M\n",
		    256 << 20, rest);
}

/* It accepted what the run then refused; and printed part of the page before the error. */
static void what_a_run_would_refuse_is_one_line_and_no_page(void **state)
{
	static const struct {
		const char *args[6];
		const char *said;
	} cases[] = {
		{ { "nothing" }, "kinglet: kernel nothing: No such file or directory\n" },
		{ { "." }, "kinglet: kernel .: is a directory\n" },
		{ { "zeros" }, "kinglet: kernel zeros: unknown format (" },
		{ { "kernel", "--memory=8M" }, "kinglet: kernel kernel: " },
		{ { "kernel", "--initrd=nothing" },
		  "kinglet: initrd nothing: No such file or directory\n" },
		{ { "kernel", "--memory=64M", "--initrd=big" }, "kinglet: initrd big: 81920 KiB do not fit" },
		{ { "kernel", "--disk=disk", "--disk=nothing" },
		  "kinglet: disk nothing: open: No such file or directory\n" },
		{ { "kernel", "--disk=odd" }, "kinglet: disk odd: size: 100 bytes" },
		{ { "kernel", "--disk=qcow2" }, "kinglet: disk qcow2: is a qcow2 image" },
		{ { "kernel", "--scsi=nothing" },
		  "kinglet: scsi nothing: open: No such file or directory\n" },
		{ { "kernel", "--scsi=qcow2" }, "kinglet: scsi qcow2: is a qcow2 image" },
		{ { "kernel", "--net=tap=nonesuch0" }, "kinglet: tap nonesuch0: no such interface (" },
		{ { "kernel", "--memory=64M", "--balloon=64M" },
		  "kinglet: --balloon: the guest has no more than 64 MiB; give less\n" },
		{ { "kernel", "--memory=64M", "--hugepages", "--balloon=8M" },
		  "kinglet: --balloon: huge pages are not given back; " },
		{ { "kernel", "--cpus=2", "--irqchip=off" }, "kinglet: --" },
		{ { "kernel", "--disk=disk", "--irqchip=off" }, "kinglet: --irqchip off: " },
	};
	FILE *out;

	(void)state;
	make_file("odd", 100);
	make_file("big", 80 << 20);
	make_file("qcow2", 1 << 20);
	out = fopen("qcow2", "r+e");
	assert_non_null(out);
	put(out, 0, "QFI\xfb\0\0\0\3", 8);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *page = NULL;
		char said[1100];

		assert_true(dry_run(cases[i].args, &page, said, sizeof(said)) < 0);
		if (strncmp(said, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("case %zu: no \"%s\" in: %s", i, cases[i].said, said);
		assert_string_equal(strchr(said, '\n'), "\n");
		assert_string_equal(page, "");
	}
	unlink("odd");
	unlink("big");
	unlink("qcow2");
}

static void where_a_program_is_heard(void **state)
{
	struct run_options options = { .config = {
		.boot = { .kernel = "kernel", .cmdline = "", .firmware_tables = true },
		.irqchip = true,
		.cpus = 1,
		.memory = 64 << 20,
		.program = true,
		.no_output = true,
		.output_on_stderr = true,
	} };

	(void)state;
	for (unsigned shown = 0; shown < 2; shown++) {
		_cleanup_free_ char *page = NULL;
		size_t len;
		FILE *out = open_memstream(&page, &len);

		options.config.no_output = !shown;
		assert_int_equal(dry_run_print(out, &options), 0);
		assert_int_equal(fclose(out), 0);
		assert_non_null(strstr(page, shown ? " on stderr\n" : ", not shown\n"));
		assert_non_null(strstr(page, "program    stdin, stdout and stderr on ports"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_of_the_machine_is_listed),
		cmocka_unit_test(a_flat_binary_names_address_and_mode),
		cmocka_unit_test(what_a_run_would_refuse_is_one_line_and_no_page),
		cmocka_unit_test(where_a_program_is_heard),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
