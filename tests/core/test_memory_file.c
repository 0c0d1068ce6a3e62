/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM from a memory file, and to one. */
#include "core/memory.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define GIB (1ULL << 30)
#define BLOCK (2ULL << 20)

/* Two slots with a hole between them; four blocks, and a part of one. */
static const struct gmem_range ranges[] = {
	{ .gpa = 0, .len = 3 * BLOCK },
	{ .gpa = 4 * GIB, .len = BLOCK + 0x10000 },
};

enum { RAM_SIZE = 4 * BLOCK + 0x10000 };

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int empty_file(void)
{
	char path[] = "/tmp/kinglet-memory-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* Pages 0, 1, those at each block's start, and the last are data; all others are holes. */
static int memory_file(void)
{
	int fd = empty_file();

	assert_int_equal(ftruncate(fd, RAM_SIZE), 0);
	for (uint64_t at = 0; at < RAM_SIZE; at += BLOCK)
		assert_int_equal(pwrite(fd, "block", 5, (off_t)at), 5);
	assert_int_equal(pwrite(fd, "second", 6, (off_t)page_size()), 6);
	assert_int_equal(pwrite(fd, "e", 1, RAM_SIZE - 1), 1);
	return fd;
}

static const struct gmem_options plain;
static const struct gmem_options shared = { .shared = true };

static struct gmem new_ram(const struct gmem_options *options)
{
	struct gmem mem;

	assert_int_equal(gmem_init(&mem, ranges, ARRAY_SIZE(ranges), options), 0);
	return mem;
}

static struct gmem ram_from(int file, bool is_shared)
{
	return new_ram(
		&(struct gmem_options){ .from_file = true, .file = file, .shared = is_shared });
}

static void assert_file_is(int fd, const uint8_t *data)
{
	uint8_t *map = mmap(NULL, RAM_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, RAM_SIZE);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(memcmp(map, data, RAM_SIZE), 0);
	munmap(map, RAM_SIZE);
}

static bool is_all_zero(const uint8_t *data, size_t len)
{
	return !data[0] && memcmp(data, data + 1, len - 1) == 0;
}

/* Saves, and compares the file with RAM. The file. */
static int saved(const struct gmem *mem, int base, uint64_t pages)
{
	struct gmem_save save = { .fd = empty_file(), .base = base };

	assert_int_equal(gmem_save(mem, &save), 0);
	assert_int_equal(save.pages, pages);
	assert_file_is(save.fd, mem->base);
	return save.fd;
}

static uint64_t data_pages(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512 / page_size();
}

/* How many mappings of this process are inside RAM. */
static unsigned mappings(const struct gmem *mem)
{
	uintptr_t start, base = (uintptr_t)mem->base;
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512], *rest;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		start = strtoul(line, &rest, 16);
		if (start < base + mem->size && strtoul(rest + 1, NULL, 16) > base)
			count++;
	}
	fclose(maps);
	return count;
}

static bool is_present(const struct gmem *mem, uint64_t offset)
{
	uint64_t entry;
	FILE *pagemap = fopen("/proc/self/pagemap", "r");
	uint64_t at = ((uintptr_t)mem->base + offset) / page_size() * sizeof(entry);

	assert_non_null(pagemap);
	assert_int_equal(fseek(pagemap, (long)at, SEEK_SET), 0);
	assert_int_equal(fread(&entry, sizeof(entry), 1, pagemap), 1);
	fclose(pagemap);
	return entry >> 63;
}

/* --- From a file ------------------------------------------------------------------------------ */

static void test_ram_begins_as_the_file_and_never_changes_it(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		int file = memory_file(), before = memory_file();
		struct gmem mem = new_ram(&(struct gmem_options){ .from_file = true,
								  .file = file,
								  .shared = kind & 1,
								  .prefault = kind & 2 });
		uint8_t *was = mmap(NULL, RAM_SIZE, PROT_READ, MAP_SHARED, before, 0);
		char last;

		assert_file_is(file, mem.base);
		assert_int_equal(gmem_read(&mem, 4 * GIB + BLOCK + 0xffff, &last, 1), 0);
		assert_int_equal(last, 'e');
		memset(mem.base, 0xff, RAM_SIZE);
		assert_file_is(file, was);
		gmem_destroy(&mem);
		munmap(was, RAM_SIZE);
		close(before);
		close(file);
	}
}

