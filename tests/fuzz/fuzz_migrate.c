/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A migration's peer: frames whose types, lengths and contents the script chooses, for the target
 * and for the source. Neither takes what it must not, and a source that fails goes on.
 */
#include "fuzz.h"

#include "../../vmm/machine/migrate.h"

#include "base/files.h"
#include "base/le.h"

#include <sys/socket.h>
#include <unistd.h>

enum { LOW = 4, HIGH = 2, SAID_MAX = 64 << 10 };

struct said {
	uint8_t data[SAID_MAX];
	size_t len;
};

struct world {
	struct gmem mem;
	struct loop loop;
	bool frozen, loaded, ended;
};

static void say(struct said *said, const void *data, size_t len)
{
	if (len > SAID_MAX - said->len)
		len = SAID_MAX - said->len;
	if (data)
		memcpy(said->data + said->len, data, len);
	else
		memset(said->data + said->len, 1, len);
	said->len += len;
}

/* Mostly right ones. */
static void say_frame(struct fuzz_input *in, struct said *said)
{
	struct frame_header header;
	struct pages_header pages;
	const uint32_t type = fuzz_pick(in, 8) ? FRAME_PAGES : fuzz_pick(in, FRAMES + 1);
	const uint32_t count = fuzz_pick(in, 16) ? 1 + fuzz_pick(in, 2) : (uint32_t)fuzz_take(in, 4);
	const bool zero = fuzz_pick(in, 2);
	uint32_t len = type == FRAME_PAGES ? sizeof(pages) : fuzz_pick(in, 32);
	const uint32_t data = zero || count > 2 ? 0 : count * MIGRATE_PAGE;

	if (type == FRAME_PAGES)
		len += data;
	if (!fuzz_pick(in, 16))
		len = (uint32_t)fuzz_take(in, 4);
	header.type = le32_of(type);
	header.len = le32_of(len);
	say(said, &header, sizeof(header));
	pages.gpa = le64_of(fuzz_pick(in, 16) ? fuzz_pick(in, 8) * (uint64_t)MIGRATE_PAGE
					      : fuzz_take(in, 8));
	pages.count = le32_of(count);
	pages.flags = le32_of(fuzz_pick(in, 16) ? zero : (uint32_t)fuzz_take(in, 4));
	if (type == FRAME_PAGES)
		say(said, &pages, sizeof(pages));
	say(said, NULL, type == FRAME_PAGES ? data : len);
}

static int load(void *owner, int fd)
{
	struct world *world = owner;
	char first = 0;

	world->loaded = !pread_exactly(fd, &first, 1, 0);
	return world->loaded ? 0 : -EBADMSG;
}

static void feed(int *pair, const struct said *said)
{
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	FUZZ_CHECK(!write_all(pair[1], said->data, said->len));
	FUZZ_CHECK(!shutdown(pair[1], SHUT_WR));
}

static void be_target(struct world *world, const struct said *said)
{
	struct migrate_target target = { .wake_fd = -1, .mem = &world->mem };
	int pair[2], hello, ret;

	feed(pair, said);
	target.fd = pair[0];
	target.load = load;
	target.owner = world;
	hello = migrate_target_hello(&target);
	FUZZ_CHECK(hello >= 0 || hello == -EBADMSG || hello == -ECONNRESET);
	close_fd(&hello);
	ret = migrate_target_fill(&target);
	FUZZ_CHECK(!ret ? world->loaded : ret == -EBADMSG || ret == -ECONNRESET);
	close(pair[0]);
	close(pair[1]);
}

static int put_word(void *owner, int fd)
{
	(void)owner;
	return write_all(fd, "word", 4);
}

static int log_start(void *owner)
{
	(void)owner;
	return 0;
}

static int log_read(void *owner, void (*dirty)(void *set, uint64_t gpa), void *set)
{
	(void)owner;
	dirty(set, 0);
	return 0;
}

static void log_stop(void *owner)
{
	(void)owner;
}

static int freeze(void *owner)
{
	((struct world *)owner)->frozen = true;
	return 0;
}

static void ended(void *owner, enum migrate_result result, const char *why)
{
	struct world *world = owner;

	FUZZ_CHECK(!world->ended);
	FUZZ_CHECK((result == MIGRATE_DONE) == !*why);
	FUZZ_CHECK(world->frozen || result == MIGRATE_FAILED);
	world->ended = true;
	loop_stop(&world->loop);
}

static void be_source(struct world *world, const struct said *said)
{
	static const struct migrate_source_ops ops = {
		.describe = put_word,
		.save = put_word,
		.log_start = log_start,
		.log_read = log_read,
		.log_stop = log_stop,
		.freeze = freeze,
		.ended = ended,
	};
	struct migrate_source_options options = {
		.loop = &world->loop,
		.mem = &world->mem,
		.downtime_ns = 1000000000,
		.ops = &ops,
		.owner = world,
	};
	struct migrate_source *source;
	int pair[2];

	feed(pair, said);
	options.fd = pair[0];
	FUZZ_CHECK(!loop_init(&world->loop) && !migrate_source_new(&source));
	FUZZ_CHECK(!migrate_source_start(source, &options));
	FUZZ_CHECK(!loop_run(&world->loop) && world->ended);
	migrate_source_free(source);
	loop_destroy(&world->loop);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gmem_range ranges[] = { { 0, LOW * MIGRATE_PAGE },
						    { 6 * MIGRATE_PAGE, HIGH * MIGRATE_PAGE } };
	static const uint8_t hello[12] = { FRAME_HELLO, 0, 0, 0, 4, 0, 0, 0, MIGRATE_VERSION };
	const struct gmem_options options = { 0 };
	struct fuzz_input in = { data, size };
	static struct said said;
	struct world world = { 0 };
	const bool source = fuzz_pick(&in, 2);

	said.len = 0;
	FUZZ_CHECK(!gmem_init(&world.mem, ranges, ARRAY_SIZE(ranges), &options));
	if (!source && fuzz_pick(&in, 8))
		say(&said, hello, sizeof(hello));
	while (in.left && said.len < SAID_MAX)
		say_frame(&in, &said);
	if (source)
		be_source(&world, &said);
	else
		be_target(&world, &said);
	gmem_destroy(&world.mem);
	return 0;
}
