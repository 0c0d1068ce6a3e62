/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of KVM: the device, its extensions, and small guests. */
#include "cmd/doctor.h"

#include "base/text.h"

#include <fcntl.h>
#include <string.h>

/* The KVM module for this CPU; NULL: there is none, or the CPU's support is hidden. */
static const char *kvm_module(const struct doctor *doctor)
{
	char cpuinfo[4096];

	if (doctor_read(doctor, "/proc/cpuinfo", cpuinfo, sizeof(cpuinfo)) < 0)
		return NULL;
	for (unsigned i = 0; i < arch_virtualisation.module_count; i++)
		if (strstr(cpuinfo, arch_virtualisation.modules[i].flag))
			return arch_virtualisation.modules[i].name;
	return NULL;
}

static struct finding kvm_absent(const struct doctor *doctor, int err)
{
	const char *module = kvm_module(doctor);
	char fix[64];

	if (!module)
		return doctor_find(FINDING_MISSING, "", "/dev/kvm: %s; %s", strerror(-err),
				   arch_virtualisation.absent);
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

/* Without /dev/kvm: the check kvm has the reason and the remedy. */
static struct finding not_examined(void)
{
	return doctor_find(FINDING_MISSING, "", "cannot be known without /dev/kvm");
}

struct finding doctor_kvm_capabilities(struct doctor *doctor, const struct doctor_check *check)
{
	_cleanup_close_ int fd = -1;
	const unsigned count = arch_virtualisation.capability_count;
	unsigned lacking = 0;
	enum finding_state state = FINDING_OK;
	char text[240] = "";

	(void)check;
	if (!doctor->kvm_opens)
		return not_examined();
	fd = sys_open(doctor->sys, "/dev/kvm", O_RDWR);
	if (fd < 0)
		return doctor_find(FINDING_MISSING, "", "/dev/kvm: %s", strerror(-fd));
	for (unsigned i = 0; i < count; i++) {
		const struct arch_capability *capability = &arch_virtualisation.capabilities[i];
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
 * A guest that runs on the CPU itself needs about as many ticks as the host; an emulated one
 * hundreds of times as many. Nothing is in between, so the limit is set at 2^5.
 */
enum { EMULATED_FROM = 5 };

/* 2^binary to the precision of the measurement: a power of ten. */
static unsigned in_tens(unsigned binary)
{
	unsigned factor = 1u << (binary < 30 ? binary : 30), tens = 10;

	while (factor / 3 > tens)
		tens *= 10;
	return tens;
}

/* Writes the result of one guest; returns whether it ran at the CPU's speed. */
static bool examine_mode(struct doctor *doctor, const struct arch_probe *probe, char *text,
			 size_t len)
{
	unsigned host = doctor->ops->host_speed();
	struct verdict verdict = { 0 };

	doctor->ops->run_probe(probe, doctor->sys, &verdict);
	if (verdict.outcome != OUTCOME_STATUS) {
		snprintf(text, len, "fails (%s)", verdict.detail);
		return false;
	}
	doctor->guests_run = true;
	if (verdict.status >= (int)host + EMULATED_FROM) {
		snprintf(text, len, "emulated, some %u times slower than the CPU",
			 in_tens((unsigned)verdict.status - host));
		return false;
	}
	snprintf(text, len, "native");
	return true;
}

/* "16-bit, 32-bit: emulated, …; 64-bit: native" */
struct finding doctor_guest_modes(struct doctor *doctor, const struct doctor_check *check)
{
	const struct arch_probe *probes = arch_virtualisation.speed_probes;
	char buf[240], before[240] = "", now[240];
	struct text text = text_of(buf, sizeof(buf));
	bool native = true;

	(void)check;
	if (!doctor->kvm_opens)
		return not_examined();
	for (unsigned i = 0; i < arch_virtualisation.speed_probe_count; i++) {
		native = examine_mode(doctor, &probes[i], now, sizeof(now)) && native;
		if (i && strcmp(now, before) == 0)
			text_add(&text, ", ");
		else if (i)
			text_add(&text, ": %s; ", before);
		text_add(&text, "%s", probes[i].mode_name);
		memcpy(before, now, sizeof(before));
	}
	return doctor_find(native ? FINDING_OK : FINDING_DEGRADED, "", "%s: %s", buf, now);
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
	doctor->ops->run_probe(&arch_virtualisation.linux_probe, doctor->sys, &verdict);
	doctor->linux_runs = verdict.outcome == OUTCOME_STATUS && !verdict.status;
	if (doctor->linux_runs)
		return doctor_find(FINDING_OK, "",
				   "KVM executes what a kernel does at its start");
	return doctor_find(FINDING_MISSING,
			   doctor->guests_run ? "make demo # in Kinglet's source: an emulated host" : "",
			   "KVM does not execute what a kernel does at its start (%s): it takes a "
			   "host with virtualisation hardware%s",
			   why_not(&verdict),
			   doctor->guests_run ? "; small bare-metal guests and the lessons run here" :
						"");
}

struct finding doctor_nested(struct doctor *doctor, const struct doctor_check *check)
{
	const struct arch_virtualisation *host = &arch_virtualisation;
	const char *module = kvm_module(doctor);
	char path[80], value[8], fix[96];

	(void)check;
	if (host->no_nesting)
		return doctor_find(FINDING_DEGRADED, "", "%s", host->no_nesting);
	for (unsigned i = 0; i < host->module_count; i++) {
		const char *name = host->modules[i].name;

		snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", name);
		if (doctor_read(doctor, path, value, sizeof(value)) < 0)
			continue;
		if (*value == 'Y' || *value == '1')
			return doctor_find(FINDING_OK, "", "%s lets guests have virtualisation",
					   name);
		snprintf(fix, sizeof(fix), "modprobe -r %s && modprobe %s nested=1", name, name);
		return doctor_find(FINDING_DEGRADED, fix, "%s is told not to let guests have it",
				   name);
	}
	if (!module)
		return doctor_find(FINDING_DEGRADED, "", "%s", host->absent);
	snprintf(fix, sizeof(fix), "modprobe %s nested=1", module);
	return doctor_find(FINDING_DEGRADED, fix, "%s is not loaded", module);
}
