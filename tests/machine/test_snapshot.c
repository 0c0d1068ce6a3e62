/* SPDX-License-Identifier: Apache-2.0 */
/* Which folders are opened as snapshots, and what is read of them. */
#include "../../vmm/machine/snapshot_folder.h"

#include "arch/arch.h"
#include "base/files.h"
#include "capture.h"
#include "core/state.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MEMORY = 1 << 20, MANY = SNAPSHOT_WORDS_MAX + 1 };

static const char *const words[] = { "--cpus=2", "--disk=a,b=\"c d\",ro", "--snapshot-port" };

static int setup(void **state)
{
	char *place = strdup("/tmp/kinglet-snapshot-XXXXXX");

	*state = place;
	umask(022);
	return mkdtemp(place) && !chdir(place) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	free(*state);
	return chdir("/") || system(command); /* NOLINT: no input */
}

/* What save() needs, in the form that the file has it. */
struct content {
	struct snapshot_info info;
	const char *options;
	size_t len;
};

static struct content good(void)
{
	struct content content = {
		.info = { .version = "1.2", .machine = arch_elf_machine, .cpus = 2, .memory = MEMORY },
		.options = "--cpus=2\0--x",
		.len = 13,
	};

	return content;
}

static void save(const struct content *content)
{
	struct snapshot_info info = content->info;
	struct snapshot_folder folder;
	size_t len = content->len;
	struct state *state;

	assert_int_equal(state_new(&state), 0);
	assert_int_equal(state_section(state, &snapshot_info_table, "", &info), 0);
	assert_int_equal(state_bytes(state, "options", (char *)content->options, len, &len), 0);
	assert_int_equal(snapshot_folder_begin(&folder, "s"), 0);
	assert_int_equal(state_write(state, folder.state_fd), 0);
	assert_int_equal(ftruncate(folder.memory_fd, MEMORY), 0);
	assert_int_equal(snapshot_folder_commit(&folder), 0);
	state_free(state);
}

/* By one line that has `part`. */
static void refused(const char *dir, int error, const char *part)
{
	struct snapshot *snapshot;
	struct capture capture;
	char text[1024];
	int ret;

	capture_stderr_begin(&capture);
	ret = snapshot_open(&snapshot, dir);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_int_equal(ret, -error);
	if (!strstr(text, part) || strchr(text, '\n') != text + strlen(text) - 1)
		fail_msg("not one line with \"%s\": %s", part, text);
}

static void content_refused(const struct content *content, const char *part)
{
	save(content);
	refused("s", EBADMSG, part);
}

static void opens(const char *dir)
{
	struct snapshot *snapshot;

	assert_int_equal(snapshot_open(&snapshot, dir), 0);
	snapshot_free(snapshot);
}

static int describe(const char *const *list, unsigned count)
{
	struct snapshot_info info = { .cpus = 2, .memory = MEMORY };
	struct state *state;
	int ret;

	assert_int_equal(state_new(&state), 0);
	ret = snapshot_describe(state, &info, list, count);
	state_free(state);
	return ret;
}

static void test_words_come_back(void **state)
{
	struct snapshot_info info = { .cpus = 2, .memory = MEMORY, .saved_ns = 7 };
	struct snapshot_folder folder;
	struct snapshot *snapshot;
	struct state *saved;

	(void)state;
	assert_int_equal(state_new(&saved), 0);
	assert_int_equal(snapshot_describe(saved, &info, words, ARRAY_SIZE(words)), 0);
	assert_int_equal(snapshot_folder_begin(&folder, "s"), 0);
	assert_int_equal(state_write(saved, folder.state_fd), 0);
	assert_int_equal(ftruncate(folder.memory_fd, MEMORY), 0);
	assert_int_equal(snapshot_folder_commit(&folder), 0);
	state_free(saved);

	assert_int_equal(snapshot_open(&snapshot, "s"), 0);
	assert_string_equal((char *)snapshot->info.version, KINGLET_VERSION);
	assert_int_equal(snapshot->info.machine, arch_elf_machine);
	assert_int_equal(snapshot->info.cpus, 2);
	assert_int_equal(snapshot->info.memory, MEMORY);
	assert_int_equal(snapshot->info.saved_ns, 7);
	assert_int_equal(snapshot->word_count, ARRAY_SIZE(words));
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		assert_string_equal(snapshot->words[i], words[i]);
	assert_string_equal(snapshot->path, "s/state");
	snapshot_free(snapshot);
}

