/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migration between two machines of RAM only, over sockets: whole, cut at each byte in either
 * direction, and with a peer that lies. After each, one of the two runs, or the source knows that
 * it must not.
 */
#include "../../vmm/machine/migrate.h"

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "core/state.h"
#include "capture.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { PAGE = MIGRATE_PAGE, LOW = 8, HIGH = 4, HIGH_GPA = 1 << 20, NO_CUT = 1 << 30 };

static const struct gmem_range ranges[] = { { 0, LOW * PAGE }, { HIGH_GPA, HIGH * PAGE } };

struct rig {
	struct gmem from, to;
	struct loop loop;
	struct migrate_source *source;
	struct loop_event canceller;
	unsigned rounds;      /* of the log that write to RAM; then it is clean */
	unsigned log_reads;
	unsigned clears; /* calls of log_clear() */
	uint64_t downtime_ns;
	int freeze_error, save_error;
	bool logs, frozen, saved;
	/* What the two sides' releases have of a section; or no such, and a hash instead. */
	const struct state_table *saves, *loads;
	struct kept {
		uint32_t old, added;
	} kept; /* of the target */
	struct machine_progress progress; /* the last that was told */
	bool ended;
	enum migrate_result result;
	char why[400];

	/* The target's thread. */
	struct migrate_target target;
	int hello, filled;

	/* Between the two: bytes that it lets through. */
	int near[2], far[2]; /* [0] is the source's, the target's */
	size_t forward, backward, passed[2];
};

static void fill(struct gmem *mem, uint64_t page, uint8_t with)
{
	memset(mem->base + page * PAGE, with, PAGE);
}

static int setup(void **state)
{
	const struct gmem_options options = { 0 };
	struct rig *r = calloc(1, sizeof(*r));

	*state = r;
	r->rounds = 2;
	r->downtime_ns = 1000000000;
	r->forward = r->backward = NO_CUT;
	r->canceller.fd = -1;
	if (gmem_init(&r->from, ranges, 2, &options) || gmem_init(&r->to, ranges, 2, &options))
		return -1;
	fill(&r->from, 1, 0x11);
	fill(&r->from, LOW + HIGH - 1, 0x22);
	return loop_init(&r->loop) || migrate_source_new(&r->source);
}

static int teardown(void **state)
{
	struct rig *r = *state;

	migrate_source_free(r->source);
	loop_eventfd_remove(&r->loop, &r->canceller);
	loop_destroy(&r->loop);
	gmem_destroy(&r->from);
	gmem_destroy(&r->to);
	free(r);
	return 0;
}

/* --- The source's machine --------------------------------------------------------------------- */

static int describe(void *owner, int fd)
{
	(void)owner;
	return write_all(fd, "words", 5);
}

static uint64_t ram_hash(const struct gmem *mem)
{
	return bytes_hash(mem->base, mem->size);
}

static int save_kept(const struct state_table *table, int fd)
{
	struct kept kept = { .old = 7, .added = 8 };
	struct state *state;
	int ret = state_new(&state);

	if (!ret)
		ret = state_section(state, table, "one", &kept);
	if (!ret)
		ret = state_write(state, fd);
	state_free(state);
	return ret;
}

/* The state is what RAM must be. Like arm64's ITS, it has a part there. */
static int save(void *owner, int fd)
{
	struct rig *r = owner;
	uint64_t hash;

	assert_true(r->frozen && r->logs);
	fill(&r->from, 7, 0x77);
	r->saved = true;
	if (r->saves)
		return save_kept(r->saves, fd);
	hash = ram_hash(&r->from);
	return r->save_error ? r->save_error : write_all(fd, &hash, sizeof(hash));
}

static int log_start(void *owner)
{
	struct rig *r = owner;

	assert_false(r->logs);
	r->logs = true;
	return 0;
}

