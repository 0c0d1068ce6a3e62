/* SPDX-License-Identifier: Apache-2.0 */
#include "saved.h"

#include "base/le.h"
#include "base/text.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The frame, as docs/state.md has it. */
enum {
	FILE_HEADER = 16,
	SECTION_HEADER = 16,
	HASH = 0,
	LEN = 8,
	TABLE_LEN = 14,
	NAME_LEN = 15,
};

static int new_file(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct saved saved_take(saved_fn *fn, void *object)
{
	struct saved saved;
	struct state *state;
	int fd = new_file();

	assert_int_equal(state_new(&state), 0);
	assert_int_equal(fn(object, state), 0);
	assert_int_equal(state_write(state, fd), 0);
	state_free(state);
	saved.len = (size_t)lseek(fd, 0, SEEK_END);
	saved.data = test_malloc(saved.len);
	assert_int_equal(pread(fd, saved.data, saved.len, 0), saved.len);
	close(fd);
	return saved;
}

void saved_free(struct saved *saved)
{
	test_free(saved->data);
}

bool saved_equal(const struct saved *a, const struct saved *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static size_t names_len(const uint8_t *section)
{
	return section[TABLE_LEN] + section[NAME_LEN];
}

static size_t body_len(const uint8_t *section)
{
	return names_len(section) + get_le32(section + LEN);
}

/* The section after this one, or the first; NULL after the last. */
static uint8_t *next_section(const struct saved *saved, uint8_t *section)
{
	size_t at = section ? (size_t)(section - saved->data) + SECTION_HEADER + body_len(section) :
			      FILE_HEADER;

	return at < saved->len ? saved->data + at : NULL;
}

static void sign(uint8_t *section)
{
	const size_t len = SECTION_HEADER + body_len(section) - LEN;

	put_le64(section + HASH, bytes_hash(section + LEN, len));
}

int saved_load(const struct saved *saved, saved_fn *fn, void *object)
{
	struct state *state;
	int fd = new_file(), ret;

	for (uint8_t *section = next_section(saved, NULL); section;
	     section = next_section(saved, section))
		sign(section);
	assert_int_equal(write(fd, saved->data, saved->len), saved->len);
	assert_int_equal(state_open(&state, fd, "test"), 0);
	ret = fn(object, state);
	if (!ret)
		ret = state_end(state);
	state_free(state);
	close(fd);
	return ret;
}

uint8_t *saved_section(struct saved *saved, const char *table, const char *name, size_t *len)
{
	char names[2 * STATE_NAME_MAX + 1];
	uint8_t *section;

	snprintf(names, sizeof(names), "%s%s", table, name);
	for (section = next_section(saved, NULL); section; section = next_section(saved, section))
		if (names_len(section) == strlen(names) &&
		    !memcmp(section + SECTION_HEADER, names, strlen(names)))
			break;
	assert_non_null(section);
	*len = get_le32(section + LEN);
	return section + SECTION_HEADER + names_len(section);
}

uint8_t *saved_byte(struct saved *saved, size_t n)
{
	for (uint8_t *section = next_section(saved, NULL); section;
	     section = next_section(saved, section)) {
		if (n < get_le32(section + LEN))
			return section + SECTION_HEADER + names_len(section) + n;
		n -= get_le32(section + LEN);
	}
	return NULL;
}
