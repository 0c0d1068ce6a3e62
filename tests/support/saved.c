/* SPDX-License-Identifier: Apache-2.0 */
#include "saved.h"

#include "base/le.h"
#include "base/text.h"
#include "capture.h"
#include "unit.h"

#include <errno.h>
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
	assert_false(state_loads(state));
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

void saved_refused(const struct saved *saved, saved_fn *fn, void *object, const char *why)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = saved_load(saved, fn, object);
	capture_expect(&capture, why);
	assert_int_equal(ret, -EBADMSG);
}

void saved_expect_same(const struct saved *saved, saved_fn *fn, void *object)
{
	struct saved now = saved_take(fn, object);

	assert_int_equal(now.len, saved->len);
	assert_memory_equal(now.data, saved->data, saved->len);
	saved_free(&now);
}

void saved_move(saved_fn *fn, void *object, void *other)
{
	struct saved saved = saved_take(fn, object);

	assert_int_equal(saved_load(&saved, fn, other), 0);
	saved_expect_same(&saved, fn, other);
	saved_free(&saved);
}

uint8_t *saved_section(struct saved *saved, const char *table, const char *name, size_t *len)
{
	char names[2 * STATE_NAME_MAX + 1];
	uint8_t *section;

	snprintf(names, sizeof(names), "%s%s", table, name);
	for (section = next_section(saved, NULL); section; section = next_section(saved, section))
		if (names_len(section) == strlen(names) &&
		    !memcmp(section + SECTION_HEADER, names, strlen(names))) {
			*len = get_le32(section + LEN);
			return section + SECTION_HEADER + names_len(section);
		}
	fail_msg("no section %s of %s", table, name);
	abort(); /* for the analyser: the above does not return */
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

/* --- A virtio device -------------------------------------------------------------------------- */

static int locked_state(void *object, struct state *state)
{
	struct virtio_dev *dev = object;
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = virtio_state(dev, state);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

void device_save(struct saved *saved, struct virtio_dev *dev)
{
	*saved = saved_take(locked_state, dev);
}

int device_load(const struct saved *saved, struct virtio_dev *dev)
{
	return saved_load(saved, locked_state, dev);
}

void device_restored(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->model->restored)
		dev->model->restored(dev);
	pthread_mutex_unlock(&dev->lock);
}

void device_expect_same(const struct saved *saved, struct virtio_dev *dev)
{
	saved_expect_same(saved, locked_state, dev);
}

void device_expect_refused(const struct saved *saved, struct virtio_dev *dev, const char *why)
{
	saved_refused(saved, locked_state, dev, why);
}

void device_set(struct saved *saved, const struct virtio_dev *dev, const struct state_table *table,
		const char *field, unsigned index, uint64_t value)
{
	size_t len;
	uint8_t *at = saved_section(saved, table->name, dev->name, &len);
	const struct state_field *f = table->fields;

	for (; strcmp(f->name, field) != 0; f++) {
		at += (size_t)f->size * f->count;
		assert_non_null(f[1].name);
	}
	assert_true(index < f->count);
	put_le_bytes(at + (size_t)index * f->size, value, f->size);
}
