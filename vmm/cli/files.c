/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/files.h"

#include "base/log.h"
#include "devices/kind.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 }; /* as Linux's MAXSYMLINKS */

struct named_file {
	const char *dashes, *what, *path;
	enum option_file use;
	struct file_id id;
};

/* --- Which file ------------------------------------------------------------------------------- */

/* Follows a dangling link, as open(2) would. */
static void follow_links(char path[PATH_MAX])
{
	char target[PATH_MAX], whole[2 * PATH_MAX];

	for (unsigned i = 0; i < LINKS_MAX; i++) {
		ssize_t len = readlink(path, target, sizeof(target) - 1);
		const char *slash = strrchr(path, '/');

		if (len <= 0)
			return;
		target[len] = '\0';
		snprintf(whole, sizeof(whole), "%.*s%s",
			 *target != '/' && slash ? (int)(slash - path) + 1 : 0, path, target);
		snprintf(path, PATH_MAX, "%.*s", PATH_MAX - 1, whole);
	}
}

int file_identify(const char *path, struct file_id *id)
{
	char missing[PATH_MAX], *slash;
	const char *name = missing, *folder = ".";
	struct stat st;

	*id = (struct file_id){ 0 };
	if (!stat(path, &st)) {
		/* A block device may have several nodes. */
		id->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
		id->ino = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
		return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? 0 : -ENOTSUP;
	}
	snprintf(missing, sizeof(missing), "%s", path);
	follow_links(missing);
	slash = strrchr(missing, '/');
	if (slash) {
		*slash = '\0';
		name = slash + 1;
		folder = slash == missing ? "/" : missing;
	}
	if (stat(folder, &st))
		return -errno;
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	snprintf(id->name, sizeof(id->name), "%.*s", NAME_MAX, name);
	return 0;
}

bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && strcmp(a->name, b->name) == 0;
}

/* --- Sets of files ---------------------------------------------------------------------------- */

/* An existing file, in a folder that is read completely. */
static bool is_within(const char *path, const char *folder)
{
	_cleanup_free_ char *inner = realpath(path, NULL), *outer = realpath(folder, NULL);
	size_t len = outer ? strlen(outer) : 0;

	return inner && outer && strncmp(inner, outer, len) == 0 &&
	       (inner[len] == '/' || outer[len - 1] == '/');
}

static bool collide(const struct named_file *a, const struct named_file *b)
{
	if (a->use < b->use)
		return collide(b, a);
	if (a->use != FILE_OUTPUT)
		return false;
	return b->use == FILE_FOLDER ? is_within(a->path, b->path) : file_id_equal(&a->id, &b->id);
}

static int refuse(const struct named_file *file, const struct named_file *before)
{
	const struct named_file *written = file->use == FILE_OUTPUT ? file : before;
	const struct named_file *other = written == file ? before : file;

	log_error(other->use == FILE_OUTPUT ?
			  "%s%s %.200s: %s%s %.200s writes to the same file; name another one" :
			  "%s%s %.200s: would overwrite %s%s %.200s; name another file",
		  written->dashes, written->what, written->path, other->dashes, other->what,
		  other->path);
	return -EINVAL;
}

static int add(struct file_set *set, struct named_file file)
{
	struct named_file *files;
	int ret = file.path ? file_identify(file.path, &file.id) : -ENOENT;

	if (file.path && file.use == FILE_OUTPUT && ret && ret != -ENOTSUP) {
		log_error("%s%s %.200s: %s", file.dashes, file.what, file.path, strerror(-ret));
		return -EINVAL;
	}
	if (ret && !(file.path && file.use == FILE_FOLDER))
		return 0;
	for (unsigned i = 0; i < set->count; i++)
		if (collide(&file, &set->files[i]))
			return refuse(&file, &set->files[i]);
	files = reallocarray(set->files, set->count + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	set->files = files;
	files[set->count++] = file;
	return 0;
}

int file_set_add(struct file_set *set, const char *what, const char *path, enum option_file use)
{
	return add(set, (struct named_file){ .dashes = "", .what = what, .path = path, .use = use });
}

int file_set_add_streams(struct file_set *set)
{
	/* They are not opened by name; each may be a file, and two may be the same. */
	int ret = file_set_add(set, "standard input", "/dev/stdin", FILE_INPUT);

	if (!ret)
		ret = file_set_add(set, "standard output", "/dev/stdout", FILE_INPUT);
	return ret ? ret : file_set_add(set, "standard error", "/dev/stderr", FILE_INPUT);
}

/* Adds the file in `base` named by `option`, or by its key `string`. */
static int add_string(struct file_set *set, const struct option *option,
		      const struct option *string, const void *base)
{
	struct named_file file = { .dashes = "--", .what = option->name, .use = string->file };

	if (!string->file)
		return 0;
	memcpy(&file.path, (const char *)base + string->offset, sizeof(file.path));
	return add(set, file);
}

/* Adds the files named by the keys of one item. */
static int add_keys(struct file_set *set, const struct option *option, const void *item)
{
	int ret = 0;

	for (unsigned k = 0; option->keys && k < option->keys->count && !ret; k++)
		ret = add_string(set, option, &option->keys->table[k], item);
	return ret;
}

static int add_devices(struct file_set *set, const struct device_set *devices)
{
	int ret = 0;

	for (unsigned i = 0; i < devices->count && !ret; i++)
		ret = add_keys(set, &devices->items[i].kind->option, devices->items[i].config);
	return ret;
}

static int add_option(struct file_set *set, const struct option *option, const char *options)
{
	const char *field = options + option->offset;
	unsigned count = 1;
	size_t size = option->size;
	int ret = 0;

	if (option->kind == OPTION_DEVICES)
		return add_devices(set, (const void *)field);
	if (!option->keys)
		return add_string(set, option, option, options);
	if (option_is_repeatable(option)) {
		memcpy(&count, options + option->count_offset, sizeof(count));
		size /= option->max_items;
	}
	for (unsigned i = 0; i < count && !ret; i++)
		ret = add_keys(set, option, field + i * size);
	return ret;
}

int file_set_add_options(struct file_set *set, const struct common_options *options,
			 const struct option_list *list)
{
	int ret = 0;

	for (unsigned i = 0; i < list->count && !ret; i++)
		ret = add_option(set, &list->table[i], (const char *)options);
	return ret;
}

void file_set_destroy(struct file_set *set)
{
	free(set->files);
	*set = (struct file_set){ 0 };
}