static void test_pages_come_at_their_first_touch(void **state)
{
	int file = memory_file();
	struct gmem mem = ram_from(file, false);

	(void)state;
	assert_int_equal((uintptr_t)mem.base % BLOCK, 0);
	assert_false(is_present(&mem, BLOCK));
	assert_int_equal(mem.base[BLOCK], 'b');
	assert_true(is_present(&mem, BLOCK));
	assert_false(is_present(&mem, 2 * BLOCK));
	/* The caller's descriptor was only borrowed. */
	close(file);
	assert_int_equal(mem.base[2 * BLOCK], 'b');
	gmem_destroy(&mem);
}

/* Not later, by a SIGBUS. */
static void test_a_file_of_another_size_is_refused(void **state)
{
	const off_t sizes[] = { 0, RAM_SIZE - 1, RAM_SIZE + 1, RAM_SIZE - 4096, 2 * RAM_SIZE };
	struct gmem_options options = { .from_file = true, .file = empty_file() };
	struct gmem mem;

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		options.shared = i & 1;
		assert_int_equal(ftruncate(options.file, sizes[i / 2]), 0);
		assert_int_equal(gmem_init(&mem, ranges, ARRAY_SIZE(ranges), &options), -EINVAL);
	}
	close(options.file);
	assert_int_equal(gmem_init(&mem, ranges, ARRAY_SIZE(ranges), &options), -EINVAL);
}

static void test_clear_reads_as_zero_not_as_the_file(void **state)
{
	(void)state;
	for (int is_shared = 0; is_shared < 2; is_shared++) {
		int file = memory_file();
		struct gmem mem = ram_from(file, is_shared);

		mem.base[0] = 'k';
		assert_int_equal(gmem_discard(&mem, mem.base + BLOCK, BLOCK), BLOCK);
		assert_int_equal(gmem_clear(&mem), 0);
		assert_true(is_all_zero(mem.base, RAM_SIZE));
		assert_int_equal(mappings(&mem), 1);
		assert_int_equal(gmem_discard(&mem, mem.base, page_size()), page_size());
		assert_int_equal(gmem_clear(&mem), 0);
		gmem_destroy(&mem);
		close(file);
	}
}

static bool stops_at_once(void *owner)
{
	(void)owner;
	return true;
}

static void test_a_stopped_clear_or_copy_says_so(void **state)
{
	struct gmem_options options = { .from_file = true, .file = memory_file(), .shared = true };
	struct gmem mem = ram_from(options.file, false);

	(void)state;
	mem.stop.wanted = stops_at_once;
	assert_int_equal(gmem_clear(&mem), -ECANCELED);
	assert_int_equal(mem.base[0], 'b');
	assert_int_equal(gmem_discard(&mem, mem.base + 1, BLOCK), 0);
	assert_int_equal(mem.base[page_size()], 's');
	gmem_destroy(&mem);
	options.stop.wanted = stops_at_once;
	assert_int_equal(gmem_init(&mem, ranges, ARRAY_SIZE(ranges), &options), -ECANCELED);
	close(options.file);
}

/* A mapping for each page would soon be more than the kernel allows. */
static void test_discard_replaces_whole_blocks_of_the_file(void **state)
{
	const uint64_t page = page_size();
	int file = memory_file();
	struct gmem mem = ram_from(file, false);

	(void)state;
	memset(mem.base, 'k', RAM_SIZE);
	for (uint64_t at = 0; at < BLOCK; at += 2 * page)
		assert_int_equal(gmem_discard(&mem, mem.base + at, page), 0);
	assert_int_equal(gmem_discard(&mem, mem.base, BLOCK - page), 0);
	assert_int_equal(mem.base[0], 'k');
	assert_int_equal(mappings(&mem), 1);
	/* The end of one block, all of the next, the beginning of the third. */
	assert_int_equal(gmem_discard(&mem, mem.base + page, 2 * BLOCK), BLOCK);
	assert_int_equal(mem.base[BLOCK - 1], 'k');
	assert_true(is_all_zero(mem.base + BLOCK, BLOCK));
	assert_int_equal(mem.base[2 * BLOCK], 'k');
	/* Then each page of it. */
	memset(mem.base + BLOCK, 'l', BLOCK);
	assert_int_equal(gmem_discard(&mem, mem.base + BLOCK + page, page), page);
	assert_int_equal(mem.base[BLOCK], 'l');
	assert_true(is_all_zero(mem.base + BLOCK + page, page));
	assert_int_equal(mem.base[BLOCK + 2 * page], 'l');
	assert_in_range(mappings(&mem), 2, 3);
	/* The last one is short. */
	assert_int_equal(gmem_discard(&mem, mem.base + 4 * BLOCK, 0x10000), 0x10000);
	assert_true(is_all_zero(mem.base + 4 * BLOCK, 0x10000));
	assert_int_equal(gmem_discard(&mem, mem.base, RAM_SIZE), RAM_SIZE);
	assert_int_equal(gmem_discard(&mem, mem.base, RAM_SIZE + 1), -EFAULT);
	assert_true(is_all_zero(mem.base, RAM_SIZE));
	gmem_destroy(&mem);
	close(file);
}

