/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine on a fake KVM, with queues that a fake vhost runs, moves while each ioctl of that fails
 * in turn: of its source, whose target is a function, and of a target, which gets what such a source
 * has sent.
 */
#include "fault_rig.h"

#include "../../../vmm/machine/migrate_frame.h"

#include "base/files.h"
#include "core/bus.h"
#include "devices/vsock.h"
#include "machine/migration.h"

#include <linux/pci_regs.h>
#include <pthread.h>
#include <sys/socket.h>

enum { STREAM_MAX = 1 << 20, RINGS_AT = 1 << 20, RING_LEN = 3 << 12 };

/* The other side. */
struct peer {
	int ends[2]; /* [0] is the machine's */
	pthread_t thread;
	uint8_t stream[STREAM_MAX]; /* of the source */
	size_t len;
	bool stays, logs; /* it goes on, and its writes are still logged then */
	bool unlogged;	  /* in a round */
	char why[400];
	bool ready, runs; /* what the target has said */
};

static int setup_peer(void **state)
{
	int ret = setup(state);
	struct rig *r = *state;
	struct vsock_config *vsock = device_set_add(&r->config.devices, &vsock_kind);

	vsock->cid = 3;
	r->owner = calloc(1, sizeof(struct peer));
	return ret;
}

static int teardown_peer(void **state)
{
	free(((struct rig *)*state)->owner);
	return teardown(state);
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, setup_peer, teardown_peer)

/* --- The source ------------------------------------------------------------------------------- */

static void set_status(struct virtio_dev *dev, uint8_t status)
{
	pthread_mutex_lock(&dev->lock);
	virtio_set_status(dev, status);
	pthread_mutex_unlock(&dev->lock);
}

/* The first device becomes a bus master. */
static void set_master(const struct machine_parts *parts)
{
	const uint32_t address = 0x80000000U | 1 << 11 | PCI_COMMAND;
	const uint16_t command = PCI_COMMAND_MASTER;

	assert_true(bus_write(parts->pio, 0xcf8, &address, sizeof(address)));
	assert_true(bus_write(parts->pio, 0xcfc, &command, sizeof(command)));
}

/* What a driver does. */
static void drive(struct rig *r)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	struct virtio_dev *dev = r->parts->devices[0];

	set_master(r->parts);
	set_status(dev, status);
	virtio_ack_features(dev, 1, 1);
	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct virtq_state *q = &dev->queues[i].state;

		q->size = 8;
		q->desc = RINGS_AT + i * RING_LEN;
		q->avail = q->desc + RING_LEN / 3;
		q->used = q->avail + RING_LEN / 3;
		q->enabled = 1;
	}
	set_status(dev, status |= VIRTIO_CONFIG_S_FEATURES_OK);
	set_status(dev, status | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(fake_vhost_running(&r->vhost), 2);
}

static void moves(struct machine_ask *ask)
{
	struct rig *r = container_of(ask, struct rig, ask);
	struct peer *peer = r->owner;
	const struct machine_move move = { .fd = peer->ends[0], .target = "there" };

	drive(r);
	r->counts = true;
	r->result = r->parts->ops->migrate(r->parts->vm, &move);
}

static void answered(struct machine_ask *ask)
{
	struct rig *r = container_of(ask, struct rig, ask);

	if (r->result)
		r->done = true;
}

static bool logs(const struct rig *r)
{
	return r->fake.slots[0].flags || r->vhost.features >> VHOST_F_LOG_ALL & 1;
}

static void happened(void *owner, enum machine_event event, const char *what)
{
	struct rig *r = owner;
	struct peer *peer = r->owner;

	if (event != MACHINE_STAYS)
		return;
	r->counts = false;
	peer->stays = true;
	peer->logs = logs(r);
	snprintf(peer->why, sizeof(peer->why), "%s", what);
	r->done = true;
}

static void progressed(void *owner, const struct machine_progress *progress)
{
	struct rig *r = owner;
	struct peer *peer = r->owner;

	(void)progress;
	peer->unlogged |= r->fake.slots[0].flags != KVM_MEM_LOG_DIRTY_PAGES;
}

static void stopped(void *owner, const struct verdict *verdict)
{
	(void)verdict;
	((struct rig *)owner)->counts = false;
}

static void answer(const struct peer *peer, uint32_t type)
{
	struct frame_header header = { .type = le32_of(type) };

	assert_int_equal(write_all(peer->ends[1], &header, sizeof(header)), 0);
}

