/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include "base/files.h"
#include "base/le.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The file begins with this; sections follow without gaps. */
struct file_header {
	char magic[8];
	struct le32 format;
	struct le32 sections;
};

/* Then the table's name, the section's name, and the objects. */
struct section_header {
	struct le64 hash; /* FNV-1a of the section's bytes after this field */
	struct le32 len;  /* of the objects, bytes */
	struct le16 version;
	uint8_t table_len, name_len;
};

_Static_assert(sizeof(struct file_header) == 16, "wire format");
_Static_assert(sizeof(struct section_header) == 16, "wire format");

static const char magic[8] = { 'K', 'I', 'N', 'G', 'L', 'E', 'T', '\n' };

enum { FORMAT = 1, HASHED_FROM = sizeof(struct le64) };

struct state {
	uint8_t *data; /* owned: the file */
	size_t len, capacity;
	size_t at;	   /* of the next section to load */
	unsigned count;	   /* of sections */
	unsigned sections; /* saved, or left to load */
	bool loads;
	int error; /* the first one of saving, for state_write() */
	const char *file;	   /* its name; borrowed */
	struct state_view current; /* for messages */
};

/* --- The file --------------------------------------------------------------------------------- */

/* Room for `len` more bytes, or NULL: remembered until state_write(). */
static uint8_t *extend(struct state *state, size_t len)
{
	if (!state->error && len > STATE_MAX_SIZE - state->len)
		state->error = -E2BIG;
	if (state->error)
		return NULL;
	if (state->capacity - state->len < len) {
		size_t capacity = (state->len + len) * 2;
		uint8_t *data = realloc(state->data, capacity);

		if (!data) {
			state->error = -ENOMEM;
			return NULL;
		}
		state->data = data;
		state->capacity = capacity;
	}
	state->len += len;
	return state->data + state->len - len;
}

int state_new(struct state **out)
{
	struct state *state = calloc(1, sizeof(*state));

	if (!state)
		return -ENOMEM;
	extend(state, sizeof(struct file_header));
	*out = state;
	return 0;
}

void state_free(struct state *state)
{
	if (!state)
		return;
	free(state->data);
	free(state);
}

int state_write(struct state *state, int fd)
{
	struct file_header header = {
		.format = le32_of(FORMAT),
		.sections = le32_of(state->sections),
	};

	if (state->error)
		return state->error;
	memcpy(header.magic, magic, sizeof(magic));
	memcpy(state->data, &header, sizeof(header));
	return write_all(fd, state->data, state->len);
}

/* Names are shown on terminals and in JSON as they are. */
static bool are_printable(const uint8_t *names, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (names[i] < ' ' || names[i] > '~' || names[i] == '"' || names[i] == '\\')
			return false;
	return true;
}

/* The section at `at`: its length in the file; 0: what the file has there is none. */
static size_t section_at(const struct state *state, size_t at, struct state_view *view)
{
	struct section_header header;
	size_t left = state->len - at, names, len;
	const uint8_t *body;

	if (left < sizeof(header))
		return 0;
	memcpy(&header, state->data + at, sizeof(header));
	body = state->data + at + sizeof(header);
	left -= sizeof(header);
	names = (size_t)header.table_len + header.name_len;
	len = le32_get(header.len);
	if (header.table_len > STATE_NAME_MAX || header.name_len > STATE_NAME_MAX || names > left ||
	    len > left - names || !are_printable(body, names))
		return 0;
	*view = (struct state_view){
		.version = le16_get(header.version),
		.data = body + names,
		.len = len,
	};
	memcpy(view->table, body, header.table_len);
	memcpy(view->name, body + header.table_len, header.name_len);
	return sizeof(header) + names + len;
}

static uint64_t section_hash(const uint8_t *section, size_t len)
{
	return bytes_hash(section + HASHED_FROM, len - HASHED_FROM);
}

