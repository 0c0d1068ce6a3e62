/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/run_options.h"

#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Files of a known size in a folder of their own; the test runs inside it. */
struct folder {
	char path[32];
	char before[4096];
};

static void make_file(const char *name, long size)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_int_equal(ftruncate(fileno(out), size), 0);
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
	make_file("kernel", 7 << 20);
	make_file("initrd", 1536);
	make_file("disk", 512);
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	unlink("kernel");
	unlink("initrd");
	unlink("disk");
	if (chdir(folder->before) < 0 || rmdir(folder->path) < 0)
		return -1;
	free(folder);
	return 0;
}

/* The dry run of these options; returns its result, the page and what went to standard error. */
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
	err = dry_run_print(out, &options.config);
	capture_stderr_end(&capture, said, len);
	options_destroy(&options.common);
	assert_int_equal(fclose(out), 0);
	return err;
}

/* Where this architecture has its RAM, which is tested elsewhere. */
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

static void assert_page(const char *page, const char *start, uint64_t ram, const char *rest)
{
	char rows[120];

	ram_rows(ram, rows);
	assert_memory_equal(page, start, strlen(start));
	page += strlen(start);
	assert_memory_equal(page, rows, strlen(rows));
	assert_string_equal(page + strlen(rows), rest);
}

static void every_part_of_the_machine_is_listed(void **state)
{
	static const char *const args[] = { "kernel",
					    "--cpus=2",
					    "--memory=4G",
					    "--initrd=initrd",
					    "--module=disk,args=a b",
					    "--disk",
					    "disk,readonly,serial=S1,queues=2,direct,aio=threads",
					    "--disk=disk",
					    "--net=tap=t0,mac=52:54:00:0a:0b:0c,vhost=on,queues=4,offloads=off",
					    "--net=fd=9",
					    "--scsi=disk,readonly,queues=2",
					    "--scsi=wwpn=naa.5001405000000001",
					    "--vsock=cid=3",
					    "--gdb=1234",
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
		    4ULL << 30,   "kernel     kernel (7.0 MiB)\n"
				  "initrd     initrd (1.5 KiB)\n"
				  "module     disk (512 bytes)\n"
				  "           a b\n"
				  "cmdline    console=ttyS0 panic=-1 root=/dev/vda ro -- single\n"
				  "acpi       on\n"
				  "irqchip    on\n"
				  "serial     ttyS0 on stdio\n"
				  "console    kinglet.status; hvc0 dropped\n"
				  "rng        on\n"
				  "disk 0     disk (512 bytes), read-only, 2 queues, I/O threads, "
				  "direct, serial S1\n"
				  "disk 1     disk (512 bytes), writable, 1 queue, io_uring\n"
				  "net 0      tap t0, vhost, 4 queue pairs, no offloads, MAC 52:54:00:0a:0b:0c\n"
				  "net 1      tap on fd 9, vhost if there, 1 queue pair, MAC of "
				  "Kinglet's choice\n"
				  "scsi 0     disk (512 bytes), read-only, 2 queues\n"
				  "scsi 1     target naa.5001405000000001, 1 queue\n"
				  "vsock      CID 3\n"
				  "on-reboot  restart\n"
				  "gdb        127.0.0.1:1234, waits for it\n"
				  "timeout    90s\n");
}

static void a_flat_binary_names_address_and_mode(void **state)
{
	static const char *const args[] = { "kernel",
					    "--flat=0x7c00,mode=16",
					    "--console=stdio",
					    "--rng=off",
					    "--acpi=off",
					    "--irqchip=off",
					    NULL };
	_cleanup_free_ char *page = NULL;
	char said[1100];

	(void)state;
	assert_int_equal(dry_run(args, &page, said, sizeof(said)), 0);
	assert_page(page, "cpus       1\n"
			  "memory     256M\n",
		    256 << 20,    "kernel     kernel (7.0 MiB)\n"
				  "           flat binary at 0x7c00, 16-bit\n"
				  "cmdline    \n"
				  "acpi       off\n"
				  "irqchip    off\n"
				  "serial     off\n"
				  "console    hvc0 on stdio\n"
				  "rng        off\n"
				  "on-reboot  exit\n"
				  "timeout    none\n");
}

static void a_missing_file_is_one_line(void **state)
{
	static const struct {
		const char *args[4];
		const char *said;
	} cases[] = {
		{ { "nothing" }, "kinglet: kernel nothing: No such file or directory\n" },
		{ { "kernel", "--initrd=nothing" },
		  "kinglet: initrd nothing: No such file or directory\n" },
		{ { "kernel", "--disk=disk", "--disk=nothing" },
		  "kinglet: disk 1 nothing: No such file or directory\n" },
		{ { "kernel", "--scsi=nothing" },
		  "kinglet: scsi 0 nothing: No such file or directory\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *page = NULL;
		char said[1100];

		assert_true(dry_run(cases[i].args, &page, said, sizeof(said)) < 0);
		assert_string_equal(said, cases[i].said);
	}
}

static void where_a_program_is_heard(void **state)
{
	struct machine_config config = {
		.boot = { .kernel = "kernel", .cmdline = "" },
		.cpus = 1,
		.memory = 64 << 20,
		.program = true,
		.no_output = true,
		.output_on_stderr = true,
	};

	(void)state;
	for (unsigned shown = 0; shown < 2; shown++) {
		_cleanup_free_ char *page = NULL;
		size_t len;
		FILE *out = open_memstream(&page, &len);

		config.no_output = !shown;
		assert_int_equal(dry_run_print(out, &config), 0);
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
		cmocka_unit_test(a_missing_file_is_one_line),
		cmocka_unit_test(where_a_program_is_heard),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
