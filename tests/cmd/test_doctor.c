/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each check in each of its states, on a host that is a temporary folder: files that exist or not,
 * device nodes that open or fail, guests that end as the test requires.
 */
#include "cmd/doctor.h"
#include "fake_sys.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { HOST_SPEED = 14 };

struct fixture {
	struct fake_sys fake;
	struct sys_ops ops;
	struct doctor_ops doctor_ops;
	struct doctor doctor;
	char root[40];
	/* The result of opening a node: 0 or a negative errno. All others open. */
	const char *node;
	int node_result;
	int version;	    /* KVM_GET_API_VERSION */
	long no_capability; /* missing KVM_CAP_* */
	struct verdict linux_verdict, speed_verdict;
	int io_uring;
	struct rlimit limit;
	unsigned fds;
};

/* The checks get no more than the doctor; there is one fixture at a time. */
static struct fixture *current;

static int fake_open(struct sys *sys, const char *path, int flags)
{
	(void)sys;
	if (current->node && !strcmp(path, current->node) && current->node_result)
		return current->node_result;
	return open("/dev/null", flags | O_CLOEXEC);
}

static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fake;
	(void)fd;
	if (request == KVM_GET_API_VERSION)
		return current->version;
	if (request == KVM_CHECK_EXTENSION && (long)(intptr_t)arg == current->no_capability)
		return 0;
	return FAKE_PASS;
}

static void run_probe(const struct arch_probe *probe, struct sys *sys, struct verdict *verdict)
{
	assert_ptr_equal(sys, &current->fake.sys);
	assert_true(probe->end > probe->code);
	*verdict = probe == &arch_virtualisation.linux_probe ? current->linux_verdict :
							       current->speed_verdict;
}

static unsigned host_speed(void)
{
	return HOST_SPEED;
}

static int try_io_uring(void)
{
	return current->io_uring;
}

static int get_rlimit(unsigned resource, struct rlimit *limit)
{
	assert_true(resource == RLIMIT_NOFILE || resource == RLIMIT_MEMLOCK);
	*limit = current->limit;
	return 0;
}