/* What is wrong with the file's frame, or NULL. */
static const char *check_frame(struct state *state)
{
	struct file_header header;
	struct state_view view;
	size_t at = sizeof(header);

	if (state->len < sizeof(header))
		return "too short for a saved state";
	memcpy(&header, state->data, sizeof(header));
	if (memcmp(header.magic, magic, sizeof(magic)) != 0)
		return "not a saved state of Kinglet";
	if (le32_get(header.format) != FORMAT)
		return "a format of another Kinglet; save the machine with this one";
	state->sections = state->count = le32_get(header.sections);
	for (unsigned i = 0; i < state->count; i++) {
		size_t len = section_at(state, at, &view);
		const uint8_t *section = state->data + at;

		if (!len || get_le64(section) != section_hash(section, len))
			return "damaged: a section's length, names or checksum are wrong";
		at += len;
	}
	return at == state->len ? NULL : "damaged: there is something after the last section";
}

static int read_file(struct state *state, int fd)
{
	struct stat st;
	size_t len;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > STATE_MAX_SIZE)
		return -EFBIG;
	len = (size_t)st.st_size;
	if (len && !extend(state, len))
		return state->error;
	return pread_exactly(fd, state->data, len, 0);
}

int state_open(struct state **out, int fd, const char *name)
{
	struct state *state = calloc(1, sizeof(*state));
	const char *wrong;
	int ret;

	if (!state) {
		log_error("%s: %s", name, strerror(ENOMEM));
		return -ENOMEM;
	}
	state->loads = true;
	state->file = name;
	state->at = sizeof(struct file_header);
	ret = read_file(state, fd);
	wrong = ret ? strerror(-ret) : check_frame(state);
	if (wrong) {
		log_error("%s: %s", name, wrong);
		state_free(state);
		return ret ? ret : -EBADMSG;
	}
	*out = state;
	return 0;
}

bool state_loads(const struct state *state)
{
	return state->loads;
}

bool state_next(struct state *state, struct state_view *view)
{
	if (!state->sections)
		return false;
	state->at += section_at(state, state->at, view);
	state->sections--;
	return true;
}

void state_rewind(struct state *state)
{
	state->at = sizeof(struct file_header);
	state->sections = state->count;
}

