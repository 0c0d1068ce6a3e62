/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files named by options: a file that is written must not also be read, or be written for
 * another option. Main thread.
 */
#ifndef KINGLET_CLI_FILES_H
#define KINGLET_CLI_FILES_H

#include "cli/options.h"

#include <limits.h>
#include <sys/types.h>

/*
 * Identifies the file of a path: the file itself, or if it does not exist, its folder and its name
 * there.
 */
struct file_id {
	dev_t dev;
	ino_t ino;
	char name[NAME_MAX + 1]; /* "": the file itself */
};

/*
 * 0, or a negative errno: -ENOTSUP for what stores nothing that could be overwritten (a pipe, a
 * terminal), else that of the file's folder.
 */
__must_check int file_identify(const char *path, struct file_id *id);
bool file_id_equal(const struct file_id *a, const struct file_id *b);

struct named_file;

/* Initially all zeroes. */
struct file_set {
	struct named_file *files; /* owned */
	unsigned count;
};

/*
 * Adds a file named by the argument `what`, and those of a list's options; NULL is no file. Strings
 * are borrowed. -EINVAL after one logged line when a new file conflicts with an earlier one, or the
 * folder of a written one does not exist; -ENOMEM.
 */
__must_check int file_set_add(struct file_set *set, const char *what, const char *path,
			      enum option_file use);
/* Adds standard input, output and error, if they are files. */
__must_check int file_set_add_streams(struct file_set *set);
__must_check int file_set_add_options(struct file_set *set, const struct common_options *options,
				      const struct option_list *list);
void file_set_destroy(struct file_set *set);

#endif
