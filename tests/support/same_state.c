/* SPDX-License-Identifier: Apache-2.0 */
#include "same_state.h"

#include "core/state.h"
#include "machine/snapshot.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_moving(const struct moving_field *moving, const char *table, const char *field)
{
	for (; moving->table; moving++)
		if (!strcmp(table, moving->table) && !strcmp(field, moving->field))
			return true;
	return false;
}

static void compare_field(const struct state_view *section, const struct state_field *field,
			  const uint8_t *before, const uint8_t *after)
{
	for (size_t i = 0; i < (size_t)field->size * field->count; i++)
		if (before[i] != after[i])
			fail_msg("section %s (%s): byte %zu of %s was 0x%02x and is 0x%02x",
				 section->table, section->name, i, field->name, before[i],
				 after[i]);
}

/* Fields of the old version are in both objects. */
static void compare_object(const struct state_table *table, const struct state_view *old,
			   const uint8_t *before, const uint8_t *after,
			   const struct moving_field *moving)
{
	for (const struct state_field *field = table->fields; field->name; field++) {
		size_t len = (size_t)field->size * field->count;

		if (field->since <= old->version) {
			if (!is_moving(moving, table->name, field->name))
				compare_field(old, field, before, after);
			before += len;
		}
		after += len;
	}
}

static void compare_section(const struct state_view *old, const struct state_view *new,
			    const struct moving_field *moving)
{
	const struct state_table *table = snapshot_table(old->table);
	size_t before, after;

	assert_string_equal(new->table, old->table);
	assert_string_equal(new->name, old->name);
	if (!table) { /* bytes */
		assert_int_equal(new->len, old->len);
		assert_memory_equal(new->data, old->data, old->len);
		return;
	}
	assert_int_equal(new->version, table->version);
	before = state_object_len(table, old->version);
	after = state_object_len(table, new->version);
	assert_int_equal(new->len / after, old->len / before);
	for (size_t i = 0; i < old->len / before; i++)
		compare_object(table, old, old->data + i * before, new->data + i * after, moving);
}

static struct state *open_state(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct state *state;

	assert_true(fd >= 0);
	assert_int_equal(state_open(&state, fd, path), 0);
	close(fd);
	return state;
}

void same_state(const char *old_path, const char *new_path, const struct moving_field *moving)
{
	struct state *old = open_state(old_path), *new = open_state(new_path);
	struct state_view before, after;

	while (state_next(old, &before)) {
		assert_true(state_next(new, &after));
		compare_section(&before, &after, moving);
	}
	assert_false(state_next(new, &after));
	state_free(old);
	state_free(new);
}