/* A page becomes zero, two others do not, one of them in the upper range. */
static int log_read(void *owner, void (*dirty)(void *set, uint64_t gpa), void *set)
{
	struct rig *r = owner;
	uint8_t n = (uint8_t)++r->log_reads;

	assert_true(r->logs);
	if (r->frozen) {
		if (r->saved)
			dirty(set, 7 * PAGE);
		return 0;
	}
	if (n > r->rounds)
		return 0;
	fill(&r->from, 1, 0);
	fill(&r->from, 5, n);
	fill(&r->from, LOW, n);
	dirty(set, PAGE);
	dirty(set, 5 * PAGE);
	dirty(set, HIGH_GPA);
	dirty(set, HIGH_GPA - PAGE); /* not RAM */
	return 0;
}

/* A write before it is in no log: the source must not have read the page yet. */
static int log_clear(void *owner, const struct gmem_slot *slot, uint64_t first, uint32_t count,
		     uint64_t *words)
{
	struct rig *r = owner;

	assert_true(r->logs && !r->frozen);
	assert_int_equal(first, 0);
	assert_int_equal(count, slot->gpa ? HIGH : LOW);
	if (!r->log_reads)
		assert_true(words[0] == (slot->gpa ? 0xf : 0xff));
	else
		assert_true(words[0] == (slot->gpa ? 1 : 1 << 1 | 1 << 5));
	r->clears++;
	fill(&r->from, slot->gpa ? LOW : 5, (uint8_t)(0x50 + r->clears));
	return 0;
}

static void log_stop(void *owner)
{
	struct rig *r = owner;

	assert_true(r->logs);
	r->logs = false;
}

static int freeze(void *owner)
{
	struct rig *r = owner;

	assert_false(r->frozen);
	r->frozen = !r->freeze_error;
	return r->freeze_error;
}

/* Round after round, of which the last stands still; then it has moved. */
static void progressed(void *owner, const struct machine_progress *progress)
{
	struct rig *r = owner;

	assert_int_equal(progress->stands, r->frozen);
	assert_int_equal(progress->round, r->progress.round + !progress->stood_ns);
	assert_true(progress->sent >= r->progress.sent);
	assert_true(progress->total_ns >= r->progress.total_ns);
	r->progress = *progress;
}

static void ended(void *owner, enum migrate_result result, const char *why)
{
	struct rig *r = owner;

	assert_false(r->ended || r->logs);
	r->ended = true;
	r->frozen &= result != MIGRATE_FAILED;
	r->result = result;
	snprintf(r->why, sizeof(r->why), "%s", why);
	loop_stop(&r->loop);
}

static const struct migrate_source_ops ops = {
	.describe = describe,
	.save = save,
	.log_start = log_start,
	.log_read = log_read,
	.log_clear = log_clear,
	.log_stop = log_stop,
	.freeze = freeze,
	.progressed = progressed,
	.ended = ended,
};

static void start(struct rig *r, int fd, uint64_t downtime_ns)
{
	const struct migrate_source_options options = {
		.fd = fd,
		.loop = &r->loop,
		.mem = &r->from,
		.downtime_ns = downtime_ns,
		.ops = &ops,
		.owner = r,
	};

	assert_int_equal(migrate_source_start(r->source, &options), 0);
}

/* --- The target's ------------------------------------------------------------------------------ */

static int load_kept(struct rig *r, int fd)
{
	struct state *state;
	int ret = state_open(&state, fd, "a migration");

	if (ret)
		return ret;
	ret = state_section(state, r->loads, "one", &r->kept);
	if (!ret)
		ret = state_end(state);
	state_free(state);
	return ret;
}

static int load(void *owner, int fd)
{
	struct rig *r = owner;
	uint64_t hash = 0;

	if (r->loads)
		return load_kept(r, fd);
	if (!pread_exactly(fd, &hash, sizeof(hash), 0) && hash == ram_hash(&r->to))
		return 0;
	log_error("its state is another's");
	return -EBADMSG;
}

