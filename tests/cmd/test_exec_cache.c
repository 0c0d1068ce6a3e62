/* SPDX-License-Identifier: Apache-2.0 */
/* The machines that `kinglet exec` keeps: their keys, their place, and which of them go. */
#include "../../vmm/machine/snapshot_folder.h"
#include "cmd/exec_cache.h"
#include "core/state.h"
#include "folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY = 64 << 10 };

/* $D is an empty folder, and the place of the cache. */
static int setup(void **state)
{
	int ret = folder_make(state, "test_exec_cache", ":");

	assert_int_equal(setenv("XDG_CACHE_HOME", *state, 1), 0);
	return ret;
}

static int teardown(void **state)
{
	return folder_remove(state);
}

static struct exec_cache_key key_of(unsigned cpus)
{
	return (struct exec_cache_key){
		.kernel = "/proc/self/exe", .cmdline = "quiet", .memory = MEMORY, .cpus = cpus
	};
}

/* What the machine does when its init waits. */
static void save(const struct exec_cache *cache, const struct exec_cache_key *key)
{
	struct snapshot_info info = { .cpus = key->cpus, .memory = key->memory };
	struct snapshot_folder folder;
	static char page[MEMORY];
	struct state *state;

	memset(page, 1, sizeof(page));
	assert_int_equal(state_new(&state), 0);
	assert_int_equal(snapshot_describe(state, &info, (const char *const *)&cache->key, 1), 0);
	assert_int_equal(snapshot_folder_begin(&folder, cache->dir), 0);
	assert_int_equal(state_write(state, folder.state_fd), 0);
	assert_int_equal(write(folder.memory_fd, page, MEMORY), MEMORY);
	folder.unsynced = true;
	assert_int_equal(snapshot_folder_commit(&folder), 0);
	state_free(state);
}

static bool opens(const struct exec_cache *cache, const struct exec_cache_key *key)
{
	struct snapshot *snapshot = exec_cache_open(cache, key);
	bool opened = snapshot;

	snapshot_free(snapshot);
	return opened;
}

/* A saved machine of so many CPUs, used at that time; its cache is for exec_cache_destroy(). */
static struct exec_cache saved(unsigned cpus, time_t used)
{
	const struct timespec times[2] = { { .tv_sec = used }, { .tv_sec = used } };
	const struct exec_cache_key key = key_of(cpus);
	struct exec_cache cache;

	assert_int_equal(exec_cache_init(&cache, &key), 0);
	save(&cache, &key);
	assert_int_equal(utimensat(AT_FDCWD, cache.dir, times, 0), 0);
	return cache;
}

static bool there(const char *path)
{
	return !access(path, F_OK);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_a_machine_is_found_again(void **state)
{
	const struct exec_cache_key key = key_of(1);
	struct exec_cache cache, again;

	(void)state;
	assert_int_equal(exec_cache_init(&cache, &key), 0);
	assert_false(opens(&cache, &key));
	save(&cache, &key);
	assert_int_equal(exec_cache_init(&again, &key), 0);
	assert_true(opens(&again, &key));
	exec_cache_remove(&again);
	assert_false(there(cache.dir));
	assert_false(opens(&again, &key));
	exec_cache_destroy(&again);
	exec_cache_destroy(&cache);
}

static void change_cpus(struct exec_cache_key *key)
{
	key->cpus = 2;
}

static void change_memory(struct exec_cache_key *key)
{
	key->memory *= 2;
}

static void change_base(struct exec_cache_key *key)
{
	key->base++;
}

static void change_cmdline(struct exec_cache_key *key)
{
	key->cmdline = "quiet x";
}

/* The same size, the same time of the last write. */
static void change_kernel(struct exec_cache_key *key)
{
	(void)key;
	assert_int_equal(system("echo 2 >$D/new && touch -r $D/kernel $D/new && "
				"mv $D/new $D/kernel"),
			 0);
}

static void test_each_part_of_the_key_counts(void **state)
{
	static void (*const changes[])(struct exec_cache_key *key) = {
		change_cpus, change_memory, change_base, change_cmdline, change_kernel,
	};
	char kernel[100];

	snprintf(kernel, sizeof(kernel), "%s/kernel", (char *)*state);
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct exec_cache_key key = key_of(1);
		struct exec_cache one, other;

		assert_int_equal(system("echo 1 >$D/kernel"), 0);
		key.kernel = kernel;
		assert_int_equal(exec_cache_init(&one, &key), 0);
		changes[i](&key);
		assert_int_equal(exec_cache_init(&other, &key), 0);
		assert_string_not_equal(one.key, other.key);
		assert_string_not_equal(one.dir, other.dir);
		exec_cache_destroy(&one);
		exec_cache_destroy(&other);
	}
}

