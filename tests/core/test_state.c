/* SPDX-License-Identifier: Apache-2.0 */
/* State files: what is saved comes back, and any other file is refused with one line. */
#include "core/state.h"

#include "base/checked.h"
#include "base/le.h"
#include "base/text.h"
#include "capture.h"
#include "saved.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct part {
	uint8_t mode;
	uint16_t vector;
	uint32_t features;
	uint64_t address;
	bool on;
	uint8_t mac[6];
	uint16_t steps[3];
	uint32_t added; /* by version 2 */
	uint32_t not_saved;
};

static const char *check_part(const void *object)
{
	const struct part *part = object;

	return part->address && !part->on ? "an address while it is off" : NULL;
}

static const struct state_field part_fields[] = {
	STATE_LIMITED(struct part, mode, 3),
	STATE_NUMBER(struct part, vector),
	STATE_NUMBER(struct part, features),
	STATE_NUMBER(struct part, address),
	STATE_FLAG(struct part, on),
	STATE_BYTES(struct part, mac),
	STATE_FIELD(struct part, steps, STATE_FIELD_NUMBER, 2, 0x7fff),
	{ .name = "added",
	  .offset = offsetof(struct part, added),
	  .count = 1,
	  .size = 4,
	  .kind = STATE_FIELD_NUMBER,
	  .since = 2,
	  .max = 9 },
	STATE_END,
};

static const struct state_table part_table = {
	.name = "part",
	.version = 2,
	.size = sizeof(struct part),
	.fields = part_fields,
	.check = check_part,
};

enum { PART_LEN_1 = 1 + 2 + 4 + 8 + 1 + 6 + 6, PART_LEN_2 = PART_LEN_1 + 4 };

struct route {
	uint32_t gsi;
	uint32_t not_saved;
	uint64_t to;
};

static const struct state_field route_fields[] = {
	STATE_LIMITED(struct route, gsi, 23),
	STATE_NUMBER(struct route, to),
	STATE_END,
};

static const struct state_table route_table = {
	.name = "route",
	.version = 1,
	.size = sizeof(struct route),
	.fields = route_fields,
};

/* Its fields came with version 2. */
static const struct state_field late_fields[] = {
	{ .name = "gsi", .count = 1, .size = 4, .since = 2, .max = UINT64_MAX },
	STATE_END,
};

static const struct state_table late_table = {
	.name = "late",
	.version = 2,
	.size = sizeof(uint32_t),
	.fields = late_fields,
};

enum { ROUTES = 4, TEXT = 8 };

struct world {
	struct part part, pair[2];
	struct route routes[ROUTES];
	size_t route_count;
	char text[TEXT];
	size_t text_len;
};

static int world_state(void *object, struct state *state)
{
	struct world *world = object;
	int ret = state_section(state, &part_table, "", &world->part);

	if (!ret)
		ret = state_array(state, &part_table, "pair 0", world->pair, 2);
	if (!ret)
		ret = state_list(state, &route_table, "irq", world->routes, ROUTES,
				 &world->route_count);
	if (!ret)
		ret = state_bytes(state, "text", world->text, TEXT, &world->text_len);
	return ret;
}

static const struct world sample = {
	.part = { .mode = 3,
		  .vector = 0xfffe,
		  .features = 0x12345678,
		  .address = 0x123456789abcdef0,
		  .on = true,
		  .mac = { 2, 0, 0, 0, 0, 7 },
		  .steps = { 1, 2, 0x7fff },
		  .added = 9,
		  .not_saved = 5 },
	.pair = { { .mode = 1 }, { .on = true } },
	.routes = { { .gsi = 23, .not_saved = 5, .to = UINT64_MAX }, { .gsi = 4, .to = 1 } },
	.route_count = 2,
	.text = "hello",
	.text_len = 5,
};

/* --- Files by hand ---------------------------------------------------------------------------- */

struct file {
	uint8_t bytes[1024];
	size_t len;
};

static struct file new_file(void)
{
	struct file file = { .bytes = "KINGLET\n\1", .len = 16 };

	return file;
}

static void set_count(struct file *file, uint32_t count)
{
	put_le32(file->bytes + 12, count);
}

