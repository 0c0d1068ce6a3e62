/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the boot formats: guest RAM, files in memory, and a boot whose log lines are checked.
 * All functions here fail the test on errors.
 */
#ifndef KINGLET_TESTS_BOOT_RIG_H
#define KINGLET_TESTS_BOOT_RIG_H

#include "arch/arch.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)

struct rig {
	struct arch_vm *arch; /* NULL if the architecture does not need it */
	struct gmem mem;
	struct boot_options options;
	struct boot_state state;
	const struct boot_regs *regs; /* in state */
	char said[2048];	      /* what was logged */
	char kernel_path[64], initrd_path[64];
	int kernel_fd, initrd_fd;
};

/* One CPU, no command line and no files yet. */
void rig_init(struct rig *rig, uint64_t ram);
void rig_destroy(struct rig *rig);

/* A file's fd, and the path that opens it. */
int memory_file(const void *bytes, size_t len, char path[64]);
void rig_set_kernel(struct rig *rig, const void *bytes, size_t len);
void rig_set_initrd(struct rig *rig, const void *bytes, size_t len);

/* Boots; a success logs nothing, a refusal one line. */
int rig_boot(struct rig *rig);
/* A boot is refused with this error, and the line says `why`. */
void rig_assert_refused(struct rig *rig, int err, const char *why);

/* Guest memory. */
void *guest(struct rig *rig, uint64_t gpa, uint64_t len);
void assert_guest_bytes(struct rig *rig, uint64_t gpa, const void *bytes, size_t len);

#endif