int state_refuse(struct state *state, const char *fmt, ...)
{
	struct state_view *at = &state->current;
	char what[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	log_error("%s: section %s%s%s%s: %s", state->file, at->table, *at->name ? " (" : "",
		  at->name, *at->name ? ")" : "", what);
	return -EBADMSG;
}

int state_end(struct state *state)
{
	if (!state_next(state, &state->current))
		return 0;
	return state_refuse(state, "this machine has no such part");
}

/* --- Fields ----------------------------------------------------------------------------------- */

static bool has_field(const struct state_field *field, uint16_t version)
{
	return field->since <= version;
}

size_t state_object_len(const struct state_table *table, uint16_t version)
{
	size_t len = 0;

	for (const struct state_field *field = table->fields; field->name; field++)
		if (has_field(field, version))
			len += (size_t)field->size * field->count;
	return len;
}

/* Numbers of this host are those of the file. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

static bool is_valid(const struct state_field *field, const uint8_t *data)
{
	uint64_t value;

	value = get_le_bytes(data, field->size);
	return field->kind == STATE_FIELD_FLAG ? value <= 1 : value <= field->max;
}

static void save_object(const struct state_table *table, const uint8_t *object, uint8_t *data)
{
	for (const struct state_field *field = table->fields; field->name; field++) {
		size_t len = (size_t)field->size * field->count;

		memcpy(data, object + field->offset, len);
		data += len;
	}
}

static int load_object(struct state *state, const struct state_table *table, uint16_t version,
		       const uint8_t *data, uint8_t *object)
{
	const char *wrong;

	for (const struct state_field *field = table->fields; field->name; field++) {
		size_t len = (size_t)field->size * field->count;

		if (!has_field(field, version))
			continue;
		for (size_t i = 0; i < len && field->kind != STATE_FIELD_BYTES; i += field->size)
			if (!is_valid(field, data + i))
				return state_refuse(
					state, "%s is %llu, more than %llu", field->name,
					(unsigned long long)get_le_bytes(data + i, field->size),
					(unsigned long long)field->max);
		memcpy(object + field->offset, data, len);
		data += len;
	}
	wrong = table->check ? table->check(object) : NULL;
	return wrong ? state_refuse(state, "%s", wrong) : 0;
}

/* --- Sections --------------------------------------------------------------------------------- */

static void save_section(struct state *state, const struct state_table *table, const char *name,
			 const uint8_t *objects, size_t count)
{
	size_t table_len = strlen(table->name), name_len = strlen(name);
	size_t step = state_object_len(table, table->version);
	size_t len = table_len + name_len + step * count;
	struct section_header header = {
		.len = le32_of((uint32_t)(step * count)),
		.version = le16_of(table->version),
		.table_len = (uint8_t)table_len,
		.name_len = (uint8_t)name_len,
	};
	uint8_t *section = extend(state, sizeof(header) + len), *body;

	if (!section)
		return;
	body = mempcpy(section, &header, sizeof(header));
	body = mempcpy(body, table->name, table_len);
	body = mempcpy(body, name, name_len);
	for (size_t i = 0; i < count; i++)
		save_object(table, objects + i * table->size, body + i * step);
	put_le64(section, section_hash(section, sizeof(header) + len));
	state->sections++;
}

/* The next section must be this one: how many objects it has, or -EBADMSG. */
static ssize_t take_section(struct state *state, const struct state_table *table, const char *name)
{
	struct state_view *view = &state->current;
	size_t step;

	if (!state_next(state, view)) {
		snprintf(view->table, sizeof(view->table), "%s", table->name);
		snprintf(view->name, sizeof(view->name), "%s", name);
		return state_refuse(state, "is missing");
	}
	if (strcmp(view->table, table->name) != 0 || strcmp(view->name, name) != 0)
		return state_refuse(state, "this machine has %s%s%s%s in its place", table->name,
				    *name ? " (" : "", name, *name ? ")" : "");
	if (!view->version || view->version > table->version)
		return state_refuse(state, "version %u; this Kinglet knows versions 1 to %u",
				    view->version, table->version);
	step = state_object_len(table, view->version);
	if (!step || view->len % step)
		return state_refuse(state, "%zu bytes are not a multiple of %zu", view->len, step);
	return (ssize_t)(view->len / step);
}

/* The next section, of at most `max` objects. */
static ssize_t take_list(struct state *state, const struct state_table *table, const char *name,
			 size_t max)
{
	ssize_t found = take_section(state, table, name);

	if (found > 0 && (size_t)found > max)
		return state_refuse(state, "%zd objects; there is room for %zu", found, max);
	return found;
}

int state_list(struct state *state, const struct state_table *table, const char *name,
	       void *objects, size_t max, size_t *count)
{
	ssize_t found;
	size_t step;
	int ret = 0;

	if (!state->loads) {
		save_section(state, table, name, objects, *count);
		return 0;
	}
	found = take_list(state, table, name, max);
	if (found < 0)
		return (int)found;
	step = state_object_len(table, state->current.version);
	for (ssize_t i = 0; i < found && !ret; i++)
		ret = load_object(state, table, state->current.version,
				  state->current.data + (size_t)i * step,
				  (uint8_t *)objects + (size_t)i * table->size);
	if (!ret)
		*count = (size_t)found;
	return ret;
}

int state_array(struct state *state, const struct state_table *table, const char *name,
		void *objects, size_t count)
{
	size_t found = count;
	int ret = state_list(state, table, name, objects, count, &found);

	if (!ret && found != count)
		ret = state_refuse(state, "%zu objects; this machine has %zu", found, count);
	return ret;
}

int state_section(struct state *state, const struct state_table *table, const char *name,
		  void *object)
{
	return state_array(state, table, name, object, 1);
}

int state_bytes(struct state *state, const char *name, void *data, size_t max, size_t *len)
{
	static const struct state_field fields[] = {
		{ .name = "data", .count = 1, .size = 1, .kind = STATE_FIELD_BYTES },
		STATE_END,
	};
	static const struct state_table table = {
		.name = "bytes",
		.version = 1,
		.size = 1,
		.fields = fields,
	};
	ssize_t found;

	if (!state->loads)
		return state_list(state, &table, name, data, max, len);
	found = take_list(state, &table, name, max);
	if (found < 0)
		return (int)found;
	memcpy(data, state->current.data, (size_t)found);
	*len = (size_t)found;
	return 0;
}
