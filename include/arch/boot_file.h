/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file to be booted, for the loaders under arch/. Machine's thread, before any vCPU runs.
 *
 * A file is hostile input: every offset, size and address taken from it is checked before use.
 * Functions that return int log one line that names the file before they return a negative errno.
 */
#ifndef KINGLET_ARCH_BOOT_FILE_H
#define KINGLET_ARCH_BOOT_FILE_H

#include "core/memory.h"

/* An opened file and its first bytes, which hold every magic and header (Multiboot: 8 KiB). */
enum { BOOT_HEAD_LEN = 8192 };
struct boot_file {
	const char *what; /* "kernel", "initrd" */
	const char *path; /* borrowed */
	int fd;		  /* owned, -1 when closed */
	uint64_t size;	  /* bytes, not 0 */
	uint8_t head[BOOT_HEAD_LEN];
	size_t head_len; /* bytes read into head */
};

/*
 * Opens a regular file that is not empty and reads its head. The caller closes file->fd in any
 * case.
 */
__must_check int boot_file_open(struct boot_file *file, const char *what, const char *path);

/* Logs "kernel PATH: …" and returns err. */
int boot_refuse(const struct boot_file *file, int err, const char *fmt, ...) __printf(3, 4);

/* True when the head has these bytes at this offset. */
bool boot_file_has(const struct boot_file *file, size_t offset, const void *bytes, size_t len);

/* What a file of unknown format seems to be, for the message: "a cpio archive (an initrd?)". */
const char *boot_file_foreign_name(const struct boot_file *file);

/* Reads [off, off + len) of the file into buf; -ENOEXEC when the file is too short. */
__must_check int boot_file_read(const struct boot_file *file, uint64_t off, void *buf, size_t len);

/* The same straight into guest RAM at gpa, which must be RAM. */
__must_check int boot_file_load(const struct boot_file *file, struct gmem *mem, uint64_t off,
				uint64_t gpa, uint64_t len);

/* RAM that is left for a file. */
struct boot_room {
	uint64_t floor, ceiling;
	uint64_t align; /* of its place: a power of two */
	bool low;	/* as low as possible, else as high */
};

/* Loads all of a file, opened by `what` and `path`, into the room. Says where. -E2BIG: too large. */
__must_check int boot_file_place(const char *what, const char *path, struct gmem *mem,
				 const struct boot_room *room, struct gmem_range *at);

#endif
