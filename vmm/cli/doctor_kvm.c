/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns KVM: the device, what it can, and what becomes of guests. */
#include "cli/doctor.h"

#include <fcntl.h>
#include <string.h>

/* The module that drives this CPU's hardware; NULL: there is none, or it is hidden. */
static const char *kvm_module(const struct doctor *doctor)
{
	char cpuinfo[4096];

	if (doctor_read(doctor, "/proc/cpuinfo", cpuinfo, sizeof(cpuinfo)) < 0)
		return NULL;
	if (strstr(cpuinfo, " vmx"))
		return "kvm_intel";
	return strstr(cpuinfo, " svm") ? "kvm_amd" : NULL;
}

static struct finding kvm_absent(const struct doctor *doctor, int err)
{
	const char *module = kvm_module(doctor);
	char fix[64];

	if (!module)
		return doctor_find(FINDING_MISSING, "",
				   "/dev/kvm: %s, and the CPU shows neither VMX nor SVM: switch "
				   "virtualisation on in the firmware's settings, or nested "
				   "virtualisation for this virtual machine",
				   strerror(-err));
	snprintf(fix, sizeof(fix), "modprobe %s", module);
	return doctor_find(FINDING_MISSING, fix, "/dev/kvm: %s", strerror(-err));
}

struct finding doctor_kvm(struct doctor *doctor, const struct doctor_check *check)
{
	_cleanup_close_ int fd = sys_open(doctor->sys, "/dev/kvm", O_RDWR);
	char fix[160];
	int version;

	(void)check;
	if (fd == -EACCES || fd == -EPERM) {
		doctor_permission_fix(doctor, "/dev/kvm", fix, sizeof(fix));
		return doctor_find(FINDING_MISSING, fix, "/dev/kvm: %s", strerror(-fd));
	}
	if (fd < 0)
		return kvm_absent(doctor, fd);
	version = kvm_device_version(doctor->sys, fd);
	if (version < 0)
		return doctor_find(FINDING_MISSING, "", "/dev/kvm is not KVM: %s",
				   strerror(-version));
	if (version != KVM_API_VERSION)
		return doctor_find(FINDING_MISSING, "", "/dev/kvm: API version %d, need %d",
				   version, KVM_API_VERSION);
	doctor->kvm_opens = true;
	return doctor_find(FINDING_OK, "", "/dev/kvm opens, API version %d", version);
}

/* For want of /dev/kvm: the check kvm has said why, and what to do. */
static struct finding not_examined(void)
{
	return doctor_find(FINDING_MISSING, "", "cannot be known without /dev/kvm");
}

struct finding doctor_kvm_capabilities(struct doctor *doctor, const struct doctor_check *check)
{
	_cleanup_close_ int fd = -1;
	const struct arch_capability *capabilities;
	unsigned count, lacking = 0;
	enum finding_state state = FINDING_OK;
	char text[240] = "";

	(void)check;
	if (!doctor->kvm_opens)
		return not_examined();
	fd = sys_open(doctor->sys, "/dev/kvm", O_RDWR);
	if (fd < 0)
		return doctor_find(FINDING_MISSING, "", "/dev/kvm: %s", strerror(-fd));
	capabilities = arch_capabilities(&count);
	for (unsigned i = 0; i < count; i++) {
		const struct arch_capability *capability = &capabilities[i];
		size_t used = strlen(text);

		if (kvm_device_extension(doctor->sys, fd, capability->number))
			continue;
		lacking++;
		snprintf(text + used, sizeof(text) - used, "%s%s%s%s%s", used ? ", " : "no ",
			 capability->name, capability->without ? " (no guest has " : "",
			 capability->without ? capability->without : "",
			 capability->without ? ")" : "");
		if (!capability->without)
			state = FINDING_MISSING;
		else if (state == FINDING_OK)
			state = FINDING_DEGRADED;
	}
	if (lacking)
		return doctor_find(state, "", "%s: a newer kernel may have %s", text,
				   lacking == 1 ? "it" : "them");
	return doctor_find(FINDING_OK, "", "all %u that Kinglet uses", count);
}

