/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/exec_image.h"

#include "base/elf.h"
#include "base/files.h"
#include "base/log.h"
#include "cmd/guest_init.h"
#include "host/child.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

const char *const exec_needed_modules[EXEC_NEEDED_MODULES] = { "virtio_pci", "virtio_console" };

static int refuse(const char *path, int err)
{
	if (err == -EFBIG)
		log_error("%.200s: the image becomes too large for a guest's memory", path);
	else
		log_error("%.200s: %s", path, strerror(-err));
	return err;
}

/* Adds a file of the host at `guest`. */
static int add_file(struct cpio *cpio, const char *host, const char *guest, mode_t mode)
{
	_cleanup_close_ int fd = open(host, O_RDONLY | O_CLOEXEC);
	struct cpio_entry entry = { .path = guest, .mode = S_IFREG | mode, .fd = fd };
	struct stat st;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return refuse(host, -errno);
	entry.len = (uint64_t)st.st_size;
	ret = cpio_add(cpio, &entry);
	return ret ? refuse(host, ret) : 0;
}

/* --- The program, if it is one of the host ---------------------------------------------------- */

/* Searches like a shell. */
static int find_program(const char *name, char path[PATH_MAX])
{
	if (strchr(name, '/') || !getenv("PATH")) {
		snprintf(path, PATH_MAX, "%s", name);
		return 0;
	}
	if (!child_find("", name, path, PATH_MAX))
		return 0;
	log_error("%.80s: not found in PATH; name its file, or give a --root folder that has it",
		  name);
	return -ENOENT;
}

static bool has_interpreter(const struct elf_file *elf)
{
	Elf64_Phdr segment;

	for (unsigned i = 0; elf->is_64bit && !elf_segment(elf, i, &segment); i++)
		if (segment.p_type == PT_INTERP)
			return true;
	return false;
}

static int refuse_program(const char *path, const char *why)
{
	log_error("%.200s: %s", path, why);
	return -ENOEXEC;
}

/* Refuses a program that cannot run in a guest with only this file, with the reason. */
static int check_program(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char begin[2];
	struct elf_file elf;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return refuse(path, -errno);
	if (!S_ISREG(st.st_mode))
		return refuse_program(path, "is no regular file; give a folder with --root");
	if (!pread_exactly(fd, begin, sizeof(begin), 0) && memcmp(begin, "#!", 2) == 0)
		return refuse_program(path, "is a script; give a --root folder that has its "
					    "interpreter, or run a static interpreter with the "
					    "script in a --dir");
	if (elf_open(&elf, fd, (uint64_t)st.st_size))
		return refuse_program(path, "is no program of Linux (ELF)");
	if (has_interpreter(&elf))
		return refuse_program(path, "is linked dynamically; link it with -static, or give "
					    "a --root folder that has its libraries");
	return 0;
}

/* Adds it as /bin/NAME, which is put into *guest for the caller to free. */
static int add_program(struct cpio *cpio, const char *name, char **guest)
{
	char path[PATH_MAX];
	int ret = find_program(name, path);

	if (!ret)
		ret = check_program(path);
	if (ret)
		return ret;
	if (asprintf(guest, "/bin/%s", basename(path)) < 0) {
		*guest = NULL;
		return refuse(path, -ENOMEM);
	}
	return add_file(cpio, path, *guest, 0755);
}

/* --- Kinglet's own files ---------------------------------------------------------------------- */

static int add_entry(struct cpio *cpio, const char *path, mode_t mode, const void *data, uint64_t len)
{
	struct cpio_entry entry = { .path = path, .mode = mode, .data = data, .len = len, .fd = -1 };
	int ret;

	if (S_ISCHR(mode)) {
		entry.major = 5;
		entry.minor = 1;
	}
	ret = cpio_add(cpio, &entry);
	return ret ? refuse(path, ret) : 0;
}

/* The kernel opens it for its first process, before /dev is mounted. */
static int add_console(struct cpio *cpio)
{
	return add_entry(cpio, "/dev/console", S_IFCHR | 0600, NULL, 0);
}

