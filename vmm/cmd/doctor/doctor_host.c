/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the rest of the host: requirements of devices, memory, io_uring, limits. */
#include "cmd/doctor.h"

#include "core/node.h"
#include "host/child.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <liburing.h>
#include <string.h>

struct finding doctor_program(struct doctor *doctor, const struct doctor_check *check)
{
	const struct host_need *need = check->need;
	char path[PATH_MAX];

	if (child_find(doctor->root, need->program, path, sizeof(path)))
		return doctor_find(FINDING_MISSING, need->install, "no program %s", need->program);
	return doctor_find(FINDING_OK, "", "%s", path + strlen(doctor->root));
}

/* The node does not exist. */
static struct finding node_absent(const struct doctor *doctor, const struct host_need *need,
				  int err)
{
	char path[80], number[16], fix[160];
	char *colon;

	switch (doctor_module(doctor, need->modules[0])) {
	case MODULE_THERE:
		/* "10:238": all of them are misc devices. */
		node_number_path(need->node, path, sizeof(path));
		if (doctor_read(doctor, path, number, sizeof(number)) < 0)
			break;
		colon = strchr(number, ':');
		if (!colon)
			break;
		*colon = ' ';
		snprintf(fix, sizeof(fix), "mknod -m 600 %s c %s", need->node, number);
		return doctor_find(FINDING_MISSING, fix, "%s is loaded, but %s: %s",
				   need->modules[0], need->node, strerror(-err));
	case MODULE_LOADABLE:
		snprintf(fix, sizeof(fix), "modprobe %s", need->modules[0]);
		return doctor_find(FINDING_MISSING, fix, "the module %s is not loaded",
				   need->modules[0]);
	case MODULE_ABSENT:
		break;
	}
	return doctor_find(FINDING_MISSING, "",
			   "%s: %s, and no module %s in /lib/modules/%s: it takes a kernel with %s",
			   need->node, strerror(-err), need->modules[0], doctor->release,
			   need->config);
}

struct finding doctor_node(struct doctor *doctor, const struct doctor_check *check)
{
	const struct host_need *need = check->need;
	_cleanup_close_ int fd = sys_open(doctor->sys, need->node, O_RDWR);
	char fix[160];

	if (fd >= 0)
		return doctor_find(FINDING_OK, "", "%s opens", need->node);
	if (fd == -EACCES || fd == -EPERM) {
		doctor_permission_fix(doctor, need->node, fix, sizeof(fix));
		return doctor_find(FINDING_MISSING, fix, "%s: %s", need->node, strerror(-fd));
	}
	return node_absent(doctor, need, fd);
}

struct finding doctor_folder(struct doctor *doctor, const struct doctor_check *check)
{
	const struct host_need *need = check->need;
	/* Built-in modules are in no list if the kernel came without /lib/modules. */
	bool there = doctor_exists(doctor, need->folder);
	char fix[160] = "modprobe -a", leftovers[300];

	for (unsigned i = 0; i < ARRAY_SIZE(need->modules) && need->modules[i]; i++) {
		enum module_state state = doctor_module(doctor, need->modules[i]);
		size_t used = strlen(fix);

		if (state == MODULE_LOADABLE)
			snprintf(fix + used, sizeof(fix) - used, " %s", need->modules[i]);
		if (state == MODULE_ABSENT && !there)
			return doctor_find(FINDING_MISSING, "",
					   "no module %s in /lib/modules/%s: it takes a kernel "
					   "with %s",
					   need->modules[i], doctor->release, need->config);
	}
	if (strcmp(fix, "modprobe -a") != 0)
		return doctor_find(FINDING_MISSING, fix, "modules are not loaded");
	if (!there)
		return doctor_find(FINDING_MISSING, need->mount, "%s: %s", need->folder,
				   need->unmounted);
	/* The next run removes them, too; until then they keep their files open. */
	if (need->find_leftovers &&
	    need->find_leftovers(doctor->root, leftovers, sizeof(leftovers)))
		return doctor_find(FINDING_DEGRADED, "kinglet doctor --fix", "%s", leftovers);
	if (need->users && strcmp(doctor->user, "root") != 0)
		return doctor_find(FINDING_DEGRADED, "", "%s", need->users);
	return doctor_find(FINDING_OK, "", "%s is there", need->folder);
}

/* A number of /proc/meminfo, 0 if it is missing. */
static uint64_t meminfo(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	/* "HugePages_Free:      12" */
	return at && at[strlen(name)] == ':' ? strtoull(at + strlen(name) + 1, NULL, 10) : 0;
}