/* Should two keys have one hash. */
static void test_another_keys_machine_is_removed(void **state)
{
	struct exec_cache cache = saved(1, 1000);
	const struct exec_cache_key key = key_of(1), other = key_of(2);

	(void)state;
	assert_false(opens(&cache, &other));
	assert_false(there(cache.dir));
	save(&cache, &key);
	cache.key[0]++;
	assert_false(opens(&cache, &key));
	assert_false(there(cache.dir));
	exec_cache_destroy(&cache);
}

static void test_what_is_damaged_is_removed(void **state)
{
	static const char *const commands[] = {
		"truncate -s 20 $D/kinglet/exec/*/state",
		"rm $D/kinglet/exec/*/state",
		"truncate -s 4096 $D/kinglet/exec/*/memory",
		"rm $D/kinglet/exec/*/memory",
		"printf x | dd of=$(echo $D/kinglet/exec/*/state) bs=1 seek=40 conv=notrunc 2>/dev/null",
		"chmod 777 $D/kinglet/exec/*",
	};
	const struct exec_cache_key key = key_of(1);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		struct exec_cache cache = saved(1, 1000);

		assert_int_equal(system(commands[i]), 0);
		assert_false(opens(&cache, &key));
		assert_false(there(cache.dir));
		save(&cache, &key);
		assert_true(opens(&cache, &key));
		exec_cache_remove(&cache);
		exec_cache_destroy(&cache);
	}
}

static void test_the_oldest_go_first(void **state)
{
	struct exec_cache caches[] = { saved(1, 3000), saved(2, 1000), saved(3, 2000) };
	const struct exec_cache_key second = key_of(2);

	(void)state;
	exec_cache_trim(&caches[0], 10 * MEMORY);
	for (unsigned i = 0; i < 3; i++)
		assert_true(there(caches[i].dir));
	assert_true(opens(&caches[1], &second)); /* used last now */
	exec_cache_trim(&caches[0], 2 * MEMORY + MEMORY / 2);
	assert_true(there(caches[0].dir));
	assert_true(there(caches[1].dir));
	assert_false(there(caches[2].dir));
	exec_cache_trim(&caches[0], 0);
	assert_false(there(caches[0].dir));
	assert_false(there(caches[1].dir));
	for (unsigned i = 0; i < 3; i++)
		exec_cache_destroy(&caches[i]);
}

static void test_what_killed_runs_left_goes(void **state)
{
	struct exec_cache cache = saved(1, 1000);
	struct snapshot_folder folder;

	(void)state;
	assert_int_equal(snapshot_folder_begin(&folder, cache.dir), 0);
	exec_cache_trim(&cache, 10 * MEMORY); /* it is being written */
	assert_true(there(folder.temp));
	snapshot_folder_abort(&folder);
	assert_int_equal(system("cd $D/kinglet/exec && mkdir .0123456789abcdef.kinglet-new other && "
				"touch .0123456789abcdef.kinglet-new/memory"),
			 0);
	exec_cache_trim(&cache, 10 * MEMORY);
	assert_int_equal(system("cd $D/kinglet/exec && [ ! -e .0123456789abcdef.kinglet-new ] && "
				"[ -e other ]"),
			 0);
	assert_true(there(cache.dir));
	exec_cache_destroy(&cache);
}

static void test_the_place_is_the_users_own(void **state)
{
	const struct exec_cache_key key = key_of(1);
	struct exec_cache cache;
	char expected[200];

	assert_int_equal(setenv("HOME", *state, 1), 0);
	assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
	assert_int_equal(exec_cache_init(&cache, &key), 0);
	snprintf(expected, sizeof(expected), "%s/.cache/kinglet/exec", (char *)*state);
	assert_string_equal(cache.folder, expected);
	exec_cache_destroy(&cache);
	assert_int_equal(system("[ $(stat -c %a $D/.cache/kinglet/exec) = 700 ] && "
				"chmod 777 $D/.cache/kinglet/exec"),
			 0);
	assert_int_equal(exec_cache_init(&cache, &key), -EPERM);
	assert_int_equal(system("chmod 700 $D/.cache/kinglet/exec; chmod 777 $D/.cache/kinglet"), 0);
	assert_int_equal(exec_cache_init(&cache, &key), -EPERM);
	assert_int_equal(setenv("HOME", "/nonesuch", 1), 0);
	assert_int_equal(exec_cache_init(&cache, &key), -ENOENT);
	unsetenv("HOME");
	unsetenv("XDG_CACHE_HOME");
	assert_int_equal(exec_cache_init(&cache, &key), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_machine_is_found_again),
		TEST(test_each_part_of_the_key_counts),
		TEST(test_another_keys_machine_is_removed),
		TEST(test_what_is_damaged_is_removed),
		TEST(test_the_oldest_go_first),
		TEST(test_what_killed_runs_left_goes),
		TEST(test_the_place_is_the_users_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
