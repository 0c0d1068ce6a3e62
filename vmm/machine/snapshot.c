/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/snapshot.h"

#include "arch/arch.h"
#include "base/files.h"
#include "base/log.h"
#include "core/state.h"
#include "snapshot_folder.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct state_field info_fields[] = {
	STATE_BYTES(struct snapshot_info, version),   STATE_NUMBER(struct snapshot_info, machine),
	STATE_NUMBER(struct snapshot_info, cpus),     STATE_NUMBER(struct snapshot_info, memory),
	STATE_NUMBER(struct snapshot_info, saved_ns), STATE_END,
};

const struct state_table snapshot_info_table = {
	.name = "snapshot",
	.version = 1,
	.size = sizeof(struct snapshot_info),
	.fields = info_fields,
};

/* The words' text is part of a state file. */
enum { OPTIONS_MAX = 64 << 10 };

/* Words are shown in messages of one line. */
static bool has_control(const char *word)
{
	for (; *word; word++)
		if ((unsigned char)*word < ' ' || *word == 0x7f)
			return true;
	return false;
}

int snapshot_describe(struct state *state, struct snapshot_info *info, const char *const *words,
		      unsigned count)
{
	_cleanup_free_ char *options = malloc(OPTIONS_MAX);
	size_t len = 0;
	int ret;

	if (!options)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		size_t size = strlen(words[i]) + 1;

		if (i == SNAPSHOT_WORDS_MAX || size > OPTIONS_MAX - len)
			return -E2BIG;
		if (has_control(words[i]))
			return -EILSEQ;
		memcpy(options + len, words[i], size);
		len += size;
	}
	info->machine = arch_elf_machine;
	snprintf((char *)info->version, sizeof(info->version), "%s", KINGLET_VERSION);
	ret = state_section(state, &snapshot_info_table, "", info);
	return ret ? ret : state_bytes(state, "options", options, len, &len);
}

static int read_words(struct snapshot *snapshot)
{
	size_t len = 0;
	int ret;

	snapshot->options = malloc(OPTIONS_MAX);
	if (!snapshot->options)
		return -ENOMEM;
	ret = state_bytes(snapshot->state, "options", snapshot->options, OPTIONS_MAX, &len);
	if (ret)
		return ret;
	if (len && snapshot->options[len - 1])
		return state_refuse(snapshot->state, "the last word has no end");
	for (size_t at = 0; at < len; at += strlen(snapshot->options + at) + 1) {
		if (snapshot->word_count == SNAPSHOT_WORDS_MAX)
			return state_refuse(snapshot->state, "more than %d words",
					    SNAPSHOT_WORDS_MAX);
		if (has_control(snapshot->options + at))
			return state_refuse(snapshot->state, "a word has a control character");
		snapshot->words[snapshot->word_count++] = snapshot->options + at;
	}
	return 0;
}

static int read_info(struct snapshot *snapshot)
{
	struct snapshot_info *info = &snapshot->info;
	int ret = state_section(snapshot->state, &snapshot_info_table, "", info);

	if (ret)
		return ret;
	if (info->machine != arch_elf_machine)
		return state_refuse(snapshot->state, "a machine of another architecture (ELF %u)",
				    info->machine);
	return read_words(snapshot);
}

/* What others can write to may name any file of this user. */
static int check_owner(const struct stat *st, const char *path)
{
	if ((st->st_uid == geteuid() || !st->st_uid) && !(st->st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	log_error("%s: other users can write to it, and a snapshot names files of this host; make "
		  "a copy of your own (cp -r) if you trust it",
		  path);
	return -EPERM;
}

/* The folder itself, or a file in it: its fd. */
static int open_part(int at, const char *name, mode_t type, const char *path)
{
	/* A FIFO does not block. */
	_cleanup_close_ int fd = openat(at, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st = { 0 };
	int ret = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (!ret && (st.st_mode & S_IFMT) != type)
		ret = type == S_IFDIR ? -ENOTDIR : -EBADMSG;
	if (ret) {
		log_error("%s: %s", path,
			  ret == -EBADMSG ? "not a regular file" : strerror(-ret));
		return ret;
	}
	ret = check_owner(&st, path);
	return ret ? ret : steal_fd(&fd);
}

static int open_memory(struct snapshot *snapshot, int dir_fd, const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/memory", dir);
	snapshot->memory_fd = open_part(dir_fd, "memory", S_IFREG, path);
	if (snapshot->memory_fd < 0)
		return snapshot->memory_fd;
	if (!fstat(snapshot->memory_fd, &st) && (uint64_t)st.st_size == snapshot->info.memory)
		return 0;
	log_error("%s: %llu bytes; the saved machine has %llu bytes of RAM", path,
		  (unsigned long long)st.st_size, (unsigned long long)snapshot->info.memory);
	return -EBADMSG;
}

static int open_state(struct snapshot *snapshot, int dir_fd)
{
	_cleanup_close_ int fd = open_part(dir_fd, "state", S_IFREG, snapshot->path);

	return fd < 0 ? fd : state_open(&snapshot->state, fd, snapshot->path);
}

static int open_all(struct snapshot *snapshot, const char *dir)
{
	_cleanup_close_ int dir_fd = open_part(AT_FDCWD, dir, S_IFDIR, dir);
	int ret = dir_fd < 0 ? dir_fd : open_state(snapshot, dir_fd);

	if (!ret)
		ret = read_info(snapshot);
	return ret ? ret : open_memory(snapshot, dir_fd, dir);
}

int snapshot_open(struct snapshot **out, const char *dir)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int ret;

	if (!snapshot || asprintf(&snapshot->path, "%s/state", dir) < 0) {
		log_error("%s: %s", dir, strerror(ENOMEM));
		free(snapshot);
		return -ENOMEM;
	}
	snapshot->memory_fd = -1;
	ret = open_all(snapshot, dir);
	if (!ret)
		*out = snapshot;
	else
		snapshot_free(snapshot);
	return ret;
}

int snapshot_take(struct snapshot **out, int fd, const char *name)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int ret = -ENOMEM;

	if (snapshot) {
		snapshot->memory_fd = -1;
		snapshot->path = strdup(name);
	}
	if (!snapshot || !snapshot->path)
		log_error("%s: %s", name, strerror(ENOMEM));
	else
		ret = state_open(&snapshot->state, fd, snapshot->path);
	if (!ret)
		ret = read_info(snapshot);
	if (!ret)
		*out = snapshot;
	else
		snapshot_free(snapshot);
	return ret;
}

struct snapshot *snapshot_share(struct snapshot *snapshot)
{
	if (snapshot)
		snapshot->users++;
	return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot || snapshot->users--)
		return;
	close_fd(&snapshot->memory_fd);
	state_free(snapshot->state);
	free(snapshot->options);
	free(snapshot->path);
	free(snapshot);
}