struct finding doctor_huge_pages(struct doctor *doctor, const struct doctor_check *check)
{
	static const char reserve[] = "sysctl vm.nr_hugepages=512";
	char text[8192];
	uint64_t total, unused, kib;

	(void)check;
	if (doctor_read(doctor, "/proc/meminfo", text, sizeof(text)) < 0 ||
	    !meminfo(text, "Hugepagesize"))
		return doctor_find(FINDING_DEGRADED, "", "the kernel has none");
	total = meminfo(text, "HugePages_Total");
	unused = meminfo(text, "HugePages_Free");
	kib = meminfo(text, "Hugepagesize");
	if (!unused)
		return doctor_find(FINDING_DEGRADED, reserve,
				   total ? "all %" PRIu64 " reserved pages are in use" :
					   "%" PRIu64 " pages are reserved",
				   total);
	return doctor_find(FINDING_OK, "", "%" PRIu64 " MiB free in pages of %" PRIu64 " MiB",
			   unused * kib / 1024, kib / 1024);
}

struct finding doctor_thp(struct doctor *doctor, const struct doctor_check *check)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char text[64];

	(void)check;
	if (doctor_read(doctor, path, text, sizeof(text)) < 0)
		return doctor_find(FINDING_DEGRADED, "",
				   "the kernel has no transparent huge pages "
				   "(CONFIG_TRANSPARENT_HUGEPAGE)");
	if (strstr(text, "[never]"))
		return doctor_find(FINDING_DEGRADED,
				   "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
				   "transparent huge pages are switched off");
	return doctor_find(FINDING_OK, "", "transparent huge pages: %s", text);
}

struct finding doctor_io_uring(struct doctor *doctor, const struct doctor_check *check)
{
	int ret = doctor->ops->try_io_uring();
	const char *fix = "";
	char disabled[8];

	(void)check;
	if (!ret)
		return doctor_find(FINDING_OK, "", "a ring can be made");
	if (doctor_read(doctor, "/proc/sys/kernel/io_uring_disabled", disabled,
			sizeof(disabled)) > 0 && *disabled != '0')
		fix = "sysctl kernel.io_uring_disabled=0";
	return doctor_find(FINDING_DEGRADED, fix, "io_uring_setup: %s: disks use threads",
			   strerror(-ret));
}

static void format_limit(rlim_t value, unsigned unit, const char *name, char *text, size_t len)
{
	if (value == RLIM_INFINITY)
		snprintf(text, len, "unlimited");
	else
		snprintf(text, len, "%llu%s", (unsigned long long)value / unit, name);
}

/* Kernels before 5.12 count a ring of 256 entries, some 32 KiB, as locked memory. */
struct finding doctor_memlock(struct doctor *doctor, const struct doctor_check *check)
{
	struct rlimit limit;
	char text[32];
	int ret = doctor->ops->get_rlimit(RLIMIT_MEMLOCK, &limit);

	(void)check;
	if (ret)
		return doctor_find(FINDING_DEGRADED, "", "RLIMIT_MEMLOCK: %s", strerror(-ret));
	format_limit(limit.rlim_cur, 1024, " KiB", text, sizeof(text));
	if (limit.rlim_cur < 64 * 1024)
		return doctor_find(FINDING_DEGRADED, "prlimit --memlock=65536 --pid $$",
				   "%s of locked memory are allowed", text);
	return doctor_find(FINDING_OK, "", "%s of locked memory are allowed", text);
}

/* Kinglet raises its soft limit to the hard one. 64 vCPUs and devices with 64 queues fit 512. */
struct finding doctor_files(struct doctor *doctor, const struct doctor_check *check)
{
	struct rlimit limit;
	char text[32];
	int ret = doctor->ops->get_rlimit(RLIMIT_NOFILE, &limit);

	(void)check;
	if (ret)
		return doctor_find(FINDING_DEGRADED, "", "RLIMIT_NOFILE: %s", strerror(-ret));
	format_limit(limit.rlim_max, 1, "", text, sizeof(text));
	if (limit.rlim_max < 512)
		return doctor_find(FINDING_DEGRADED, "prlimit --nofile=4096:4096 --pid $$",
				   "%s open files are allowed", text);
	return doctor_find(FINDING_OK, "", "%s open files are allowed", text);
}

static int try_io_uring(void)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(1, &ring, 0);

	if (!ret)
		io_uring_queue_exit(&ring);
	return ret;
}

static int real_rlimit(unsigned resource, struct rlimit *limit)
{
	return getrlimit(resource, limit) ? -errno : 0;
}

const struct doctor_ops doctor_real_ops = {
	.run_probe = machine_run_probe,
	.host_speed = arch_host_speed,
	.try_io_uring = try_io_uring,
	.get_rlimit = real_rlimit,
};