/* Names may be of any length here, and `len` may be wrong. */
static void add_section(struct file *file, uint16_t version, const char *table, const char *name,
			const void *data, size_t len)
{
	uint8_t *at = file->bytes + file->len;
	size_t table_len = strlen(table), name_len = strlen(name);
	size_t whole = 16 + table_len + name_len + len;

	assert_true(file->len + whole <= sizeof(file->bytes));
	put_le32(at + 8, (uint32_t)len);
	put_le16(at + 12, version);
	at[14] = (uint8_t)table_len;
	at[15] = (uint8_t)name_len;
	memcpy(mempcpy(mempcpy(at + 16, table, table_len), name, name_len), data, len);
	put_le64(at, bytes_hash(at + 8, whole - 8));
	file->len += whole;
	set_count(file, get_le32(file->bytes + 12) + 1);
}

static int open_bytes(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}

static struct file file_of(const struct world *world)
{
	struct world copy = *world;
	struct saved saved = saved_take(world_state, &copy);
	struct file file = { .len = saved.len };

	assert_in_range(saved.len, 16, sizeof(file.bytes) - 1);
	memcpy(file.bytes, saved.data, saved.len);
	saved_free(&saved);
	return file;
}

/* Opening the bytes fails, or loading them does: by one line that has `part`. */
static void assert_refused(const uint8_t *bytes, size_t len, saved_fn *load, void *object,
			   const char *part)
{
	int fd = open_bytes(bytes, len), ret;
	struct capture capture;
	struct state *state;
	char text[512];

	capture_stderr_begin(&capture);
	ret = state_open(&state, fd, "saved");
	if (!ret) {
		ret = load(object, state);
		if (!ret)
			ret = state_end(state);
		state_free(state);
	}
	capture_stderr_end(&capture, text, sizeof(text));
	assert_int_equal(ret, -EBADMSG);
	if (!strstr(text, part) || strncmp(text, "kinglet: saved: ", 16) != 0 ||
	    strchr(text, '\n') != text + strlen(text) - 1)
		fail_msg("not one line with \"%s\": %s", part, text);
	close(fd);
}

static void assert_world_refused(const struct file *file, const char *part)
{
	struct world world = { 0 };

	assert_refused(file->bytes, file->len, world_state, &world, part);
}

/* --- What is saved comes back ----------------------------------------------------------------- */

static void test_saved_is_loaded_and_saved_the_same(void **state)
{
	struct world from = sample, to = { .part.not_saved = 1, .routes[0].not_saved = 2 };

	(void)state;
	saved_move(world_state, &from, &to);
	assert_int_equal(to.part.not_saved, 1);
	assert_int_equal(to.routes[0].not_saved, 2);
	to.part.not_saved = from.part.not_saved;
	to.routes[0].not_saved = from.routes[0].not_saved;
	assert_memory_equal(&from, &to, sizeof(from));
	saved_move(world_state, &(struct world){ 0 }, &to);
	assert_int_equal(to.route_count, 0);
	assert_int_equal(to.text_len, 0);
}

/* docs/state.md describes it. */
static void test_the_format_is_this(void **state)
{
	static const uint8_t expected[] = "KINGLET\n\1\0\0\0\1\0\0\0"
					  "________\14\0\0\0\1\0\5\3routeirq"
					  "\7\0\0\0\10\7\6\5\4\3\2\1";
	struct file file = new_file(), empty = file;
	uint8_t hashed[sizeof(expected) - 1];

	(void)state;
	memcpy(hashed, expected, sizeof(hashed));
	put_le64(hashed + 16, bytes_hash(hashed + 24, sizeof(hashed) - 24));
	add_section(&file, 1, "route", "irq", expected + 40, 12);
	assert_int_equal(file.len, sizeof(hashed));
	assert_memory_equal(file.bytes, hashed, sizeof(hashed));
	file = file_of(&sample);
	set_count(&file, 0);
	assert_memory_equal(file.bytes, empty.bytes, 16);
	/* After the sections of the part and of the pair. */
	file = file_of(&(struct world){ .routes = { { .gsi = 7, .to = 0x0102030405060708 } },
					.route_count = 1 });
	assert_memory_equal(file.bytes + 16 + 16 + 4 + PART_LEN_2 + 16 + 10 + 2 * PART_LEN_2,
			    hashed + 16, sizeof(hashed) - 16);
}

static int no_state(void *object, struct state *state)
{
	(void)object;
	(void)state;
	return 0;
}

static void test_a_state_may_be_empty(void **state)
{
	struct saved saved = saved_take(no_state, NULL);

	(void)state;
	assert_int_equal(saved_load(&saved, no_state, NULL), 0);
	saved_free(&saved);
}