static void test_words_that_would_be_refused_are_not_saved(void **state)
{
	static char long_word[70000];
	const char *many[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		many[i] = "--x";
	assert_int_equal(describe(many, MANY - 1), 0);
	assert_int_equal(describe(many, MANY), -E2BIG);
	many[0] = "--disk=a\nb";
	assert_int_equal(describe(many, 1), -EILSEQ);
	memset(long_word, 'x', sizeof(long_word) - 1);
	many[0] = long_word;
	assert_int_equal(describe(many, 1), -E2BIG);
	assert_int_equal(describe(many, 0), 0);
}

static void test_wrong_words_are_refused(void **state)
{
	struct content content = good();
	char many[4 * MANY];

	(void)state;
	content.len = 12;
	content_refused(&content, "section bytes (options): the last word has no end");
	content = good();
	content.options = "--\33[2J\0--x";
	content.len = 11;
	content_refused(&content, "section bytes (options): a word has a control character");
	for (unsigned i = 0; i < MANY; i++)
		memcpy(many + 4 * i, "--x", 4);
	content.options = many;
	content.len = sizeof(many);
	content_refused(&content, "section bytes (options): more than 64 words");
	content.len -= 4;
	save(&content);
	opens("s");
	content.len = 0;
	save(&content);
	opens("s");
}

static void test_a_machine_of_another_kind_is_refused(void **state)
{
	struct content content = good();

	(void)state;
	content.info.machine++;
	content_refused(&content, "section snapshot: a machine of another architecture (ELF ");
	content = good();
	content.info.memory++;
	content_refused(&content, "s/memory: 1048576 bytes; the saved machine has 1048577 bytes");
}

static void test_sections_that_are_not_there_are_missed(void **state)
{
	struct snapshot_info info = good().info;
	struct state *empty, *half;
	int fd;

	(void)state;
	save(&(struct content){ .options = "" });
	fd = open("s/state", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(state_new(&empty), 0);
	assert_int_equal(state_write(empty, fd), 0);
	state_free(empty);
	refused("s", EBADMSG, "s/state: section snapshot: is missing");
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(state_new(&half), 0);
	assert_int_equal(state_section(half, &snapshot_info_table, "", &info), 0);
	assert_int_equal(state_write(half, fd), 0);
	state_free(half);
	refused("s", EBADMSG, "s/state: section bytes (options): is missing");
	close(fd);
}

static void test_what_others_can_write_to_is_refused(void **state)
{
	static const char *const paths[] = { "s", "s/state", "s/memory" };
	static const mode_t modes[] = { 0720, 0702, 0777 };
	struct content content = good();
	char message[64];

	(void)state;
	save(&content);
	for (unsigned i = 0; i < 9; i++) {
		const char *path = paths[i / 3];

		assert_int_equal(chmod(path, modes[i % 3]), 0);
		snprintf(message, sizeof(message), "kinglet: %s: other users can write", path);
		refused("s", EPERM, message);
		assert_int_equal(chmod(path, 0755), 0);
		opens("s");
	}
	if (geteuid())
		return;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(chown(paths[i], 65534, (gid_t)-1), 0);
		snprintf(message, sizeof(message), "kinglet: %s: other users can write", paths[i]);
		refused("s", EPERM, message);
		assert_int_equal(chown(paths[i], 0, (gid_t)-1), 0);
	}
}

static void test_what_is_no_snapshot_is_refused(void **state)
{
	struct content content = good();
	int fd;

	(void)state;
	refused("s", ENOENT, "kinglet: s: No such file");
	refused("", ENOENT, "No such file");
	refused("/dev/null", ENOTDIR, "/dev/null: Not a directory");
	assert_int_equal(mkdir("s", 0755), 0);
	refused("s", ENOENT, "s/state: No such file");
	assert_int_equal(mkdir("s/state", 0755), 0);
	refused("s", EBADMSG, "s/state: not a regular file");
	assert_int_equal(rmdir("s/state"), 0);
	assert_int_equal(mkfifo("s/state", 0600), 0);
	refused("s", EBADMSG, "s/state: not a regular file");
	assert_int_equal(unlink("s/state"), 0);
	fd = open("s/state", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write_all(fd, "not a saved state", 17), 0);
	close(fd);
	refused("s", EBADMSG, "s/state: not a saved state of Kinglet");
	save(&content);
	assert_int_equal(unlink("s/memory"), 0);
	refused("s", ENOENT, "s/memory: No such file");
	assert_int_equal(mkfifo("s/memory", 0600), 0);
	refused("s", EBADMSG, "s/memory: not a regular file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_words_come_back),
		TEST(test_words_that_would_be_refused_are_not_saved),
		TEST(test_wrong_words_are_refused),
		TEST(test_a_machine_of_another_kind_is_refused),
		TEST(test_sections_that_are_not_there_are_missed),
		TEST(test_what_others_can_write_to_is_refused),
		TEST(test_what_is_no_snapshot_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
