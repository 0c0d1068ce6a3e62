/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files: sections with right checksums whose order, names, versions, lengths and contents the
 * script chooses, and plain bytes. What is loaded respects its limits, and once saved is loaded
 * again as the same.
 */
#include "fuzz.h"

#include "base/checked.h"
#include "base/files.h"
#include "base/le.h"
#include "base/text.h"
#include "core/state.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ITEMS = 4, BYTES = 16, FILE_MAX = 4096 };

struct item {
	uint8_t index;
	uint16_t size;
	uint32_t flags[2];
	uint64_t address;
	bool on;
	uint8_t mac[6];
	uint16_t added; /* by version 2 */
};

static const char *check_item(const void *object)
{
	const struct item *item = object;

	return item->on && !item->size ? "on, without a size" : NULL;
}

static const struct state_field fields[] = {
	STATE_LIMITED(struct item, index, ITEMS - 1),
	STATE_LIMITED(struct item, size, 256),
	STATE_NUMBERS(struct item, flags),
	STATE_NUMBER(struct item, address),
	STATE_FLAG(struct item, on),
	STATE_BYTES(struct item, mac),
	{ .name = "added",
	  .offset = offsetof(struct item, added),
	  .count = 1,
	  .size = 2,
	  .kind = STATE_FIELD_NUMBER,
	  .since = 2,
	  .max = 9 },
	STATE_END,
};

static const struct state_table table = {
	.name = "item",
	.version = 2,
	.size = sizeof(struct item),
	.fields = fields,
	.check = check_item,
};

struct world {
	struct item one, pair[2], list[ITEMS];
	size_t count;
	uint8_t bytes[BYTES];
	size_t len;
};

static int world_state(struct world *world, struct state *state)
{
	int ret = state_section(state, &table, "one", &world->one);

	if (!ret)
		ret = state_array(state, &table, "pair", world->pair, ARRAY_SIZE(world->pair));
	if (!ret)
		ret = state_list(state, &table, "list", world->list, ITEMS, &world->count);
	if (!ret)
		ret = state_bytes(state, "rest", world->bytes, BYTES, &world->len);
	return ret;
}

static void check_limits(const struct item *item)
{
	FUZZ_CHECK(item->index < ITEMS && item->size <= 256 && item->added <= 9);
	FUZZ_CHECK(!check_item(item));
}

static void check_world(const struct world *world)
{
	check_limits(&world->one);
	for (size_t i = 0; i < ARRAY_SIZE(world->pair); i++)
		check_limits(&world->pair[i]);
	FUZZ_CHECK(world->count <= ITEMS && world->len <= BYTES);
	for (size_t i = 0; i < world->count; i++)
		check_limits(&world->list[i]);
}

struct file {
	uint8_t data[FILE_MAX];
	size_t len;
};

/* Zeros mostly, or nothing would be within its limits. */
static void add_data(struct fuzz_input *in, struct file *file, size_t len)
{
	uint8_t *data = file->data + file->len;

	if (len > FILE_MAX - file->len)
		len = FILE_MAX - file->len;
	memset(data, 0, len);
	for (unsigned n = fuzz_pick(in, 4); n-- && len;) {
		size_t at = fuzz_take(in, 1) % len;

		data[at] = fuzz_pick(in, 2) ? 1 : (uint8_t)fuzz_take(in, 1);
	}
	file->len += len;
}