static void test_sections_can_be_walked_without_objects(void **state)
{
	const struct {
		const char *table, *name;
		unsigned version;
		size_t len;
	} expected[] = {
		{ "part", "", 2, PART_LEN_2 },
		{ "part", "pair 0", 2, 2 * PART_LEN_2 },
		{ "route", "irq", 1, 24 },
		{ "bytes", "text", 1, 5 },
	};
	struct file file = file_of(&sample);
	int fd = open_bytes(file.bytes, file.len);
	struct state_view view;
	struct state *walked;

	(void)state;
	assert_int_equal(state_open(&walked, fd, "saved"), 0);
	assert_true(state_loads(walked));
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_true(state_next(walked, &view));
		assert_string_equal(view.table, expected[i].table);
		assert_string_equal(view.name, expected[i].name);
		assert_int_equal(view.version, expected[i].version);
		assert_int_equal(view.len, expected[i].len);
	}
	assert_memory_equal(view.data, "hello", 5);
	assert_false(state_next(walked, &view));
	assert_int_equal(state_end(walked), 0);
	state_free(walked);
	state_free(NULL);
	close(fd);
	assert_int_equal(state_object_len(&part_table, 1), PART_LEN_1);
	assert_int_equal(state_object_len(&part_table, 2), PART_LEN_2);
}

/* --- Damage ----------------------------------------------------------------------------------- */

static void test_a_file_cut_anywhere_is_refused(void **state)
{
	struct file file = file_of(&sample);

	(void)state;
	for (size_t len = 0; len < file.len; len++) {
		struct world world = { 0 };

		assert_refused(file.bytes, len, world_state, &world,
			       len < 16 ? "too short for a saved state" : "damaged");
	}
}

static void test_any_flipped_bit_is_noticed(void **state)
{
	struct file file = file_of(&sample);

	(void)state;
	for (size_t bit = 0; bit < file.len * 8; bit++) {
		file.bytes[bit / 8] ^= 1U << bit % 8;
		assert_world_refused(&file, bit < 64   ? "not a saved state of Kinglet"
					    : bit < 96 ? "a format of another Kinglet"
						       : "damaged");
		file.bytes[bit / 8] ^= 1U << bit % 8;
	}
}

static void test_frames_that_lie_are_refused(void **state)
{
	char name[STATE_NAME_MAX + 2];
	struct file file = file_of(&sample);

	(void)state;
	set_count(&file, UINT32_MAX);
	assert_world_refused(&file, "a section's length, names or checksum are wrong");
	set_count(&file, 3);
	assert_world_refused(&file, "something after the last section");
	set_count(&file, 4);
	file.len++;
	assert_world_refused(&file, "something after the last section");

	/* With a right checksum. */
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	file = new_file();
	add_section(&file, 1, name, "", "", 0);
	assert_world_refused(&file, "damaged");
	file = new_file();
	add_section(&file, 1, "", name, "", 0);
	assert_world_refused(&file, "damaged");
	file = new_file();
	add_section(&file, 2, "part_", "", &sample, PART_LEN_2);
	file.bytes[16 + 16 + 4] = '\0';
	put_le64(file.bytes + 16, bytes_hash(file.bytes + 24, file.len - 24));
	assert_world_refused(&file, "damaged");
	file = new_file();
	add_section(&file, 1, "part", "", "", 0);
	put_le32(file.bytes + 24, UINT32_MAX);
	put_le64(file.bytes + 16, bytes_hash(file.bytes + 24, file.len - 24));
	assert_world_refused(&file, "damaged");

	for (unsigned i = 0; i < 5; i++) {
		file = new_file();
		add_section(&file, 1, "part", (const char *[]){ "\33[2J", "\x7f", "\xc3\xa4", "a\"b",
								"a\\b" }[i], "", 0);
		assert_world_refused(&file, "damaged");
	}

	name[STATE_NAME_MAX] = '\0';
	file = new_file();
	add_section(&file, 1, name, name, "", 0);
	assert_world_refused(&file, "this machine has part in its place");
}