/* Creates a file below the root with the folders on the way. */
static void put(struct fixture *f, const char *path, const char *text)
{
	char full[256];
	FILE *out;

	snprintf(full, sizeof(full), "%s%s", f->root, path);
	for (char *at = full + strlen(f->root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		assert_true(!mkdir(full, 0755) || errno == EEXIST);
		*at = '/';
	}
	if (full[strlen(full) - 1] == '/')
		return;
	out = fopen(full, "we");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	current = f;
	*state = f;
	f->fds = fake_open_fds();
	fake_sys_init(&f->fake);
	f->fake.hook = hook;
	f->ops = *f->fake.sys.ops;
	f->ops.open = fake_open;
	f->fake.sys.ops = &f->ops;
	f->doctor_ops = (struct doctor_ops){ run_probe, host_speed, try_io_uring, get_rlimit };
	strcpy(f->root, "/tmp/doctor.XXXXXX");
	assert_non_null(mkdtemp(f->root));
	f->doctor = (struct doctor){
		.sys = &f->fake.sys,
		.ops = &f->doctor_ops,
		.root = f->root,
		.user = "root",
		.release = "6.1.0-test",
		.kvm_opens = true,
	};
	doctor_list_checks(&f->doctor);
	f->version = KVM_API_VERSION;
	f->no_capability = -1;
	f->linux_verdict = (struct verdict){ .outcome = OUTCOME_STATUS };
	f->speed_verdict = (struct verdict){ .outcome = OUTCOME_STATUS, .status = HOST_SPEED };
	f->limit = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_sys_destroy(&f->fake);
	assert_int_equal(nftw(f->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(fake_open_fds(), f->fds);
	free(f);
	return 0;
}

static const struct doctor_check *check_named(const struct fixture *f, const char *name)
{
	unsigned i = 0;

	while (i < f->doctor.count && strcmp(f->doctor.checks[i].name, name) != 0)
		i++;
	assert_true(i < f->doctor.count);
	return &f->doctor.checks[i];
}

/* The check's finding: its text contains `text`, `fix` is its command. */
static void expect(struct fixture *f, const char *name, enum finding_state state, const char *text,
		   const char *fix)
{
	const struct doctor_check *check = check_named(f, name);
	struct finding finding = check->run(&f->doctor, check);

	if (finding.state != state || !strstr(finding.text, text) || strcmp(finding.fix, fix) != 0)
		fail_msg("%s: %s, \"%s\", fix \"%s\"", name, finding_state_name(finding.state),
			 finding.text, finding.fix);
}

/* --- KVM -------------------------------------------------------------------------------------- */

static void test_kvm(void **state)
{
	struct fixture *f = *state;
	gid_t group = getgid() ? getgid() : 4321; /* not root's */
	char text[80];

	f->doctor.kvm_opens = false;
	f->node = "/dev/kvm";
	f->node_result = -ENOENT;
	expect(f, "kvm", FINDING_MISSING, arch_virtualisation.absent, "");
	for (unsigned i = 0; i < arch_virtualisation.module_count; i++) {
		const struct arch_kvm_module *module = &arch_virtualisation.modules[i];

		snprintf(text, sizeof(text), "model name\t: X\nflags\t\t: fpu%s sse\n", module->flag);
		put(f, "/proc/cpuinfo", text);
		snprintf(text, sizeof(text), "modprobe %s", module->name);
		expect(f, "kvm", FINDING_MISSING, "No such file", text);
	}

	f->node_result = -EACCES;
	f->doctor.user = "ann";
	expect(f, "kvm", FINDING_MISSING, "Permission denied", "chown ann /dev/kvm");
	put(f, "/dev/kvm", "");
	snprintf(text, sizeof(text), "%s/dev/kvm", f->root);
	assert_int_equal(chown(text, (uid_t)-1, group), 0);
	assert_int_equal(chmod(text, 0600), 0);
	snprintf(text, sizeof(text), "root:x:0:\nkvm:x:%u:bob\n", group);
	put(f, "/etc/group", text);
	expect(f, "kvm", FINDING_MISSING, "Permission denied", "chown ann /dev/kvm");
	snprintf(text, sizeof(text), "%s/dev/kvm", f->root);
	assert_int_equal(chmod(text, 0660), 0);
	expect(f, "kvm", FINDING_MISSING, "Permission denied",
	       "usermod -aG kvm ann # then log in anew");
	assert_false(f->doctor.kvm_opens);
	f->node_result = 0;
	f->version = -ENOTTY;
	expect(f, "kvm", FINDING_MISSING, "is not KVM", "");
	f->version = 11;
	expect(f, "kvm", FINDING_MISSING, "API version 11, need 12", "");
	assert_false(f->doctor.kvm_opens);
	f->version = KVM_API_VERSION;
	expect(f, "kvm", FINDING_OK, "API version 12", "");
	assert_true(f->doctor.kvm_opens);
}

static void test_capabilities(void **state)
{
	struct fixture *f = *state;

	expect(f, "kvm-capabilities", FINDING_OK, "all ", "");
	f->no_capability = KVM_CAP_IRQFD;
	expect(f, "kvm-capabilities", FINDING_MISSING, "no KVM_CAP_IRQFD: ", "");
	f->no_capability = KVM_CAP_MAX_VCPUS;
	expect(f, "kvm-capabilities", FINDING_DEGRADED,
	       "no KVM_CAP_MAX_VCPUS (no guest has more than four vCPUs): ", "");
	f->doctor.kvm_opens = false;
	expect(f, "kvm-capabilities", FINDING_MISSING, "without /dev/kvm", "");
}

static void test_modes(void **state)
{
	struct fixture *f = *state;

	expect(f, "guest-modes", FINDING_OK, "64-bit: native", "");
	f->speed_verdict.status = HOST_SPEED + 4;
	expect(f, "guest-modes", FINDING_OK, "64-bit: native", "");
	f->speed_verdict.status = HOST_SPEED + 5;
	expect(f, "guest-modes", FINDING_DEGRADED,
	       "64-bit: emulated, some 10 times slower than the CPU", "");
	f->speed_verdict.status = HOST_SPEED + 13;
	expect(f, "guest-modes", FINDING_DEGRADED,
	       "64-bit: emulated, some 10000 times slower than the CPU", "");
	f->speed_verdict.status = 255;
	expect(f, "guest-modes", FINDING_DEGRADED, "64-bit: emulated, some 1000000000 times", "");
	f->speed_verdict = (struct verdict){ .outcome = OUTCOME_TIMEOUT, .detail = "at rip 7" };
	expect(f, "guest-modes", FINDING_DEGRADED, "64-bit: fails (at rip 7)", "");
	f->doctor.kvm_opens = false;
	expect(f, "guest-modes", FINDING_MISSING, "without /dev/kvm", "");
}

static void test_linux(void **state)
{
	struct fixture *f = *state;

	expect(f, "guest-linux", FINDING_OK, "executes", "");
	assert_true(f->doctor.linux_runs);
	f->linux_verdict.status = 1;
	expect(f, "guest-linux", FINDING_MISSING, "no CPUID of KVM", "");
	assert_false(f->doctor.linux_runs);
	f->linux_verdict =
		(struct verdict){ .outcome = OUTCOME_INTERNAL_ERROR, .detail = "at rip 7" };
	expect(f, "guest-linux", FINDING_MISSING, "at rip 7", "");
	assert_false(f->doctor.linux_runs);
	/* A KVM that only emulates is still usable. */
	f->speed_verdict.status = HOST_SPEED + 13;
	expect(f, "guest-modes", FINDING_DEGRADED, "emulated", "");
	expect(f, "guest-linux", FINDING_MISSING, "; small bare-metal guests and the lessons run here",
	       "make demo # in Kinglet's source: an emulated host");
	f->doctor.kvm_opens = false;
	expect(f, "guest-linux", FINDING_MISSING, "without /dev/kvm", "");
}

static void test_nested(void **state)
{
	const struct arch_virtualisation *host = &arch_virtualisation;
	struct fixture *f = *state;

	if (host->no_nesting) {
		expect(f, "nested", FINDING_DEGRADED, host->no_nesting, "");
		return;
	}
	expect(f, "nested", FINDING_DEGRADED, host->absent, "");
	for (unsigned i = 0; i < host->module_count; i++) {
		const char *name = host->modules[i].name;
		char path[80], text[160];

		snprintf(text, sizeof(text), "flags\t: fpu%s sse\n", host->modules[i].flag);
		put(f, "/proc/cpuinfo", text);
		snprintf(text, sizeof(text), "modprobe %s nested=1", name);
		expect(f, "nested", FINDING_DEGRADED, "is not loaded", text);
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", name);
		put(f, path, "0\n");
		snprintf(text, sizeof(text), "modprobe -r %s && modprobe %s nested=1", name, name);
		expect(f, "nested", FINDING_DEGRADED, "is told not to", text);
		put(f, path, "1\n");
		snprintf(text, sizeof(text), "%s lets", name);
		expect(f, "nested", FINDING_OK, text, "");
		put(f, path, "Y\n");
		expect(f, "nested", FINDING_OK, text, "");
		snprintf(text, sizeof(text), "%s%s", f->root, path);
		assert_int_equal(remove(text), 0);
	}
}

/* --- Nodes, LIO ------------------------------------------------------------------------------- */

static void test_node(void **state)
{
	struct fixture *f = *state;

	expect(f, "vhost-net", FINDING_OK, "/dev/vhost-net opens", "");
	f->node = "/dev/vhost-net";
	f->node_result = -ENOENT;
	expect(f, "vhost-net", FINDING_MISSING, "takes a kernel with CONFIG_VHOST_NET", "");
	/* Names that only begin or end so are others. */
	put(f, "/lib/modules/6.1.0-test/modules.dep",
	    "kernel/drivers/vhost/vhost_net2.ko: a.ko\nkernel/drivers/xvhost_net.ko:\n");
	expect(f, "vhost-net", FINDING_MISSING, "takes a kernel", "");
	put(f, "/lib/modules/6.1.0-test/modules.dep",
	    "kernel/a.ko: b.ko\nkernel/drivers/vhost/vhost-net.ko.xz: kernel/a.ko\n");
	expect(f, "vhost-net", FINDING_MISSING, "is not loaded", "modprobe vhost_net");
	/* Built in without a node: its number is unknown. */
	put(f, "/lib/modules/6.1.0-test/modules.builtin", "kernel/drivers/vhost/vhost_net.ko\n");
	expect(f, "vhost-net", FINDING_MISSING, "No such file", "");
	put(f, "/sys/module/vhost_net/", "");
	put(f, "/sys/class/misc/vhost-net/dev", "10:238\n");
	expect(f, "vhost-net", FINDING_MISSING, "vhost_net is loaded, but",
	       "mknod -m 600 /dev/vhost-net c 10 238");
	f->node_result = -EACCES;
	expect(f, "vhost-net", FINDING_MISSING, "Permission denied", "chown root /dev/vhost-net");
	expect(f, "vhost-scsi", FINDING_OK, "/dev/vhost-scsi opens", "");
	expect(f, "vhost-vsock", FINDING_OK, "/dev/vhost-vsock opens", "");
	expect(f, "tun", FINDING_OK, "/dev/net/tun opens", "");
}

static void test_passt(void **state)
{
	struct fixture *f = *state;
	char full[100];

	setenv("PATH", "/nonexistent:/usr/bin", 1);
	expect(f, "passt", FINDING_MISSING, "no program passt", "apt install passt");
	put(f, "/usr/bin/passt", "");
	expect(f, "passt", FINDING_MISSING, "no program passt", "apt install passt");
	snprintf(full, sizeof(full), "%s/usr/bin/passt", f->root);
	assert_int_equal(chmod(full, 0755), 0);
	expect(f, "passt", FINDING_OK, "/usr/bin/passt", "");
}

static void test_lio(void **state)
{
	struct fixture *f = *state;

	expect(f, "lio", FINDING_MISSING, "no module configfs", "");
	put(f, "/lib/modules/6.1.0-test/modules.dep",
	    "kernel/fs/configfs/configfs.ko:\nkernel/t/target_core_mod.ko:\n"
	    "kernel/t/target_core_file.ko: kernel/t/target_core_mod.ko\n");
	expect(f, "lio", FINDING_MISSING, "no module target_core_iblock", "");
	put(f, "/lib/modules/6.1.0-test/modules.builtin",
	    "kernel/fs/configfs/configfs.ko\nkernel/t/target_core_iblock.ko\n");
	expect(f, "lio", FINDING_MISSING, "not loaded",
	       "modprobe -a target_core_mod target_core_file");
	put(f, "/sys/module/target_core_mod/", "");
	put(f, "/sys/module/target_core_file/", "");
	expect(f, "lio", FINDING_MISSING, "not mounted",
	       "mount -t configfs configfs /sys/kernel/config");
	put(f, "/sys/kernel/config/target/", "");
	expect(f, "lio", FINDING_OK, "is there", "");
	f->doctor.user = "ann";
	expect(f, "lio", FINDING_DEGRADED, "only root", "");
}

/* The PID of a process that has ended, to name what it left behind: a child that was waited for. */
static pid_t dead_process(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void test_lio_leftovers(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct stat ns;
	pid_t pid = dead_process();

	assert_int_equal(stat("/proc/self/ns/pid", &ns), 0);
	/* One of a running process, and one that another program created. */
	snprintf(path, sizeof(path),
		 "/sys/kernel/config/target/core/fileio_18763/kinglet-%ju-%d-1-0/udev_path",
		 (uintmax_t)ns.st_ino + 1, pid);
	put(f, path, "/tmp/of-another-namespace.img");
	put(f, "/sys/kernel/config/target/core/fileio_18763/disk0/udev_path", "/tmp/others.img");
	expect(f, "lio", FINDING_OK, "is there", "");

	snprintf(path, sizeof(path),
		 "/sys/kernel/config/target/core/iblock_18763/kinglet-%ju-%d-1-0/udev_path",
		 (uintmax_t)ns.st_ino, pid);
	put(f, path, "/dev/sdz\n");
	expect(f, "lio", FINDING_DEGRADED, "1 target left by runs that were killed, of /dev/sdz",
	       "kinglet doctor --fix");
	snprintf(path, sizeof(path),
		 "/sys/kernel/config/target/core/fileio_18763/kinglet-%ju-%d-1-1/udev_path",
		 (uintmax_t)ns.st_ino, pid);
	put(f, path, "/tmp/killed.img\n");
	expect(f, "lio", FINDING_DEGRADED, "2 targets left by runs that were killed, of "
	       "/tmp/killed.img and others", "kinglet doctor --fix");
}

static void test_lio_built_in(void **state)
{
	struct fixture *f = *state;

	put(f, "/sys/kernel/config/target/", "");
	expect(f, "lio", FINDING_OK, "is there", "");
	put(f, "/lib/modules/6.1.0-test/modules.dep", "kernel/t/target_core_iblock.ko:\n");
	expect(f, "lio", FINDING_MISSING, "not loaded", "modprobe -a target_core_iblock");
}

/* --- Memory, limits --------------------------------------------------------------------------- */

static void test_huge_pages(void **state)
{
	struct fixture *f = *state;

	expect(f, "hugepages", FINDING_DEGRADED, "has none", "");
	put(f, "/proc/meminfo",
	    "MemTotal: 1 kB\nHugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n");
	expect(f, "hugepages", FINDING_DEGRADED, "0 pages are reserved",
	       "sysctl vm.nr_hugepages=512");
	put(f, "/proc/meminfo", "HugePages_Total: 4\nHugePages_Free: 0\nHugepagesize: 2048 kB\n");
	expect(f, "hugepages", FINDING_DEGRADED, "all 4 reserved", "sysctl vm.nr_hugepages=512");
	put(f, "/proc/meminfo", "HugePages_Total: 4\nHugePages_Free: 3\nHugepagesize: 2048 kB\n");
	expect(f, "hugepages", FINDING_OK, "6 MiB free in pages of 2 MiB", "");
}

static void test_thp(void **state)
{
	struct fixture *f = *state;

	expect(f, "thp", FINDING_DEGRADED, "has no", "");
	put(f, "/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
	expect(f, "thp", FINDING_DEGRADED, "off",
	       "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
	put(f, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	expect(f, "thp", FINDING_OK, "[madvise]", "");
}

static void test_io_uring(void **state)
{
	struct fixture *f = *state;

	expect(f, "io_uring", FINDING_OK, "can be made", "");
	f->io_uring = -ENOSYS;
	expect(f, "io_uring", FINDING_DEGRADED, "disks use threads", "");
	f->io_uring = -EPERM;
	put(f, "/proc/sys/kernel/io_uring_disabled", "0\n");
	expect(f, "io_uring", FINDING_DEGRADED, "not permitted", "");
	put(f, "/proc/sys/kernel/io_uring_disabled", "2\n");
	expect(f, "io_uring", FINDING_DEGRADED, "not permitted",
	       "sysctl kernel.io_uring_disabled=0");
}

static void test_limits(void **state)
{
	struct fixture *f = *state;

	expect(f, "memlock", FINDING_OK, "unlimited", "");
	expect(f, "open-files", FINDING_OK, "unlimited", "");
	f->limit = (struct rlimit){ 65536, 512 };
	expect(f, "memlock", FINDING_OK, "64 KiB", "");
	expect(f, "open-files", FINDING_OK, "512 open", "");
	f->limit = (struct rlimit){ 65535, 511 };
	expect(f, "memlock", FINDING_DEGRADED, "63 KiB", "prlimit --memlock=65536 --pid $$");
	expect(f, "open-files", FINDING_DEGRADED, "511 open",
	       "prlimit --nofile=4096:4096 --pid $$");
}

/* --- All together ----------------------------------------------------------------------------- */

static void test_examine(void **state)
{
	struct fixture *f = *state;

	assert_true(f->doctor.count < DOCTOR_CHECKS_MAX);
	f->doctor.kvm_opens = false;
	assert_true(doctor_examine(&f->doctor));
	f->linux_verdict.status = 1;
	assert_false(doctor_examine(&f->doctor));
}

/* Whichever call fails, the examination completes, and no descriptor leaks (teardown). */
static void test_failures(void **state)
{
	struct fixture *f = *state;
	unsigned calls;

	doctor_examine(&f->doctor);
	calls = f->fake.calls;
	assert_true(calls > 2);
	for (unsigned n = 1; n <= calls; n++) {
		f->fake.calls = 0;
		f->fake.fail_at = n;
		f->doctor.kvm_opens = f->doctor.linux_runs = false;
		doctor_examine(&f->doctor);
		for (unsigned i = 0; i < f->doctor.count; i++)
			assert_true(*f->doctor.findings[i].text);
	}
}

/* Text is broken into lines, a command is not. */
static void test_width(void **state)
{
	struct fixture *f = *state;
	char *page, *line, *rest;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	assert_non_null(out);
	for (unsigned i = 0; i < f->doctor.count; i++) {
		f->doctor.findings[i].state = FINDING_MISSING;
		for (unsigned c = 0; c + 1 < sizeof(f->doctor.findings[i].text); c++)
			f->doctor.findings[i].text[c] = c % 7 ? 'x' : ' ';
		f->doctor.findings[i].text[sizeof(f->doctor.findings[i].text) - 1] = '\0';
		snprintf(f->doctor.findings[i].fix, sizeof(f->doctor.findings[i].fix),
			 "modprobe -a configfs target_core_mod target_core_file target_core_iblock");
	}
	doctor_print(out, &f->doctor);
	assert_int_equal(fclose(out), 0);
	for (line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *command = strstr(line, "modprobe");

		assert_in_range(strlen(line), 20, 100);
		if (command)
			assert_string_equal(command, f->doctor.findings[0].fix);
	}
	free(page);
}

/* The guests are not fakes: this CPU's own loop, and code for every mode. */
static void test_probes(void **state)
{
	const struct arch_probe *probes = arch_virtualisation.speed_probes;
	const unsigned count = arch_virtualisation.speed_probe_count;

	(void)state;
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++)
		assert_in_range(probes[i].end - probes[i].code, 4, 512);
	assert_in_range(arch_host_speed(), 4, 31);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kvm),	      TEST(test_capabilities), TEST(test_modes),
		TEST(test_linux),     TEST(test_nested),       TEST(test_node),
		TEST(test_passt),
		TEST(test_lio_leftovers),
		TEST(test_lio),	      TEST(test_lio_built_in), TEST(test_huge_pages),   TEST(test_thp),
		TEST(test_io_uring),  TEST(test_limits),       TEST(test_examine),
		TEST(test_failures),  TEST(test_width),	       TEST(test_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
