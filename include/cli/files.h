/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that options name: none that is written may be one that is read, or written for another
 * option. Main thread.
 */
#ifndef KINGLET_CLI_FILES_H
#define KINGLET_CLI_FILES_H

#include "cli/options.h"

#include <limits.h>
#include <sys/types.h>

/* Which file a path leads to: itself, or where it is not there, its folder and the name in it. */
struct file_id {
	dev_t dev;
	ino_t ino;
	char name[NAME_MAX + 1]; /* "": the file itself */
};

/*
 * 0, or a negative errno: -ENOTSUP for what keeps nothing that could be overwritten (a pipe, a
 * terminal), else that of the file's folder.
 */
__must_check int file_identify(const char *path, struct file_id *id);
bool file_id_equal(const struct file_id *a, const struct file_id *b);

struct named_file;

/* Begins with zeroes. */
struct file_set {
	struct named_file *files; /* owned */
	unsigned count;
};

/*
 * Add a file that the argument `what` names, and those of a list's options; NULL is no file. Strings
 * are borrowed. -EINVAL after one logged line when one of the new files and one before it must not
 * be the same, or the folder of one that is written is not there; -ENOMEM.
 */
__must_check int file_set_add(struct file_set *set, const char *what, const char *path,
			      enum option_file use);
/* Standard input, output and error, where they are files. */
__must_check int file_set_add_streams(struct file_set *set);
__must_check int file_set_add_options(struct file_set *set, const struct common_options *options,
				      const struct option_list *list);
void file_set_destroy(struct file_set *set);

#endif