static bool read_exactly(struct peer *peer, size_t len)
{
	assert_true(len <= STREAM_MAX - peer->len);
	if (recv(peer->ends[1], peer->stream + peer->len, len, MSG_WAITALL) != (ssize_t)len)
		return false;
	peer->len += len;
	return true;
}

/* Until the source has ended. */
static void *be_target(void *owner)
{
	static const uint8_t answers[FRAMES] = {
		[FRAME_HELLO] = FRAME_BUILT, [FRAME_STATE] = FRAME_READY, [FRAME_COMMIT] = FRAME_DONE,
	};
	struct peer *peer = owner;
	struct frame_header header;

	while (read_exactly(peer, sizeof(header))) {
		memcpy(&header, peer->stream + peer->len - sizeof(header), sizeof(header));
		if (le32_get(header.len) && !read_exactly(peer, le32_get(header.len)))
			break;
		peer->runs |= le32_get(header.type) == FRAME_COMMIT;
		if (answers[le32_get(header.type)])
			answer(peer, answers[le32_get(header.type)]);
	}
	return NULL;
}

static void move(struct rig *r, unsigned fail_at)
{
	static const struct machine_observer_ops ops = {
		.built = built, .happened = happened, .moves = progressed, .stopped = stopped
	};
	struct peer *peer = r->owner;

	*peer = (struct peer){ .len = 0 };
	r->asks = moves;
	r->answered = answered;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer->ends), 0);
	assert_int_equal(pthread_create(&peer->thread, NULL, be_target, peer), 0);
	run_asked(r, &ops, fail_at);
	pthread_join(peer->thread, NULL);
	close(peer->ends[1]);
	assert_int_equal(r->result, 0);
	assert_false(peer->unlogged);
}

static void works(struct machine_ask *ask)
{
	drive(container_of(ask, struct rig, ask));
}

/* Its RAM is given to KVM once, and taken back at the end. */
static void test_a_machine_that_does_not_move_is_not_logged(void **state)
{
	static const struct machine_observer_ops ops = { .built = built };
	struct rig *r = *state;

	r->asks = works;
	run_asked(r, &ops, 0);
	assert_int_equal(r->verdict.status, 7);
	assert_false(logs(r));
	assert_in_range(r->fake.request_count, 1, FAKE_MAX_CALLS - 1);
	assert_int_equal(fake_sys_count(&r->fake, KVM_SET_USER_MEMORY_REGION), 2);
	assert_int_equal(fake_sys_count(&r->fake, VHOST_SET_FEATURES), 1);
	assert_int_equal(fake_sys_count(&r->fake, KVM_GET_DIRTY_LOG), 0);
	assert_int_equal(fake_sys_count(&r->fake, KVM_CLEAR_DIRTY_LOG), 0);
	assert_int_equal(fake_sys_count(&r->fake, VHOST_SET_LOG_BASE), 0);
}

/* Nothing of it is left behind, but for what the kernel refuses to undo. */
static void expect_to_stay(struct rig *r)
{
	struct peer *peer = r->owner;

	assert_int_equal(r->verdict.status, 7);
	assert_false(peer->runs || peer->logs);
	/* The line names what failed, and is told to who asked for it. */
	assert_non_null(strstr(peer->why, ": Input/output error"));
	assert_non_null(strstr(r->said, peer->why));
	assert_non_null(strstr(r->said, "; the machine goes on here\n"));
}

static void test_the_guest_goes_on_after_a_migration_that_fails(void **state)
{
	struct rig *r = *state;
	struct peer *peer = r->owner;
	unsigned fds, total, stays = 0;

	move(r, 0);
	assert_true(r->verdict.outcome == OUTCOME_QUIT && peer->runs);
	total = r->ioctls;
	assert_in_range(total, 10, IOCTLS_MAX);
	fds = fake_open_fds();
	for (unsigned n = 1; n <= total; n++) {
		move(r, n);
		if (peer->stays)
			expect_to_stay(r);
		else
			assert_true(r->verdict.outcome == OUTCOME_QUIT && peer->runs &&
				    (may_fail(r->failed) || *r->said));
		stays += peer->stays;
		assert_int_equal(fake_open_fds(), fds);
	}
	assert_true(stays > total / 2);
}

/* --- The target ------------------------------------------------------------------------------- */