/* --- To a file -------------------------------------------------------------------------------- */

static void test_only_data_takes_space_and_the_rest_is_not_read(void **state)
{
	const struct gmem_options *options[] = { &plain, &shared };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		struct gmem mem = new_ram(options[i]);
		int fd;

		madvise(mem.base, RAM_SIZE, MADV_NOHUGEPAGE);
		mem.base[0] = 'k';
		mem.base[BLOCK + page_size()] = 0; /* touched, yet zero */
		mem.base[RAM_SIZE - 1] = 'k';
		fd = empty_file();
		assert_int_equal(gmem_save(&mem, &(struct gmem_save){ .fd = fd, .base = -1 }), 0);
		assert_in_range(data_pages(fd), 2, 8);
		assert_false(is_present(&mem, page_size()));
		assert_false(is_present(&mem, 3 * BLOCK));
		assert_file_is(fd, mem.base);
		close(fd);
		close(saved(&mem, -1, 2));
		gmem_destroy(&mem);
	}
}

/* Everything that a page can be: copied, read, untouched, given back, touched again. */
static void change(struct gmem *mem)
{
	const uint64_t page = page_size();

	memcpy(mem->base, "changed", 7);        /* 1: was data */
	memset(mem->base + page, 0, page);      /* 2: was data */
	memcpy(mem->base + 3 * page, "new", 3); /* 3: was a hole */
	memcpy(mem->base + BLOCK, "block", 5);  /* the same again */
	memset(mem->base + 5 * page, 0, page);  /* the same again */
	assert_int_equal(gmem_discard(mem, mem->base + 2 * BLOCK, BLOCK), BLOCK); /* 4 */
	/* A huge page would be touched as a whole. */
	madvise(mem->base + 2 * BLOCK, BLOCK, MADV_NOHUGEPAGE);
	assert_int_equal(mem->base[2 * BLOCK + page], 0);
	memcpy(mem->base + 2 * BLOCK + 2 * page, "after", 5); /* 5 */
	assert_int_equal(mem->base[3 * BLOCK], 'b');
	assert_int_equal(mem->base[3 * BLOCK + page], 0);
}

static void test_ram_of_a_file_is_saved_whole(void **state)
{
	const unsigned pages = RAM_SIZE % BLOCK > page_size() ? 7 : 6;

	(void)state;
	for (int is_shared = 0; is_shared < 2; is_shared++) {
		int file = memory_file(), fd;
		struct gmem mem = ram_from(file, is_shared);

		close(saved(&mem, -1, pages));
		change(&mem);
		fd = saved(&mem, -1, pages);
		assert_in_range(data_pages(fd), 7, 16);
		close(fd);
		gmem_destroy(&mem);
		close(file);
	}
}

/* A restore maps one file, which is as if it had been saved whole. */
static void test_a_diff_has_only_what_changed(void **state)
{
	(void)state;
	for (int is_shared = 0; is_shared < 2; is_shared++) {
		int file = memory_file(), copy = memory_file(), diff;
		struct gmem mem = ram_from(file, is_shared), again;

		close(saved(&mem, file, 0));
		change(&mem);
		diff = saved(&mem, file, 5);
		/* The same contents, of which RAM is no mapping. */
		close(saved(&mem, copy, 5));
		again = ram_from(diff, is_shared);
		assert_int_equal(memcmp(again.base, mem.base, RAM_SIZE), 0);
		close(saved(&again, diff, 0));
		close(saved(&again, file, 5));
		gmem_destroy(&again);
		gmem_destroy(&mem);
		close(file);
		close(copy);
		close(diff);
	}
}