/* As machine.c, it tells the source what it has logged. */
static void *run_target(void *owner)
{
	struct rig *r = owner;
	char words[5], why[ERROR_TEXT_MAX] = "";

	r->filled = -ENOTCONN;
	log_keep(why, sizeof(why));
	r->hello = migrate_target_hello(&r->target);
	if (r->hello >= 0) {
		if (pread_exactly(r->hello, words, 5, 0) || memcmp(words, "words", 5) != 0)
			abort();
		r->filled = migrate_target_fill(&r->target);
	}
	log_keep(NULL, 0);
	if (*why)
		migrate_target_refuse(r->target.fd, why);
	close_fd(&r->hello);
	close(r->target.fd);
	return NULL;
}

/* --- The wire --------------------------------------------------------------------------------- */

/* Passes on what is there, up to the cut. False: it is reached, or that side has ended. */
static bool pass(int from, int to, size_t cut, size_t *passed)
{
	char bytes[4096];
	size_t want = cut - *passed < sizeof(bytes) ? cut - *passed : sizeof(bytes);
	ssize_t n = want ? read(from, bytes, want) : 0;

	if (n <= 0)
		return false;
	*passed += (size_t)n;
	/* The other side may have ended. */
	return send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n && *passed < cut;
}

static void *run_wire(void *owner)
{
	struct rig *r = owner;
	struct pollfd fds[] = { { r->near[1], POLLIN, 0 }, { r->far[1], POLLIN, 0 } };
	bool open = r->forward && r->backward;

	while (open && poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			open = pass(r->near[1], r->far[1], r->forward, &r->passed[0]);
		else
			open = pass(r->far[1], r->near[1], r->backward, &r->passed[1]);
	}
	close(r->near[1]);
	close(r->far[1]);
	return NULL;
}

static void migrate(struct rig *r)
{
	pthread_t target, wire;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->near), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->far), 0);
	r->target = (struct migrate_target){
		.fd = r->far[0],
		.wake_fd = -1,
		.mem = &r->to,
		.load = load,
		.owner = r,
	};
	assert_int_equal(pthread_create(&target, NULL, run_target, r), 0);
	assert_int_equal(pthread_create(&wire, NULL, run_wire, r), 0);
	start(r, r->near[0], r->downtime_ns);
	assert_int_equal(loop_run(&r->loop), 0);
	pthread_join(target, NULL);
	pthread_join(wire, NULL);
	assert_true(r->ended);
	assert_false(r->logs);
}

static void test_a_machine_moves(void **state)
{
	struct rig *r = *state;

	migrate(r);
	assert_int_equal(r->result, MIGRATE_DONE);
	assert_int_equal(r->filled, 0);
	assert_true(r->frozen);
	assert_string_equal(r->why, "");
	assert_true(r->progress.stood_ns && r->progress.stood_ns <= r->progress.total_ns);
	assert_int_equal(r->progress.round, 2);
	assert_int_equal(r->progress.left, 0);
	assert_memory_equal(r->from.base, r->to.base, r->from.size);
	assert_int_equal(r->log_reads, 2);
	/* It was sent, and then became zero. */
	assert_int_equal(r->to.base[PAGE], 0);
}

/* Each round but the last clears the log of what it sends, in both ranges, and then reads it. */
static void test_pages_are_cleared_before_they_are_read(void **state)
{
	struct rig *r = *state;

	r->rounds = 3;
	r->downtime_ns = 0;
	migrate(r);
	assert_int_equal(r->result, MIGRATE_DONE);
	assert_int_equal(r->clears, 8);
	assert_memory_equal(r->from.base, r->to.base, r->from.size);
}

enum { CHUNK = 4096 };

struct cleared {
	uint64_t end, pages; /* of all parts; in them, those that are set */
};

static int note_part(void *owner, const struct gmem_slot *slot, uint64_t first, uint32_t count,
		     uint64_t *words)
{
	struct cleared *cleared = owner;

	assert_int_equal(first % 64, 0);
	cleared->end = slot->offset / PAGE + first + count;
	for (uint32_t n = 0; n < (count + 63) / 64; n++)
		cleared->pages += (unsigned)__builtin_popcountll(words[n]);
	return 0;
}

static void assert_takes(struct page_set *set, uint64_t gpa, const struct cleared *cleared)
{
	struct page_run run;

	page_set_add(set, gpa);
	assert_int_equal(page_set_take(set, &run), 1);
	assert_true(le64_get(run.header.gpa) == gpa && le32_get(run.header.count) == 1);
	assert_int_equal(cleared->pages, 1);
	assert_int_equal(page_set_take(set, &run), 0);
}

