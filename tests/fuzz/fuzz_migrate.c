/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A migration's peer: frames whose types, lengths and contents the script chooses, for the target,
 * and as answers to what the source sends. Neither takes what it must not, and a source that fails
 * goes on unless its last frame is out.
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
	struct fuzz_input *in;
	struct gmem mem;
	struct loop loop;
	bool frozen, loaded, ended;

	/* The source's target. */
	struct loop_event peer;
	struct frame_header header; /* of the frame that it reads */
	size_t at, left;	    /* bytes of its header that are there, and of its payload that are not */
	bool committed;		    /* it has the last frame */
	uint32_t said;		    /* the type of what it has said last */
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

/* Mostly to the end, which few scripts would find. */
static const struct said *say_all(struct fuzz_input *in, struct said *said)
{
	static const uint8_t end[] = { FRAME_STATE,  0, 0, 0, 1, 0, 0, 0, 1,
				       FRAME_COMMIT, 0, 0, 0, 0, 0, 0, 0 };
	const bool whole = fuzz_pick(in, 4);

	while (in->left && said->len < SAID_MAX - sizeof(end))
		say_frame(in, said);
	if (whole)
		say(said, end, sizeof(end));
	return said;
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
	FUZZ_CHECK(result != MIGRATE_DONE || (world->committed && world->said == FRAME_DONE));
	FUZZ_CHECK(result != MIGRATE_FAILED || !world->committed || world->said == FRAME_ERROR);
	world->ended = true;
	loop_stop(&world->loop);
}

static void hang_up(struct world *world)
{
	loop_remove(&world->loop, &world->peer);
	shutdown(world->peer.fd, SHUT_RDWR);
}

/* What the source need not have read: it may have ended. */
static void put(struct world *world, const void *data, size_t len)
{
	(void)!send(world->peer.fd, data, len, MSG_NOSIGNAL);
}

/* Mostly the right one, else the last. */
static void answer(struct world *world, uint32_t right)
{
	struct frame_header header = { .type = le32_of(right) };
	char text[ERROR_TEXT_MAX + 16];
	bool wrong = !fuzz_pick(world->in, 8);
	size_t len = 0;

	if (wrong) {
		header.type = le32_of(fuzz_pick(world->in, FRAMES + 1));
		len = fuzz_pick(world->in, sizeof(text));
		header.len = le32_of(fuzz_pick(world->in, 4) ? (uint32_t)len :
							       (uint32_t)fuzz_take(world->in, 4));
		for (size_t i = 0; i < len; i++)
			text[i] = (char)fuzz_take(world->in, 1);
	}
	world->said = le32_get(header.type);
	put(world, &header, wrong && !fuzz_pick(world->in, 4) ? 5 : sizeof(header));
	put(world, text, len);
	if (wrong)
		hang_up(world);
}

static void take_frame(struct world *world)
{
	static const uint8_t answers[FRAMES] = {
		[FRAME_HELLO] = FRAME_BUILT, [FRAME_STATE] = FRAME_READY, [FRAME_COMMIT] = FRAME_DONE,
	};
	uint32_t type = le32_get(world->header.type);

	world->at = 0;
	FUZZ_CHECK(type < FRAMES && (answers[type] || type == FRAME_PAGES));
	FUZZ_CHECK(!world->committed);
	world->committed = type == FRAME_COMMIT;
	if (answers[type])
		answer(world, answers[type]);
	else if (!fuzz_pick(world->in, 64))
		answer(world, FRAME_READY);
}

static void hear(struct loop_event *event, uint32_t events)
{
	struct world *world = container_of(event, struct world, peer);
	const size_t want = sizeof(world->header);
	uint8_t bytes[4096];
	ssize_t n;

	(void)events;
	if (world->at < want)
		n = recv(event->fd, (uint8_t *)&world->header + world->at, want - world->at, 0);
	else
		n = recv(event->fd, bytes, world->left < sizeof(bytes) ? world->left : sizeof(bytes), 0);
	if (n <= 0) {
		hang_up(world);
		return;
	}
	if (world->at == want) {
		world->left -= (size_t)n;
	} else {
		world->at += (size_t)n;
		world->left = world->at == want ? le32_get(world->header.len) : 0;
	}
	if (world->at == want && !world->left)
		take_frame(world);
}

static void be_source(struct world *world)
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

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	options.fd = pair[0];
	world->peer = (struct loop_event){ .fd = pair[1], .fn = hear };
	FUZZ_CHECK(!loop_init(&world->loop) && !migrate_source_new(&source));
	FUZZ_CHECK(!loop_add(&world->loop, &world->peer, EPOLLIN));
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
	struct world world = { .in = &in };
	const bool source = fuzz_pick(&in, 2);

	said.len = 0;
	FUZZ_CHECK(!gmem_init(&world.mem, ranges, ARRAY_SIZE(ranges), &options));
	if (!source && fuzz_pick(&in, 8))
		say(&said, hello, sizeof(hello));
	if (source)
		be_source(&world);
	else
		be_target(&world, say_all(&in, &said));
	gmem_destroy(&world.mem);
	return 0;
}