/* All of it at once: a target that does not read it yet has it. */
static void be_source(struct peer *peer)
{
	int room = STREAM_MAX;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer->ends), 0);
	assert_int_equal(setsockopt(peer->ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	assert_int_equal(send(peer->ends[1], peer->stream, peer->len, MSG_DONTWAIT), peer->len);
	shutdown(peer->ends[1], SHUT_WR);
}

/* What the target has said. */
static void hear(struct peer *peer)
{
	struct frame_header header;
	uint32_t len;

	peer->ready = peer->runs = false;
	*peer->why = '\0';
	while (recv(peer->ends[1], &header, sizeof(header), MSG_WAITALL) == sizeof(header)) {
		len = le32_get(header.len);
		peer->ready |= le32_get(header.type) == FRAME_READY;
		peer->runs |= le32_get(header.type) == FRAME_DONE;
		assert_true(len < sizeof(peer->why));
		assert_int_equal(recv(peer->ends[1], peer->why, len, MSG_WAITALL), len);
		peer->why[len] = '\0';
	}
	close(peer->ends[1]);
}

static void arrive(struct rig *r, unsigned fail_at)
{
	struct peer *peer = r->owner;

	be_source(peer);
	r->config.incoming = true;
	r->config.incoming_fd = peer->ends[0];
	assert_int_equal(machine_expect(&r->config.restore, peer->ends[0]), 0);
	r->config.observer_count = 0;
	r->counts = r->done = true;
	run_once(r, fail_at);
	r->counts = false;
	snapshot_free(r->config.restore);
	r->config.restore = NULL;
	close(peer->ends[0]);
	hear(peer);
}

/* From its first ioctl on. Its source is told why, and the guest runs only if that was told so. */
static void test_no_guest_runs_at_a_target_that_fails(void **state)
{
	struct rig *r = *state;
	struct peer *peer = r->owner;
	unsigned fds, total, failed = 0;

	move(r, 0);
	arrive(r, 0);
	assert_true(r->verdict.status == 7 && peer->ready && peer->runs);
	total = r->ioctls;
	fds = fake_open_fds();
	for (unsigned n = 1; n <= total; n++) {
		arrive(r, n);
		assert_int_equal(r->entries != 0, peer->runs);
		if (!peer->runs) {
			assert_true(*peer->why && strstr(r->said, peer->why) && !peer->ready);
			assert_int_equal(r->verdict.status, 101);
			failed++;
		}
		assert_int_equal(fake_open_fds(), fds);
	}
	assert_true(failed > total / 2);
}

/* FRAME_STATE's payload. (docs/migration.md, docs/state.md) */
static uint8_t *state_in(struct peer *peer, uint8_t **end)
{
	struct frame_header header;

	for (size_t at = 0; at < peer->len; at += sizeof(header) + le32_get(header.len)) {
		memcpy(&header, peer->stream + at, sizeof(header));
		if (le32_get(header.type) != FRAME_STATE)
			continue;
		*end = peer->stream + at + sizeof(header) + le32_get(header.len);
		return peer->stream + at + sizeof(header);
	}
	fail_msg("no state");
	return NULL;
}

/* Whatever part a later release has changed, it is named to the source, and no guest runs here. */
static void test_each_section_of_a_newer_release_is_refused_by_name(void **state)
{
	struct rig *r = *state;
	struct peer *peer = r->owner;
	uint8_t *section, *end = NULL;
	unsigned count = 0;
	char name[160];

	move(r, 0);
	for (section = state_in(peer, &end) + 16; section < end; count++) {
		size_t table = section[14], owner = section[15];
		size_t len = 16 + table + owner + get_le32(section + 8);
		uint8_t version = section[12];

		section[12] = 99;
		put_le64(section, bytes_hash(section + 8, len - 8));
		arrive(r, 0);
		snprintf(name, sizeof(name), "section %.*s%s%.*s%s: version 99; this Kinglet knows",
			 (int)table, section + 16, owner ? " (" : "", (int)owner,
			 section + 16 + table, owner ? ")" : "");
		if (!strstr(peer->why, name))
			fail_msg("%s: %s", name, peer->why);
		assert_true(!r->entries && !peer->ready && r->verdict.status == 101);
		section[12] = version;
		put_le64(section, bytes_hash(section + 8, len - 8));
		section += len;
	}
	assert_in_range(count, 20, 200);
	arrive(r, 0);
	assert_true(r->verdict.status == 7 && peer->runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(test_a_machine_that_does_not_move_is_not_logged),
		FAULT_TEST(test_the_guest_goes_on_after_a_migration_that_fails),
		FAULT_TEST(test_no_guest_runs_at_a_target_that_fails),
		FAULT_TEST(test_each_section_of_a_newer_release_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