/* RAM is longer than what is cleared at once; the upper range begins within a word of the set. */
static void test_ram_is_cleared_part_by_part(void **state)
{
	static const struct gmem_range large[] = { { 0, (CHUNK + 10) * PAGE },
						   { 1 << 30, CHUNK * PAGE } };
	const struct gmem_options options = { 0 };
	struct cleared cleared = { 0 };
	uint64_t taken = 0;
	struct page_set set;
	struct page_run run;
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, large, 2, &options), 0);
	assert_int_equal(page_set_init(&set, &mem, note_part, &cleared), 0);
	while (page_set_take(&set, &run) > 0) {
		taken += le32_get(run.header.count);
		assert_in_range(taken, 1, cleared.end);
		assert_in_range(cleared.end - taken, 0, CHUNK - 1);
	}
	assert_int_equal(taken, 2 * CHUNK + 10);
	assert_int_equal(cleared.pages, taken);
	/* A round begins anew where the last one has ended, and what is before that, too. */
	for (unsigned i = 0; i < 3; i++) {
		cleared.pages = 0;
		assert_takes(&set, (i ^ 1) * 100 * PAGE, &cleared);
	}
	page_set_destroy(&set);
	gmem_destroy(&mem);
}

/* --- Releases that differ --------------------------------------------------------------------- */

static const struct state_field fields_1[] = { STATE_NUMBER(struct kept, old), STATE_END };
static const struct state_field fields_2[] = {
	STATE_NUMBER(struct kept, old),
	{ .name = "added", .offset = offsetof(struct kept, added), .count = 1, .size = 4,
	  .kind = STATE_FIELD_NUMBER, .since = 2, .max = UINT64_MAX },
	STATE_END,
};

static const struct state_table tables[] = {
	{ .name = "kept", .version = 1, .size = sizeof(struct kept), .fields = fields_1 },
	{ .name = "kept", .version = 2, .size = sizeof(struct kept), .fields = fields_2 },
};

/* What its version lacks is as in a machine that was just built. */
static void test_an_older_release_moves_to_a_newer_one(void **state)
{
	struct rig *r = *state;

	r->saves = &tables[0];
	r->loads = &tables[1];
	r->kept = (struct kept){ .old = 1, .added = 2 };
	migrate(r);
	assert_int_equal(r->result, MIGRATE_DONE);
	assert_int_equal(r->kept.old, 7);
	assert_int_equal(r->kept.added, 2);
}

static void test_a_newer_release_stays_and_says_what_is_newer(void **state)
{
	struct rig *r = *state;

	r->saves = &tables[1];
	r->loads = &tables[0];
	r->kept = (struct kept){ .old = 1, .added = 2 };
	migrate(r);
	assert_int_equal(r->result, MIGRATE_FAILED);
	assert_false(r->frozen);
	assert_int_equal(r->filled, -EBADMSG);
	assert_int_equal(r->kept.old, 1);
	assert_string_equal(r->why, "the target: a migration: section kept (one): version 2; this "
				    "Kinglet knows versions 1 to 1");
}

/* How long each direction is. */
static void measure(size_t *forward, size_t *backward)
{
	void *state;
	struct rig *r;

	assert_int_equal(setup(&state), 0);
	r = state;
	migrate(r);
	*forward = r->passed[0];
	*backward = r->passed[1];
	teardown(&state);
}

enum unknown { NEVER, PERHAPS, ALWAYS };

/*
 * The machine runs here, or it stands still here and knows why: FRAME_COMMIT has left.
 */
