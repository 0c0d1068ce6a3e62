/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kinglet doctor`: can this host run a Linux guest, and how well? One table of checks; each is a
 * function that examines one thing and returns its state, and the command that would fix it. Main
 * thread.
 */
#ifndef KINGLET_CMD_DOCTOR_H
#define KINGLET_CMD_DOCTOR_H

#include "arch/probe.h"
#include "cmd/probe.h"
#include "core/sys.h"
#include "devices/kind.h"

#include <stdio.h>
#include <sys/resource.h>

enum finding_state {
	FINDING_OK,
	FINDING_DEGRADED, /* it works, but slowly or partly */
	FINDING_MISSING,
};

struct finding {
	enum finding_state state;
	char text[400]; /* what was found; no full stop */
	char fix[160];	/* a command, for root if it needs root; empty: none */
};

struct doctor;

/* What the checks see of the host besides its files. Unit tests replace it. */
struct doctor_ops {
	/* machine_run_probe(). */
	void (*run_probe)(const struct arch_probe *probe, struct sys *sys, struct verdict *verdict);
	/* arch_host_speed(). */
	unsigned (*host_speed)(void);
	/* Creates and closes a ring: 0 or a negative errno. */
	int (*try_io_uring)(void);
	/* getrlimit(2): 0 or a negative errno. */
	int (*get_rlimit)(unsigned resource, struct rlimit *limit);
};

extern const struct doctor_ops doctor_real_ops;

struct doctor_check {
	const char *name; /* one word */
	const char *use;  /* what it is for */
	struct finding (*run)(struct doctor *doctor, const struct doctor_check *check);
	const struct host_need *need; /* of a device; else NULL */
};

enum { DOCTOR_CHECKS_MAX = 32 };

struct doctor {
	struct sys *sys; /* borrowed; opens device nodes */
	const struct doctor_ops *ops;
	const char *root; /* borrowed; prefix of file names: "" */
	const char *user; /* borrowed; the user who runs Kinglet */
	char release[65]; /* of the kernel, as uname -r */
	/* Results of the first checks, for later ones and for the overall result. */
	bool kvm_opens, guests_run, linux_runs;
	struct doctor_check checks[DOCTOR_CHECKS_MAX];
	struct finding findings[DOCTOR_CHECKS_MAX]; /* of these */
	unsigned count;
};

/* Fills in the checks in their order: KVM, what devices need, the rest of the host. */
void doctor_list_checks(struct doctor *doctor);

/* Runs every check that is listed. Returns whether a Linux guest can run. */
bool doctor_examine(struct doctor *doctor);

/* The report as text: lines of at most 100 columns. */
void doctor_print(FILE *out, const struct doctor *doctor);

/* "ok", "degraded", "missing" */
const char *finding_state_name(enum finding_state state);

/* --- doctor_files.c: for the checks --- */

struct finding doctor_find(enum finding_state state, const char *fix, const char *fmt, ...)
	__printf(3, 4);

/*
 * The start of a file below doctor->root, NUL-terminated, without a newline at the end; the length,
 * or a negative errno with an empty text.
 */
__must_check int doctor_read(const struct doctor *doctor, const char *path, char *text,
			     size_t len);
bool doctor_exists(const struct doctor *doctor, const char *path);

/*
 * The command that lets doctor->user open an existing node: joining its group if the group may open
 * it, else changing the owner.
 */
void doctor_permission_fix(const struct doctor *doctor, const char *path, char *fix, size_t len);

enum module_state {
	MODULE_THERE,	 /* loaded, or built in and active */
	MODULE_LOADABLE, /* in /lib/modules */
	MODULE_ABSENT,
};

/* `name` with underscores. */
enum module_state doctor_module(const struct doctor *doctor, const char *name);

/* The checks. */
#define DOCTOR_CHECK(name)                                                                         \
	struct finding name(struct doctor *doctor, const struct doctor_check *check)
DOCTOR_CHECK(doctor_kvm);
DOCTOR_CHECK(doctor_kvm_capabilities);
DOCTOR_CHECK(doctor_guest_modes);
DOCTOR_CHECK(doctor_guest_linux);
DOCTOR_CHECK(doctor_nested);
DOCTOR_CHECK(doctor_program);
DOCTOR_CHECK(doctor_node);
DOCTOR_CHECK(doctor_folder);
DOCTOR_CHECK(doctor_huge_pages);
DOCTOR_CHECK(doctor_thp);
DOCTOR_CHECK(doctor_io_uring);
DOCTOR_CHECK(doctor_memlock);
DOCTOR_CHECK(doctor_files);
#undef DOCTOR_CHECK

#endif