static void test_files_that_cannot_be_read_are_errors(void **state)
{
	int fd = open_bytes((const uint8_t *)"", 0);
	struct capture capture;
	struct state *opened;

	(void)state;
	assert_int_equal(ftruncate(fd, STATE_MAX_SIZE + 1), 0);
	capture_stderr_begin(&capture);
	assert_int_equal(state_open(&opened, fd, "saved"), -EFBIG);
	capture_expect_all(&capture, "kinglet: saved: File too large\n");
	assert_int_equal(ftruncate(fd, STATE_MAX_SIZE), 0);
	capture_stderr_begin(&capture);
	assert_int_equal(state_open(&opened, fd, "saved"), -EBADMSG);
	capture_expect_all(&capture, "kinglet: saved: not a saved state of Kinglet\n");
	close(fd);
	capture_stderr_begin(&capture);
	assert_int_equal(state_open(&opened, -1, "saved"), -EBADF);
	capture_expect_all(&capture, "kinglet: saved: Bad file descriptor\n");
}

/* --- Foreign sections ------------------------------------------------------------------------- */

static int part_state(void *object, struct state *state)
{
	return state_section(state, &part_table, "one", object);
}

static int pair_state(void *object, struct state *state)
{
	return state_array(state, &part_table, "one", object, 2);
}

static int routes_state(void *object, struct state *state)
{
	struct world *world = object;

	return state_list(state, &route_table, "irq", world->routes, ROUTES, &world->route_count);
}

static int late_state(void *object, struct state *state)
{
	return state_section(state, &late_table, "", object);
}

static int text_state(void *object, struct state *state)
{
	struct world *world = object;

	return state_bytes(state, "text", world->text, TEXT, &world->text_len);
}

static void assert_section_refused(saved_fn *load, unsigned version, const char *table,
				   const char *name, const void *data, size_t len, const char *part)
{
	struct file file = new_file();
	struct world world = { .route_count = 99, .text_len = 99 };

	add_section(&file, (uint16_t)version, table, name, data, len);
	assert_refused(file.bytes, file.len, load, &world, part);
	assert_int_equal(world.route_count, 99);
	assert_int_equal(world.text_len, 99);
}

static const uint8_t zeros[256];

static void test_sections_have_their_place(void **state)
{
	struct file file = new_file();

	(void)state;
	assert_world_refused(&file, "section part: is missing");
	assert_section_refused(part_state, 2, "past", "one", zeros, PART_LEN_2,
			       "section past (one): this machine has part (one) in its place");
	assert_section_refused(part_state, 2, "part", "two", zeros, PART_LEN_2,
			       "section part (two): this machine has part (one) in its place");
	assert_section_refused(no_state, 1, "part", "", zeros, 1,
			       "section part: this machine has no such part");

	add_section(&file, 2, "part", "", zeros, PART_LEN_2);
	assert_world_refused(&file, "section part (pair 0): is missing");
	/* Reordered. */
	add_section(&file, 1, "route", "irq", zeros, 12);
	add_section(&file, 2, "part", "pair 0", zeros, 2 * PART_LEN_2);
	assert_world_refused(&file,
			     "section route (irq): this machine has part (pair 0) in its place");
	/* One too many. */
	file = file_of(&sample);
	add_section(&file, 1, "bytes", "text", zeros, 1);
	assert_world_refused(&file, "section bytes (text): this machine has no such part");
}

static void test_versions(void **state)
{
	const uint8_t old[PART_LEN_1] = { 2, 1, 0 };
	struct part part = { .added = 8 };
	struct file file = new_file();
	struct saved saved;

	(void)state;
	assert_section_refused(part_state, 3, "part", "one", zeros, PART_LEN_2,
			       "section part (one): version 3; this Kinglet knows versions 1 to 2");
	assert_section_refused(part_state, 0, "part", "one", zeros, PART_LEN_2, "version 0;");
	assert_section_refused(part_state, 1, "part", "one", zeros, PART_LEN_2,
			       "32 bytes are not a multiple of 28");
	assert_section_refused(late_state, 1, "late", "", zeros, 0, "not a multiple of 0");
	/* An older one: its missing field keeps its value. */
	add_section(&file, 1, "part", "one", old, sizeof(old));
	saved = (struct saved){ .data = file.bytes, .len = file.len };
	assert_int_equal(saved_load(&saved, part_state, &part), 0);
	assert_int_equal(part.mode, 2);
	assert_int_equal(part.vector, 1);
	assert_int_equal(part.added, 8);
}

