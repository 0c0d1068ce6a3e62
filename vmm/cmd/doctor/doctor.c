/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/doctor.h"

static const struct doctor_check kvm_checks[] = {
	{ "kvm", "every guest", doctor_kvm, NULL },
	{ "kvm-capabilities", "every guest", doctor_kvm_capabilities, NULL },
	{ "guest-modes", "bare-metal guests and their speed", doctor_guest_modes, NULL },
	{ "guest-linux", "Linux guests", doctor_guest_linux, NULL },
	{ "nested", "guests that use KVM themselves", doctor_nested, NULL },
};

static const struct doctor_check host_checks[] = {
	{ "io_uring", "disks without threads", doctor_io_uring, NULL },
	{ "hugepages", "--hugepages", doctor_huge_pages, NULL },
	{ "thp", "guest RAM with few page faults", doctor_thp, NULL },
	{ "memlock", "io_uring", doctor_memlock, NULL },
	{ "open-files", "machines with many CPUs and queues", doctor_files, NULL },
};

static void add_checks(struct doctor *doctor, const struct doctor_check *checks, unsigned count)
{
	for (unsigned i = 0; i < count && doctor->count < DOCTOR_CHECKS_MAX; i++)
		doctor->checks[doctor->count++] = checks[i];
}

static void add_need(struct doctor *doctor, const struct host_need *need)
{
	const struct doctor_check check = {
		need->name, need->use,
		need->program ? doctor_program : need->node ? doctor_node : doctor_folder, need
	};

	add_checks(doctor, &check, 1);
}

void doctor_list_checks(struct doctor *doctor)
{
	const struct host_need *need;

	add_checks(doctor, kvm_checks, ARRAY_SIZE(kvm_checks));
	for (unsigned i = 0; device_kinds[i]; i++)
		for (need = device_kinds[i]->needs; need && need->name; need++)
			add_need(doctor, need);
	add_checks(doctor, host_checks, ARRAY_SIZE(host_checks));
}

bool doctor_examine(struct doctor *doctor)
{
	for (unsigned i = 0; i < doctor->count; i++)
		doctor->findings[i] = doctor->checks[i].run(doctor, &doctor->checks[i]);
	return doctor->linux_runs;
}

const char *finding_state_name(enum finding_state state)
{
	static const char *const names[] = {
		[FINDING_OK] = "ok",
		[FINDING_DEGRADED] = "degraded",
		[FINDING_MISSING] = "missing",
	};

	return names[state];
}
