/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/snapshot.h"

#include "arch/arch.h"
#include "base/files.h"
#include "base/log.h"
#include "core/state.h"
#include "snapshot_folder.h"

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

		if (size > OPTIONS_MAX - len)
			return -E2BIG;
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
static int check_owner(int dir_fd, const char *dir)
{
	struct stat st;

	if (fstat(dir_fd, &st))
		return -errno;
	if ((st.st_uid == geteuid() || !st.st_uid) && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	log_error("%s: other users can write to it, and a snapshot names files of this host; make "
		  "a copy of your own (cp -r) if you trust it",
		  dir);
	return -EPERM;
}

static int open_memory(struct snapshot *snapshot, int dir_fd, const char *dir)
{
	struct stat st;

	snapshot->memory_fd = openat(dir_fd, "memory", O_RDONLY | O_CLOEXEC);
	if (snapshot->memory_fd < 0 || fstat(snapshot->memory_fd, &st)) {
		log_error("%s/memory: %s", dir, strerror(errno));
		return -errno;
	}
	if ((uint64_t)st.st_size == snapshot->info.memory)
		return 0;
	log_error("%s/memory: %llu bytes; the saved machine has %llu bytes of RAM", dir,
		  (unsigned long long)st.st_size, (unsigned long long)snapshot->info.memory);
	return -EBADMSG;
}

static int open_state(struct snapshot *snapshot, int dir_fd, const char *dir)
{
	_cleanup_close_ int fd = openat(dir_fd, "state", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		log_error("%s/state: %s", dir, strerror(errno));
		return -errno;
	}
	if (asprintf(&snapshot->path, "%s/state", dir) < 0) {
		snapshot->path = NULL;
		return -ENOMEM;
	}
	return state_open(&snapshot->state, fd, snapshot->path);
}

int snapshot_open(struct snapshot **out, const char *dir)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	_cleanup_close_ int dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	int ret;

	if (!snapshot)
		return -ENOMEM;
	snapshot->memory_fd = -1;
	ret = dir_fd < 0 ? -errno : 0;
	if (ret)
		log_error("%s: %s", dir, strerror(-ret));
	if (!ret)
		ret = check_owner(dir_fd, dir);
	if (!ret)
		ret = open_state(snapshot, dir_fd, dir);
	if (!ret)
		ret = read_info(snapshot);
	if (!ret)
		ret = open_memory(snapshot, dir_fd, dir);
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