/* Not read at all if RAM is a mapping of the base. */
static void test_untouched_pages_are_not_compared(void **state)
{
	int file = memory_file(), fd = empty_file();
	struct gmem mem = ram_from(file, false);

	(void)state;
	madvise(mem.base, RAM_SIZE, MADV_RANDOM);
	mem.base[0] = 'k';
	assert_int_equal(gmem_save(&mem, &(struct gmem_save){ .fd = fd, .base = file }), 0);
	assert_false(is_present(&mem, 3 * BLOCK));
	gmem_destroy(&mem);
	close(file);
	close(fd);
}

static void test_a_base_of_another_size_is_refused(void **state)
{
	struct gmem mem = new_ram(&plain);
	struct gmem_save save = { .fd = empty_file(), .base = empty_file() };

	(void)state;
	assert_int_equal(gmem_save(&mem, &save), -EINVAL);
	assert_int_equal(ftruncate(save.base, RAM_SIZE + 1), 0);
	assert_int_equal(gmem_save(&mem, &save), -EINVAL);
	close(save.base);
	close(save.fd);
	gmem_destroy(&mem);
}

/* The caller removes the file; RAM is as it was. */
static void test_errors_of_the_file_come_back(void **state)
{
	struct gmem mem = new_ram(&plain);
	struct gmem_save save = { .fd = empty_file(), .base = -1 };
	struct rlimit before, small;

	(void)state;
	memset(mem.base, 'k', RAM_SIZE);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = BLOCK, .rlim_max = before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(gmem_save(&mem, &save), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	close(save.fd);
	save.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(gmem_save(&mem, &save), -EINVAL);
	close(save.fd);
	assert_int_equal(mem.base[RAM_SIZE - 1], 'k');
	gmem_destroy(&mem);
}

struct progress {
	uint64_t done;
	unsigned calls, asked, stop_at;
};

static void note(void *owner, uint64_t done, uint64_t size)
{
	struct progress *p = owner;

	assert_int_equal(size, RAM_SIZE);
	assert_true(done > p->done && done <= size);
	p->done = done;
	p->calls++;
}

static bool is_over(void *owner)
{
	struct progress *p = owner;

	return ++p->asked == p->stop_at;
}

static void test_a_save_tells_its_progress_and_can_be_stopped(void **state)
{
	struct progress p = { 0 };
	struct gmem mem = new_ram(&(struct gmem_options){ .stop = { is_over, &p } });
	struct gmem_save save = { .fd = empty_file(), .base = -1, .progress = note, .owner = &p };

	(void)state;
	assert_int_equal(gmem_save(&mem, &save), 0);
	assert_int_equal(p.done, RAM_SIZE);
	assert_in_range(p.calls, 2, 64);
	p = (struct progress){ .stop_at = 2 };
	assert_int_equal(gmem_save(&mem, &save), -ECANCELED);
	assert_int_equal(p.calls, 1);
	close(save.fd);
	gmem_destroy(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ram_begins_as_the_file_and_never_changes_it),
		cmocka_unit_test(test_pages_come_at_their_first_touch),
		cmocka_unit_test(test_a_file_of_another_size_is_refused),
		cmocka_unit_test(test_clear_reads_as_zero_not_as_the_file),
		cmocka_unit_test(test_a_stopped_clear_or_copy_says_so),
		cmocka_unit_test(test_discard_replaces_whole_blocks_of_the_file),
		cmocka_unit_test(test_only_data_takes_space_and_the_rest_is_not_read),
		cmocka_unit_test(test_ram_of_a_file_is_saved_whole),
		cmocka_unit_test(test_a_diff_has_only_what_changed),
		cmocka_unit_test(test_untouched_pages_are_not_compared),
		cmocka_unit_test(test_a_base_of_another_size_is_refused),
		cmocka_unit_test(test_errors_of_the_file_come_back),
		cmocka_unit_test(test_a_save_tells_its_progress_and_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