/*
 * A guest that runs on the CPU itself needs the ticks that the host needs, give or take some; one
 * that is interpreted hundreds of times as many. In between there is nothing, so that the line may
 * be drawn at 2^5.
 */
enum { EMULATED_FROM = 5 };

/* Appends what became of one guest to `text`; whether it ran at the CPU's speed. */
static bool examine_mode(struct doctor *doctor, const struct arch_probe *probe, char *text,
			 size_t len)
{
	unsigned host = doctor->ops->host_speed();
	size_t used = strlen(text);
	struct verdict verdict = { 0 };

	if (used < len)
		used += (size_t)snprintf(text + used, len - used, "%s%s: ", used ? "; " : "",
					 probe->mode_name);
	doctor->ops->run_probe(probe, doctor->sys, &verdict);
	if (used >= len)
		return false;
	if (verdict.outcome != OUTCOME_STATUS) {
		snprintf(text + used, len - used, "fails (%s)", verdict.detail);
		return false;
	}
	if (verdict.status >= (int)host + EMULATED_FROM) {
		snprintf(text + used, len - used, "emulated, about %u times slower than the CPU",
			 1u << ((unsigned)verdict.status - host));
		return false;
	}
	snprintf(text + used, len - used, "native");
	return true;
}

struct finding doctor_guest_modes(struct doctor *doctor, const struct doctor_check *check)
{
	const struct arch_probe *probes;
	char text[240] = "";
	bool native = true;
	unsigned count;

	(void)check;
	if (!doctor->kvm_opens)
		return not_examined();
	probes = arch_speed_probes(&count);
	for (unsigned i = 0; i < count; i++)
		native = examine_mode(doctor, &probes[i], text, sizeof(text)) && native;
	return doctor_find(native ? FINDING_OK : FINDING_DEGRADED, "", "%s", text);
}

static const char *why_not(const struct verdict *verdict)
{
	if (*verdict->detail)
		return verdict->detail;
	return verdict->outcome == OUTCOME_STATUS ? "no CPUID of KVM" : "no machine can be made";
}

struct finding doctor_guest_linux(struct doctor *doctor, const struct doctor_check *check)
{
	struct verdict verdict = { 0 };

	(void)check;
	if (!doctor->kvm_opens)
		return not_examined();
	doctor->ops->run_probe(arch_linux_probe(), doctor->sys, &verdict);
	doctor->linux_runs = verdict.outcome == OUTCOME_STATUS && !verdict.status;
	if (doctor->linux_runs)
		return doctor_find(FINDING_OK, "",
				   "KVM executes what a kernel does at its start");
	return doctor_find(FINDING_MISSING, "",
			   "KVM does not execute what a kernel does at its start (%s): it takes a "
			   "host with virtualisation hardware",
			   why_not(&verdict));
}

static const char *const nested_switches[] = {
	"kvm_intel",
	"kvm_amd",
};

struct finding doctor_nested(struct doctor *doctor, const struct doctor_check *check)
{
	char path[80], value[8], fix[96];

	(void)check;
	for (unsigned i = 0; i < ARRAY_SIZE(nested_switches); i++) {
		const char *module = nested_switches[i];

		snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", module);
		if (doctor_read(doctor, path, value, sizeof(value)) < 0)
			continue;
		if (*value == 'Y' || *value == '1')
			return doctor_find(FINDING_OK, "", "%s lets guests have virtualisation",
					   module);
		snprintf(fix, sizeof(fix), "modprobe -r %s && modprobe %s nested=1", module,
			 module);
		return doctor_find(FINDING_DEGRADED, fix, "%s is told not to let guests have it",
				   module);
	}
	return doctor_find(FINDING_DEGRADED, "", "neither kvm_intel nor kvm_amd is loaded");
}