static void cut_at(size_t forward, size_t backward, enum unknown unknown)
{
	struct capture capture;
	char text[1024];
	void *state;
	struct rig *r;

	assert_int_equal(setup(&state), 0);
	r = state;
	r->forward = forward;
	r->backward = backward;
	capture_stderr_begin(&capture);
	migrate(r);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_int_equal(r->frozen, r->result == MIGRATE_UNKNOWN);
	assert_true(r->frozen || r->filled);
	if (unknown != PERHAPS)
		assert_int_equal(r->result, unknown ? MIGRATE_UNKNOWN : MIGRATE_FAILED);
	assert_int_not_equal(r->result, MIGRATE_DONE);
	assert_string_not_equal(r->why, "");
	/* A machine that is the target's runs there, whatever its source knows. */
	assert_int_equal(!*text, !r->filled);
	assert_true(r->filled || backward < NO_CUT);
	teardown(&state);
}

/* Every byte, but of the insides of pages. */
static void test_a_cut_on_the_way_to_the_target_leaves_one_machine(void **state)
{
	const size_t commit = sizeof(struct frame_header);
	size_t forward, backward;

	(void)state;
	measure(&forward, &backward);
	for (size_t at = 0; at < forward; at += at > 100 && at + 100 < forward ? 61 : 1)
		cut_at(at, NO_CUT, at > forward - commit ? ALWAYS : NEVER);
}

static void test_a_cut_on_the_way_to_the_source_leaves_one_machine(void **state)
{
	const size_t ready = 2 * sizeof(struct frame_header);
	size_t forward, backward;

	(void)state;
	measure(&forward, &backward);
	assert_int_equal(backward, ready + sizeof(struct frame_header));
	for (size_t at = 0; at < backward; at++)
		cut_at(NO_CUT, at, at > ready ? ALWAYS : at == ready ? PERHAPS : NEVER);
}

/* --- Peers that lie --------------------------------------------------------------------------- */

/* What a target says that has read nothing. */
static void test_a_hostile_target_changes_nothing(void **state)
{
#define HEAD(type, len) { type, 0, 0, 0, len, 0, 0, 0 }
	static const struct {
		uint8_t says[40];
		size_t len;
		const char *why;
	} cases[] = {
		{ HEAD(FRAME_BUILT, 0), 8, "none of the protocol" },
		{ HEAD(FRAME_DONE, 0), 8, "none of the protocol" },
		{ HEAD(0, 0), 8, "none of the protocol" },
		{ HEAD(FRAME_ERROR, ERROR_TEXT_MAX + 1), 8, "none of the protocol" },
		{ { 1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff }, 8, "none of the protocol" },
		{ { FRAME_ERROR, 0, 0, 0, 3, 0, 0, 0, 'n', 27, 'o' }, 11, "the target: n?o" },
		{ HEAD(FRAME_ERROR, 3), 8, "closed the connection" },
		{ HEAD(FRAME_ERROR, 0), 8, "the target: " },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->near), 0);
		assert_int_equal(write_all(r->near[1], cases[i].says, cases[i].len), 0);
		shutdown(r->near[1], SHUT_WR);
		r->ended = false;
		start(r, r->near[0], 0);
		assert_int_equal(loop_run(&r->loop), 0);
		assert_int_equal(r->result, MIGRATE_FAILED);
		assert_non_null(strstr(r->why, cases[i].why));
		close(r->near[1]);
		eventfd_drain(r->loop.stop_fd);
	}
}

struct lie {
	uint32_t type, len;
	uint64_t gpa;
	uint32_t count, flags;
	const char *why;
};

static void put_frame(int fd, uint32_t type, uint32_t len)
{
	const struct frame_header header = { .type = le32_of(type), .len = le32_of(len) };

	assert_int_equal(write_all(fd, &header, sizeof(header)), 0);
}

static void put_pages(int fd, const struct lie *lie)
{
	const struct pages_header pages = {
		.gpa = le64_of(lie->gpa),
		.count = le32_of(lie->count),
		.flags = le32_of(lie->flags),
	};
	uint8_t data[2 * PAGE] = { 1 };

	put_frame(fd, lie->type, lie->len);
	assert_int_equal(write_all(fd, &pages, sizeof(pages)), 0);
	assert_int_equal(write_all(fd, data, sizeof(data)), 0);
}