/* The n-th section that world_state() wants, unless the script differs. */
static void add_section(struct fuzz_input *in, struct file *file, unsigned n)
{
	static const char *const tables[] = { "item", "item", "item", "bytes", "", "it\0m" };
	static const char *const names[] = { "one", "pair", "list", "rest", "" };
	const unsigned kind = fuzz_pick(in, 16) ? n : fuzz_pick(in, ARRAY_SIZE(tables));
	const char *name = names[(fuzz_pick(in, 16) ? kind : fuzz_take(in, 1)) % ARRAY_SIZE(names)];
	const char *of = tables[kind % ARRAY_SIZE(tables)];
	const unsigned version = fuzz_pick(in, 8) ? (n == 3 ? 1 : 2) : fuzz_pick(in, 4);
	const size_t start = file->len, names_len = strlen(of) + strlen(name);
	size_t count = n == 0 ? 1 : n == 1 ? 2 : fuzz_pick(in, ITEMS + 2);
	size_t step = n == 3 ? 1 : state_object_len(&table, (uint16_t)version);
	uint8_t *at = file->data + start;

	if (FILE_MAX - start < 16 + names_len)
		return;
	put_le16(at + 12, (uint16_t)version);
	at[14] = (uint8_t)strlen(of);
	at[15] = (uint8_t)strlen(name);
	memcpy(at + 16, of, at[14]);
	memcpy(at + 16 + at[14], name, at[15]);
	file->len += 16 + names_len;
	add_data(in, file, fuzz_pick(in, 16) ? count * step : fuzz_take(in, 1));
	put_le32(at + 8, (uint32_t)(file->len - start - 16 - names_len));
	if (!fuzz_pick(in, 32))
		at[8 + fuzz_pick(in, 8)] ^= (uint8_t)fuzz_take(in, 1);
	put_le64(at, bytes_hash(at + 8, file->len - start - 8));
}

static void build_file(struct fuzz_input *in, struct file *file)
{
	const unsigned count = fuzz_pick(in, 16) ? 4 : fuzz_pick(in, 8);

	memcpy(file->data, "KINGLET\n\1\0\0\0", 12);
	put_le32(file->data + 12, fuzz_pick(in, 32) ? count : (uint32_t)fuzz_take(in, 4));
	file->len = 16;
	for (unsigned n = 0; n < count; n++)
		add_section(in, file, n);
	if (!fuzz_pick(in, 32))
		file->len = fuzz_take(in, 2) % (file->len + 1);
}

static struct state *open_bytes(const void *data, size_t len)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct state *state;
	int ret;

	FUZZ_CHECK(fd >= 0 && !write_all(fd, data, len));
	ret = state_open(&state, fd, "fuzz");
	FUZZ_CHECK(!ret || ret == -EBADMSG);
	close(fd);
	return ret ? NULL : state;
}

static bool load(const void *data, size_t len, struct world *world)
{
	struct state *state = open_bytes(data, len);
	int ret = -EBADMSG;

	if (state)
		ret = world_state(world, state);
	if (!ret)
		ret = state_end(state);
	FUZZ_CHECK(!ret || ret == -EBADMSG);
	state_free(state);
	return !ret;
}

static void save(struct world *world, struct file *file)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct state *state;
	struct stat st;

	FUZZ_CHECK(fd >= 0 && !state_new(&state));
	FUZZ_CHECK(!world_state(world, state) && !state_write(state, fd));
	state_free(state);
	FUZZ_CHECK(!fstat(fd, &st) && st.st_size <= FILE_MAX);
	file->len = (size_t)st.st_size;
	FUZZ_CHECK(!pread_exactly(fd, file->data, file->len, 0));
	close(fd);
}

/* Every section, read from its first to its last byte. */
static void walk(const struct file *file)
{
	struct state *state = open_bytes(file->data, file->len);
	struct state_view view;
	size_t total = 0;

	while (state && state_next(state, &view)) {
		FUZZ_CHECK(strlen(view.table) <= STATE_NAME_MAX);
		FUZZ_CHECK(strlen(view.name) <= STATE_NAME_MAX);
		bytes_hash(view.data, view.len);
		total += 16 + view.len;
	}
	FUZZ_CHECK(total <= file->len);
	state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct world world = { 0 }, again = { 0 };
	static struct file file, saved, second;

	if (fuzz_pick(&in, 8)) {
		build_file(&in, &file);
	} else {
		file.len = in.left < FILE_MAX ? in.left : FILE_MAX;
		memcpy(file.data, in.data, file.len);
	}
	walk(&file);
	if (!load(file.data, file.len, &world))
		return 0;
	check_world(&world);
	save(&world, &saved);
	FUZZ_CHECK(load(saved.data, saved.len, &again));
	save(&again, &second);
	FUZZ_CHECK(saved.len == second.len && !memcmp(saved.data, second.data, saved.len));
	return 0;
}