static int add_modules(struct cpio *cpio, const struct exec_base *base, FILE *todo)
{
	for (unsigned i = 0; base->modules_folder && i < base->modules->count; i++) {
		char host[PATH_MAX], guest[PATH_MAX];
		const char *file = base->modules->files[i];
		int ret;

		if (snprintf(host, PATH_MAX, "%s/%s", base->modules_folder, file) >= PATH_MAX ||
		    snprintf(guest, PATH_MAX, GUEST_INIT_FOLDER "/%s", basename(file)) >= PATH_MAX)
			return refuse(file, -ENAMETOOLONG);
		ret = add_file(cpio, host, guest, 0600);
		if (ret)
			return ret;
		fprintf(todo, "M%s%c", guest, 0);
	}
	return 0;
}

static void put_strings(FILE *todo, char kind, const char *const *strings)
{
	for (; *strings; strings++)
		fprintf(todo, "%c%s%c", kind, *strings, 0);
}

static int add_base(struct cpio *cpio, const void *owner, FILE *todo)
{
	const struct exec_base *base = owner;
	int ret = add_console(cpio);

	if (!ret)
		ret = add_modules(cpio, base, todo);
	if (base->inits) {
		fprintf(todo, "%c%s%c", base->readonly ? 'O' : 'W', GUEST_INIT_TAG, 0);
		put_strings(todo, 'I', base->inits);
	}
	if (!ret)
		ret = add_entry(cpio, GUEST_INIT_PATH, S_IFREG | 0755, guest_init,
				guest_init_len);
	return ret;
}

static int add_image(struct cpio *cpio, const void *owner, FILE *todo)
{
	const struct exec_image *image = owner;
	_cleanup_free_ char *program = NULL;
	int ret = 0;

	if (image->live)
		fprintf(todo, "L%s%c", GUEST_INIT_TAG, 0);
	else if (image->root)
		ret = cpio_add_folder(cpio, image->root, "/");
	for (unsigned i = 0; i < image->dir_count && !ret; i++) {
		const struct exec_dir *dir = &image->dirs[i];

		ret = cpio_add_folder(cpio, dir->host, dir->guest);
		if (dir->readonly)
			fprintf(todo, "R%s%c", dir->guest, 0);
	}
	if (!ret && !image->root)
		ret = add_program(cpio, image->args[0], &program);
	fprintf(todo, "C%s%c", image->folder, 0);
	put_strings(todo, 'E', (const char *const *)image->env);
	if (program)
		fprintf(todo, "A%s%c", program, 0);
	put_strings(todo, 'A', (const char *const *)image->args + !!program);
	return ret;
}

/* --- Archives --------------------------------------------------------------------------------- */

/* By a function that adds files and prints instructions, which become the last file. */
static int build(struct cpio *cpio, int (*add)(struct cpio *cpio, const void *owner, FILE *todo),
		 const void *owner, const char *instructions)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *todo = open_memstream(&text, &len);
	int ret;

	if (!todo)
		return refuse("the guest's files", -ENOMEM);
	ret = add(cpio, owner, todo);
	if (fclose(todo) == EOF && !ret)
		ret = refuse("the guest's files", -ENOMEM);
	if (!ret)
		ret = add_entry(cpio, instructions, S_IFREG | 0600, text, len);
	if (!ret) {
		ret = cpio_finish(cpio);
		if (ret)
			refuse("the guest's files", ret);
	}
	return ret;
}

int exec_base_build(struct cpio *cpio, const struct exec_base *base)
{
	return build(cpio, add_base, base, GUEST_INIT_MODULES);
}

int exec_image_build(struct cpio *cpio, const struct exec_image *image)
{
	return build(cpio, add_image, image, GUEST_INIT_TODO);
}

/* Of 64 bits at a time, since a base has some 300 KiB; what is beyond its end is mapped as zeros. */
static uint64_t words_hash(const uint64_t *words, size_t count)
{
	uint64_t hash = count;

	while (count--) {
		hash = (hash ^ *words++) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash;
}

int exec_base_hash(const struct cpio *base, uint64_t *hash)
{
	void *bytes = mmap(NULL, base->len, PROT_READ, MAP_PRIVATE, base->fd, 0);

	if (bytes == MAP_FAILED)
		return -errno;
	*hash = words_hash(bytes, (base->len + 7) / 8);
	munmap(bytes, base->len);
	return 0;
}

uint64_t exec_image_memory(const struct cpio *base, const struct cpio *image)
{
	uint64_t pages = base->pages + image->pages, inos = base->inos + image->inos;

	return base->len + 2 * 4096 * (pages > inos ? pages : inos);
}