static void expect_end(struct rig *r, int error, const char *why)
{
	struct capture capture;

	capture_stderr_begin(&capture);
	assert_int_equal(migrate_target_fill(&r->target), error);
	capture_expect(&capture, why);
	close(r->far[0]);
	close(r->far[1]);
}

/* The source has sent all. */
static void expect_refused(struct rig *r, int error, const char *why)
{
	shutdown(r->far[1], SHUT_WR);
	expect_end(r, error, why);
}

static void connect_target(struct rig *r)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->far), 0);
	r->target = (struct migrate_target){
		.fd = r->far[0],
		.wake_fd = -1,
		.mem = &r->to,
		.load = load,
		.owner = r,
	};
}

static void test_a_hostile_source_is_refused(void **state)
{
	static const struct lie lies[] = {
		{ FRAME_PAGES, 16 + PAGE, LOW * PAGE, 1, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + 2 * PAGE, (LOW - 1) * PAGE, 2, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGE, 1, 1, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGE, UINT64_MAX - PAGE + 1, 1, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGE, 0, 2, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGE, 0, 1, PAGES_ZERO, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGE, 0, 1, 2, "not of this machine's RAM" },
		{ FRAME_PAGES, 16, 0, 0, PAGES_ZERO, "not of this machine's RAM" },
		{ FRAME_PAGES, 16, 0, PAGES_MAX + 1, PAGES_ZERO, "not of this machine's RAM" },
		{ FRAME_PAGES, 8, 0, 1, 0, "not of this machine's RAM" },
		{ FRAME_PAGES, 16 + PAGES_MAX * PAGE + 1, 0, 1, 0, "not of this machine's RAM" },
		{ FRAME_STATE, STATE_MAX_SIZE + 1, 0, 0, 0, "in place of pages" },
		{ FRAME_COMMIT, 0, 0, 0, 0, "in place of pages" },
		{ FRAME_STATE, 16, 0, 0, 0, "its state is another's" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		connect_target(r);
		put_pages(r->far[1], &lies[i]);
		expect_refused(r, -EBADMSG, lies[i].why);
	}
	assert_int_equal(r->to.base[0], 0);
}

/* The one answer to a machine that is there is FRAME_COMMIT. */
static void test_a_machine_waits_for_its_commit(void **state)
{
	static const struct {
		uint32_t type, len;
		int error;
	} cases[] = {
		{ FRAME_COMMIT, 1, -EBADMSG },
		{ FRAME_STATE, 0, -EBADMSG },
		{ FRAME_PAGES, 0, -EBADMSG },
		{ 0, 0, -ECONNRESET },
	};
	struct rig *r = *state;
	uint64_t hash = ram_hash(&r->to);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		connect_target(r);
		put_frame(r->far[1], FRAME_STATE, sizeof(hash));
		assert_int_equal(write_all(r->far[1], &hash, sizeof(hash)), 0);
		if (cases[i].type)
			put_frame(r->far[1], cases[i].type, cases[i].len);
		expect_refused(r, cases[i].error, "incoming machine: ");
	}
}

static void test_a_source_cannot_send_without_an_end(void **state)
{
	struct rig *r = *state;
	const struct lie zeros = { FRAME_PAGES, 16, 0, LOW, PAGES_ZERO, NULL };
	uint8_t frame[24] = { FRAME_PAGES, 0, 0, 0, 16 };

	connect_target(r);
	frame[16] = (uint8_t)zeros.count;
	frame[20] = PAGES_ZERO;
	for (unsigned sent = 0; sent <= 64 * (LOW + HIGH); sent += LOW)
		assert_int_equal(write_all(r->far[1], frame, sizeof(frame)), 0);
	expect_refused(r, -EBADMSG, "more than 64 times its RAM");
}