static void test_counts_and_lengths(void **state)
{
	(void)state;
	assert_section_refused(part_state, 2, "part", "one", zeros, PART_LEN_2 - 1,
			       "31 bytes are not a multiple of 32");
	assert_section_refused(part_state, 2, "part", "one", zeros, 0,
			       "0 objects; this machine has 1");
	assert_section_refused(part_state, 2, "part", "one", zeros, 2 * PART_LEN_2,
			       "2 objects; there is room for 1");
	assert_section_refused(pair_state, 2, "part", "one", zeros, PART_LEN_2,
			       "1 objects; this machine has 2");
	assert_section_refused(pair_state, 2, "part", "one", zeros, 3 * PART_LEN_2,
			       "3 objects; there is room for 2");
	assert_section_refused(routes_state, 1, "route", "irq", zeros, (ROUTES + 1) * 12,
			       "5 objects; there is room for 4");
	assert_section_refused(text_state, 1, "bytes", "text", zeros, TEXT + 1,
			       "9 objects; there is room for 8");
}

static void test_values_beyond_their_limits(void **state)
{
	uint8_t data[PART_LEN_2] = { 4 }, routes[24] = { 0 };

	(void)state;
	assert_section_refused(part_state, 2, "part", "one", data, sizeof(data),
			       "section part (one): mode is 4, more than 3");
	data[0] = 3;
	data[15] = 2;
	assert_section_refused(part_state, 2, "part", "one", data, sizeof(data),
			       "on is 2, more than 1");
	data[15] = 1;
	put_le16(data + 26, 0x8000);
	assert_section_refused(part_state, 2, "part", "one", data, sizeof(data),
			       "steps is 32768, more than 32767");
	put_le16(data + 26, 0);
	put_le32(data + 28, 10);
	assert_section_refused(part_state, 2, "part", "one", data, sizeof(data),
			       "added is 10, more than 9");
	/* In any object of a list. */
	routes[12] = 24;
	assert_section_refused(routes_state, 1, "route", "irq", routes, sizeof(routes),
			       "section route (irq): gsi is 24, more than 23");
	/* What only the check knows. */
	memset(data, 0, sizeof(data));
	data[7] = 1;
	assert_section_refused(part_state, 2, "part", "one", data, sizeof(data),
			       "section part (one): an address while it is off");
}

static int picky_state(void *object, struct state *state)
{
	int ret = part_state(object, state);

	return ret ? ret : state_refuse(state, "mode %d is not of this host", 7);
}

static void test_a_part_can_refuse_what_it_loaded(void **state)
{
	(void)state;
	assert_section_refused(picky_state, 2, "part", "one", zeros, PART_LEN_2,
			       "saved: section part (one): mode 7 is not of this host\n");
}

/* --- Failing saves ---------------------------------------------------------------------------- */

/* What comes after it is not written as if it were whole. */
static void test_a_section_without_room_is_not_forgotten(void **state)
{
	static uint8_t large[STATE_MAX_SIZE / 2];
	struct world world = sample;
	size_t len = sizeof(large), most = SIZE_MAX / 2;
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct state *saved;

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		assert_int_equal(state_new(&saved), 0);
		assert_int_equal(state_bytes(saved, "a", large, len, &len), 0);
		assert_int_equal(kind ? state_bytes(saved, "b", large, len, &len)
				      : state_bytes(saved, "b", large, most, &most),
				 0);
		assert_int_equal(world_state(&world, saved), 0);
		assert_int_equal(state_write(saved, fd), -E2BIG);
		assert_int_equal(lseek(fd, 0, SEEK_END), 0);
		state_free(saved);
	}
	assert_int_equal(state_new(&saved), 0);
	assert_int_equal(world_state(&world, saved), 0);
	close(fd);
	assert_int_equal(state_write(saved, fd), -EBADF);
	state_free(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saved_is_loaded_and_saved_the_same),
		cmocka_unit_test(test_the_format_is_this),
		cmocka_unit_test(test_a_state_may_be_empty),
		cmocka_unit_test(test_sections_can_be_walked_without_objects),
		cmocka_unit_test(test_a_file_cut_anywhere_is_refused),
		cmocka_unit_test(test_any_flipped_bit_is_noticed),
		cmocka_unit_test(test_frames_that_lie_are_refused),
		cmocka_unit_test(test_files_that_cannot_be_read_are_errors),
		cmocka_unit_test(test_sections_have_their_place),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_counts_and_lengths),
		cmocka_unit_test(test_values_beyond_their_limits),
		cmocka_unit_test(test_a_part_can_refuse_what_it_loaded),
		cmocka_unit_test(test_a_section_without_room_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