static void test_hello_is_of_this_version(void **state)
{
	static const struct {
		uint32_t type, len, version;
		const char *why;
	} cases[] = {
		{ FRAME_HELLO, 4, MIGRATE_VERSION + 1, "version 2" },
		{ FRAME_HELLO, 3, MIGRATE_VERSION, "no migration" },
		{ FRAME_HELLO, HELLO_MAX + 1, MIGRATE_VERSION, "no migration" },
		{ FRAME_STATE, 4, MIGRATE_VERSION, "no migration" },
	};
	struct rig *r = *state;
	struct capture capture;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		connect_target(r);
		put_frame(r->far[1], cases[i].type, cases[i].len);
		assert_int_equal(write_all(r->far[1], &cases[i].version, 4), 0);
		capture_stderr_begin(&capture);
		assert_int_equal(migrate_target_hello(&r->target), -EBADMSG);
		capture_expect(&capture, cases[i].why);
		close(r->far[0]);
		close(r->far[1]);
	}
}

static void test_a_target_that_is_woken_gives_up(void **state)
{
	struct rig *r = *state;
	int wake = eventfd(1, EFD_CLOEXEC);

	assert_true(wake >= 0);
	connect_target(r);
	r->target.wake_fd = wake;
	expect_end(r, -ECANCELED, "given up");
	close(wake);
}

/* --- Sources that do not get there ------------------------------------------------------------ */

static void expect_failure(struct rig *r, const char *why)
{
	struct capture capture;
	char text[1024];

	capture_stderr_begin(&capture);
	migrate(r);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_int_equal(r->result, MIGRATE_FAILED);
	assert_false(r->frozen);
	assert_int_not_equal(r->filled, 0);
	assert_non_null(strstr(r->why, why));
}

static void test_a_guest_that_cannot_be_frozen_goes_on(void **state)
{
	struct rig *r = *state;

	r->freeze_error = -EBUSY;
	expect_failure(r, "it was paused meanwhile");
}

static void test_a_guest_that_cannot_be_saved_goes_on(void **state)
{
	struct rig *r = *state;

	r->save_error = -ENOMEM;
	expect_failure(r, strerror(ENOMEM));
}

static void test_rounds_have_an_end(void **state)
{
	struct rig *r = *state;

	r->rounds = 1000;
	r->downtime_ns = 1;
	expect_failure(r, "after 32 rounds the guest still writes");
	assert_non_null(strstr(r->why, "give it less to do, or let it stand still for longer: "
				       "--downtime "));
	assert_int_equal(r->log_reads, 32);
}

static void cancel(struct loop_event *event, uint32_t events)
{
	struct rig *r = container_of(event, struct rig, canceller);

	(void)events;
	eventfd_drain(event->fd);
	assert_int_equal(migrate_source_cancel(r->source), 0);
}

static void test_a_cancelled_migration_changes_nothing(void **state)
{
	struct rig *r = *state;

	assert_int_equal(migrate_source_cancel(r->source), -EALREADY);
	r->canceller.fn = cancel;
	assert_int_equal(loop_eventfd_add(&r->loop, &r->canceller), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->near), 0);
	start(r, r->near[0], 0);
	eventfd_signal(r->canceller.fd);
	assert_int_equal(loop_run(&r->loop), 0);
	assert_int_equal(r->result, MIGRATE_FAILED);
	assert_string_equal(r->why, "cancelled");
	assert_int_equal(migrate_source_cancel(r->source), -EALREADY);
	close(r->near[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_machine_moves),
		TEST(test_pages_are_cleared_before_they_are_read),
		TEST(test_ram_is_cleared_part_by_part),
		TEST(test_an_older_release_moves_to_a_newer_one),
		TEST(test_a_newer_release_stays_and_says_what_is_newer),
		TEST(test_a_cut_on_the_way_to_the_target_leaves_one_machine),
		TEST(test_a_cut_on_the_way_to_the_source_leaves_one_machine),
		TEST(test_a_hostile_target_changes_nothing),
		TEST(test_a_hostile_source_is_refused),
		TEST(test_a_machine_waits_for_its_commit),
		TEST(test_a_source_cannot_send_without_an_end),
		TEST(test_hello_is_of_this_version),
		TEST(test_a_target_that_is_woken_gives_up),
		TEST(test_a_guest_that_cannot_be_frozen_goes_on),
		TEST(test_a_guest_that_cannot_be_saved_goes_on),
		TEST(test_rounds_have_an_end),
		TEST(test_a_cancelled_migration_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
