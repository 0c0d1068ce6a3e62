/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net on a stream of frames: a fake passt at the other end of a socketpair, or a script. */
#include "backend/local.h"
#include "base/le.h"
#include "capture.h"
#include "net_card.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { FRAME = 200, MTU = 65520, ETH = 14, PREFIX = 4 };

static void bind_all(struct net_card *f)
{
	assert_int_equal(local_backend_bind(f->dev, 0, f->dev->queue_count), 0);
	mock_transport_init(&f->transport, f->dev);
	card_bind_rings(f);
}

static int setup(void **state)
{
	struct tap tap = { .name = "user0", .mtu = MTU };
	const struct virtio_net_options options = {
		.taps = &tap, .pairs = 1, .features = ~0ULL, .stream = true
	};
	int fds[2], ret = card_setup(state);
	struct net_card *f = *state;

	card_drop(f);
	tap.sys = &f->env.fake.sys;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	tap.fd = fds[0];
	f->wire = fds[1];
	assert_int_equal(virtio_net_new(&f->dev, &f->env.virtio, 0, &options), 0);
	bind_all(f);
	return ret;
}

static int teardown(void **state)
{
	return card_teardown(state);
}

/* A frame, as the program sends it: len is that of card_make_frame(). Returns its length. */
static size_t make(uint8_t *out, size_t len, unsigned number)
{
	static uint8_t frame[CARD_BIG];
	uint32_t prefix = htonl((uint32_t)(len - CARD_HEADER));

	card_make_frame(frame, len, number);
	memcpy(out, &prefix, PREFIX);
	memcpy(out + PREFIX, frame + CARD_HEADER, len - CARD_HEADER);
	return PREFIX + len - CARD_HEADER;
}

static void wire_send(struct net_card *f, size_t len, unsigned number)
{
	static uint8_t out[CARD_BIG];
	size_t n = make(out, len, number);

	assert_int_equal(send(f->wire, out, n, MSG_NOSIGNAL), n);
}

/* Everything that arrives until there is nothing more, appended. */
static size_t wire_take(struct net_card *f, uint8_t *in, size_t size, size_t have)
{
	ssize_t len;

	while ((len = recv(f->wire, in + have, size - have, 0)) > 0) {
		have += (size_t)len;
		mock_env_dispatch(&f->env);
	}
	return have;
}

/* These bytes are the frames from `number` on, each of `len`; returns the next number. */
static unsigned expect_frames(const uint8_t *in, size_t have, size_t len, unsigned number)
{
	static uint8_t want[CARD_BIG];
	size_t n = PREFIX + len - CARD_HEADER;

	assert_int_equal(have % n, 0);
	for (size_t at = 0; at < have; at += n) {
		make(want, len, number++);
		assert_memory_equal(in + at, want, n);
	}
	return number;
}

/* The driver sends a frame, whose header is in a piece of its own, in part. */
static void guest_send(struct net_card *f, uint64_t at, size_t len, unsigned number)
{
	static uint8_t frame[CARD_BIG];
	const struct mock_buf bufs[] = {
		{ .gpa = at, .len = 7 },
		{ .gpa = at + 7, .len = 20 },
		{ .gpa = at + 27, .len = (uint32_t)len - 27 },
	};

	card_make_frame(frame, len, number);
	assert_int_equal(gmem_write(&f->env.mem, at, frame, len), 0);
	mock_ring_add(&f->tx, bufs, 3);
}

static unsigned reap(struct net_card *f)
{
	uint32_t written;
	unsigned n = 0;
	uint16_t head;

	for (; mock_ring_reap(&f->tx, &head, &written); n++)
		assert_int_equal(written, 0);
	return n;
}

static bool link_is_up(struct net_card *f)
{
	uint8_t config[12];

	card_read_config(f, config);
	return get_le16(config + 6) & VIRTIO_NET_S_LINK_UP;
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void it_offers_a_large_mtu_and_no_offloads(void **state)
{
	struct net_card *f = *state;
	uint8_t config[12];

	assert_false(f->dev->offered & 0x7fffULL & ~(1ULL << VIRTIO_NET_F_MAC) &
		     ~(1ULL << VIRTIO_NET_F_MTU));
	card_read_config(f, config);
	assert_int_equal(get_le16(config + 10), MTU);
}

static void frames_arrive_in_any_pieces(void **state)
{
	struct net_card *f = *state;
	uint8_t out[3 * FRAME];
	size_t n = make(out, FRAME, 1);

	n += make(out + n, FRAME + 1, 2);
	card_start(f, CARD_MERGE);
	card_give_many(f, 4, 2048);
	card_kick(f, &f->rx);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(send(f->wire, out + i, 1, 0), 1);
		mock_env_dispatch(&f->env);
		if (i < FRAME - CARD_HEADER + PREFIX - 1)
			card_expect_nothing(f);
	}
	card_expect_received(f, FRAME, 1, 1);
	card_expect_received(f, FRAME + 1, 2, 1);
	assert_int_equal(card_stats(f).rx_frames, 2);
}

static void frames_wait_for_buffers(void **state)
{
	struct net_card *f = *state;
	const unsigned frames = 3 * CARD_TURN;

	card_start(f, CARD_MERGE);
	for (unsigned i = 0; i < frames; i++)
		wire_send(f, FRAME, i);
	mock_env_dispatch(&f->env);
	card_expect_nothing(f);
	for (unsigned i = 0; i < frames; i++) {
		card_give_many(f, 2, 100);
		card_kick(f, &f->rx);
		card_expect_received(f, FRAME, i, 2);
		card_expect_nothing(f);
	}
	card_give_many(f, CARD_RING, 1000);
	card_kick(f, &f->rx);
	for (unsigned i = 0; i < frames; i++)
		wire_send(f, FRAME, i);
	mock_env_dispatch(&f->env);
	for (unsigned i = 0; i < frames; i++)
		card_expect_received(f, FRAME, i, 1);
}

static void large_frames_go_round_the_buffer(void **state)
{
	struct net_card *f = *state;
	const size_t len = CARD_HEADER + ETH + MTU;

	card_start(f, CARD_MERGE);
	for (unsigned i = 0; i < 12; i++) {
		card_give_many(f, 66, 1000);
		card_kick(f, &f->rx);
		wire_send(f, len - i * 100, i);
		wire_send(f, FRAME, 100 + i);
		mock_env_dispatch(&f->env);
		card_expect_received(f, len - i * 100, i, (unsigned)((len - i * 100 + 999) / 1000));
		card_give(f, 1000);
		card_kick(f, &f->rx);
		card_expect_received(f, FRAME, 100 + i, 1);
	}
}

static void frames_that_no_driver_could_take_are_dropped(void **state)
{
	struct net_card *f = *state;

	card_start(f, 0);
	card_give_many(f, 2, FRAME);
	card_kick(f, &f->rx);
	wire_send(f, CARD_HEADER, 1); /* empty, */
	wire_send(f, CARD_HEADER + ETH - 1, 2);
	wire_send(f, FRAME + 1, 3); /* more than a buffer, */
	wire_send(f, FRAME, 4);
	mock_env_dispatch(&f->env);
	card_expect_received(f, FRAME, 4, 1);
	assert_int_equal(card_stats(f).rx_dropped, 3);
	assert_true(link_is_up(f));
}

/* The longest passes; one byte more costs the program its socket: it may have lost its place. */
static void a_frame_that_is_too_long_takes_the_link_down(void **state)
{
	static const uint8_t longest[PREFIX + 0x10015] = { 0, 1, 0, 0x15 };
	struct net_card *f = *state;
	struct capture capture;
	char said[300];

	card_start(f, CARD_MERGE);
	card_give_many(f, 70, 1000);
	card_kick(f, &f->rx);
	assert_int_equal(send(f->wire, longest, sizeof(longest), 0), sizeof(longest));
	mock_env_dispatch(&f->env);
	assert_int_equal(card_stats(f).rx_frames, 1);
	capture_stderr_begin(&capture);
	assert_int_equal(send(f->wire, "\0\1\0\x16", 4, 0), 4);
	mock_env_dispatch(&f->env);
	mock_env_dispatch(&f->env);
	capture_stderr_end(&capture, said, sizeof(said));
	assert_string_equal(said, "kinglet: virtio-net 0: passt sent a frame that is too long: link "
				  "down\n");
	assert_false(link_is_up(f));
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	guest_send(f, MOCK_SEAM, FRAME, 1);
	card_kick(f, &f->tx);
	assert_int_equal(reap(f), 1);
	assert_int_equal(card_stats(f).tx_dropped, 1);
}

static void its_end_takes_the_link_down(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_MERGE);
	assert_true(link_is_up(f));
	close_fd(&f->wire);
	mock_env_dispatch(&f->env);
	assert_false(link_is_up(f));
	for (unsigned i = 0; i < 3; i++)
		guest_send(f, MOCK_SEAM, FRAME, i);
	card_kick(f, &f->tx);
	assert_int_equal(reap(f), 3);
	assert_int_equal(card_stats(f).tx_dropped, 3);
	/* A driver may begin anew, without a network. */
	mock_driver_status(f->dev, 0);
	card_bind_rings(f);
	card_start(f, CARD_MERGE);
	assert_false(link_is_up(f));
}

static void frames_are_sent_in_batches(void **state)
{
	static uint8_t in[CARD_RING * (FRAME + PREFIX)];
	struct net_card *f = *state;
	unsigned got = 0;

	card_start(f, 0);
	for (unsigned n = 1; n <= 80; n += 13) {
		for (unsigned i = 0; i < n; i++)
			guest_send(f, MOCK_SEAM + i * 1024, FRAME, got + i);
		card_kick(f, &f->tx);
		assert_int_equal(reap(f), n);
		assert_int_equal(expect_frames(in, wire_take(f, in, sizeof(in), 0), FRAME, got),
				 got + n);
		got += n;
	}
	assert_int_equal(card_stats(f).tx_frames, got);
}

static void frames_of_a_wrong_size_are_not_sent(void **state)
{
	static uint8_t in[CARD_BIG];
	struct net_card *f = *state;

	card_start(f, 0);
	mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = CARD_HEADER + 13 }, 1);
	guest_send(f, MOCK_SEAM, FRAME, 5);
	mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = CARD_BIG + 9 }, 1);
	card_kick(f, &f->tx);
	assert_int_equal(reap(f), 3);
	assert_int_equal(expect_frames(in, wire_take(f, in, sizeof(in), 0), FRAME, 5), 6);
	assert_int_equal(card_stats(f).tx_dropped, 2);
}

/*
 * A program that does not read: what the socket has no room for stays in the ring, and no byte is
 * lost or sent twice; also when the device is stopped, or has another driver, in the middle of a
 * frame.
 */
static void send_into_a_full_socket(struct net_card *f, void (*meanwhile)(struct net_card *f))
{
	enum { FRAMES = 60, LEN = 20000, ALL = FRAMES * (LEN - CARD_HEADER + PREFIX) };
	uint8_t *in = test_calloc(1, ALL);
	unsigned done;
	size_t have;

	card_start(f, 0);
	for (unsigned i = 0; i < FRAMES; i++)
		guest_send(f, MOCK_SEAM + (uint64_t)i * LEN, LEN, i);
	card_kick(f, &f->tx);
	done = reap(f);
	assert_true(done > 0 && done < FRAMES);
	if (meanwhile) {
		/* Odd amounts, so that frames are cut anywhere. */
		have = (size_t)recv(f->wire, in, 77777, 0);
		meanwhile(f);
		have = wire_take(f, in, ALL, have);
	} else {
		have = wire_take(f, in, ALL, 0);
	}
	done += reap(f);
	assert_int_equal(expect_frames(in, have, LEN, 0), done);
	test_free(in);
}

static void a_full_socket_stops_the_ring(void **state)
{
	send_into_a_full_socket(*state, NULL);
	assert_int_equal(card_stats(*state).tx_frames, 60);
}

static void freeze(struct net_card *f)
{
	virtio_freeze(f->dev);
	virtio_thaw(f->dev);
	mock_env_dispatch(&f->env);
}

static void a_full_socket_outlives_a_freeze(void **state)
{
	send_into_a_full_socket(*state, freeze);
	assert_int_equal(card_stats(*state).tx_frames, 60);
}

static void restart(struct net_card *f)
{
	mock_driver_status(f->dev, 0);
	card_bind_rings(f);
	card_start(f, 0);
}

static void a_frame_sent_in_part_outlives_a_reset(void **state)
{
	enum { LEN = 20000, FRAMES = 60 };
	struct net_card *f = *state;
	uint8_t *in = test_calloc(1, FRAMES * LEN);
	size_t have, n = LEN - CARD_HEADER + PREFIX;
	unsigned done;

	card_start(f, 0);
	for (unsigned i = 0; i < FRAMES; i++)
		guest_send(f, MOCK_SEAM + (uint64_t)i * LEN, LEN, i);
	card_kick(f, &f->tx);
	done = reap(f);
	restart(f);
	guest_send(f, MOCK_SEAM, LEN, 99);
	card_kick(f, &f->tx);
	have = wire_take(f, in, FRAMES * LEN, 0);
	assert_int_equal(have, (done + 1) * n);
	assert_int_equal(expect_frames(in, have - n, LEN, 0), done);
	assert_int_equal(expect_frames(in + have - n, n, LEN, 99), 100);
	assert_int_equal(reap(f), 1);
	test_free(in);
}

/* Half a frame has arrived at the reset; whole ones are not for the next driver. */
static void the_stream_stays_in_step_over_a_reset(void **state)
{
	struct net_card *f = *state;
	uint8_t out[FRAME + PREFIX];
	size_t n = make(out, FRAME, 3);

	card_start(f, CARD_MERGE);
	wire_send(f, FRAME, 1);
	wire_send(f, FRAME, 2);
	assert_int_equal(send(f->wire, out, 50, 0), 50);
	mock_env_dispatch(&f->env);
	restart(f);
	assert_int_equal(send(f->wire, out + 50, n - 50, 0), n - 50);
	card_give_many(f, 4, 1000);
	card_kick(f, &f->rx);
	card_expect_received(f, FRAME, 3, 1);
	card_expect_nothing(f);
}

/* --- The program ------------------------------------------------------------------------------ */

/* A passt that does what `script` says, with its arguments in the file `args`. */
static char folder[] = "/tmp/kinglet-passt-XXXXXX", path_before[2000];

static void fake_passt(const char *script)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/passt", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho \"$*\" >%s/args\n%s\n", folder, script);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static int passt_setup(void **state)
{
	char path[2100];
	int ret = card_setup(state);
	struct net_card *f = *state;

	card_drop(f);
	f->env.virtio.sys = &f->env.fake.sys;
	assert_non_null(mkdtemp(folder));
	snprintf(path_before, sizeof(path_before), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s:%s", folder, path_before);
	setenv("PATH", path, 1);
	return ret;
}

static int passt_teardown(void **state)
{
	char command[100];

	((struct net_card *)*state)->wire = -1;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	setenv("PATH", path_before, 1);
	card_teardown(state);
	/* Neither a program nor a zombie. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return 0;
}

static void create(struct net_card *f, const struct net_config *config)
{
	assert_int_equal(net_kind.create(&f->dev, &f->env.virtio, 0, config), 0);
	bind_all(f);
	card_start(f, CARD_MERGE);
}

static void expect_args(const char *want)
{
	char path[64], got[500] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/args", folder);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(got, sizeof(got), file));
	fclose(file);
	assert_string_equal(got, want);
}

static void passt_carries_frames_and_its_end_is_one_line(void **state)
{
	struct net_card *f = *state;
	const struct net_config config = {
		.user = true, .forward_count = 2, .dns_count = 1, .dns = { "1.1.1.1" },
		.forwards = { "tcp:8080:80", "udp:::/53:5353" },
	};
	struct capture capture;
	char said[300];

	/* It returns the first frame, and ends at the second. */
	fake_passt("echo $$ >/proc/self/fd/1; head -c 192 <&3 >&3; head -c 1 <&3 >/dev/null\n"
		   "echo out of memory >&2; exit 1");
	create(f, &config);
	expect_args("--foreground --quiet --fd 3 --pid /proc/self/fd/1 --no-map-gw --tcp-ports "
		    "127.0.0.1/8080:80 --udp-ports ::/53:5353 --dns 1.1.1.1\n");
	card_give_many(f, 2, 1000);
	card_kick(f, &f->rx);
	guest_send(f, MOCK_SEAM, FRAME, 7);
	card_kick(f, &f->tx);
	while (!card_stats(f).rx_frames)
		mock_env_dispatch(&f->env);
	card_expect_received(f, FRAME, 7, 1);
	guest_send(f, MOCK_SEAM, FRAME, 8);
	capture_stderr_begin(&capture);
	card_kick(f, &f->tx);
	/* The socket closes before the program has ended: only that tells why. Until it is reaped. */
	for (siginfo_t info; !waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);)
		mock_env_dispatch(&f->env);
	capture_stderr_end(&capture, said, sizeof(said));
	assert_string_equal(said, "kinglet: virtio-net 0: passt has ended (exit status 1: out of "
				  "memory): link down\n");
	assert_false(link_is_up(f));
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* What its create() says when it fails. */
static void refused(struct net_card *f, char *said, size_t len)
{
	const struct net_config config = { .user = true, .loopback = true };
	struct virtio_dev *dev;
	struct capture capture;

	capture_stderr_begin(&capture);
	assert_int_equal(net_kind.create(&dev, &f->env.virtio, 0, &config), -EIO);
	capture_stderr_end(&capture, said, len);
}

static void a_passt_that_does_not_start_says_why(void **state)
{
	struct net_card *f = *state;
	char said[300];

	fake_passt("echo 'No routable interface' >&2; exit 1");
	refused(f, said, sizeof(said));
	expect_args("--foreground --quiet --fd 3 --pid /proc/self/fd/1\n");
	assert_string_equal(said, "kinglet: net user: passt: exit status 1: No routable "
				  "interface\n");
	setenv("PATH", "/nonexistent", 1);
	refused(f, said, sizeof(said));
	assert_string_equal(said, "kinglet: net user: passt: not found (apt install passt)\n");
	setenv("PATH", path_before, 1);
	/* For the teardown. */
	card_make(f, "tap0", 0, 1500, NULL);
	close_fd(&f->wire);
}

static void passt_ends_with_the_device(void **state)
{
	struct net_card *f = *state;

	fake_passt("trap '' TERM HUP; echo ready; while :; do sleep 100; done");
	create(f, &(const struct net_config){ .user = true, .loopback = true });
	assert_true(link_is_up(f));
}

#define PASST_TEST(name) cmocka_unit_test_setup_teardown(name, passt_setup, passt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_offers_a_large_mtu_and_no_offloads),
		TEST(frames_arrive_in_any_pieces),
		TEST(frames_wait_for_buffers),
		TEST(large_frames_go_round_the_buffer),
		TEST(frames_that_no_driver_could_take_are_dropped),
		TEST(a_frame_that_is_too_long_takes_the_link_down),
		TEST(its_end_takes_the_link_down),
		TEST(frames_are_sent_in_batches),
		TEST(frames_of_a_wrong_size_are_not_sent),
		TEST(a_full_socket_stops_the_ring),
		TEST(a_full_socket_outlives_a_freeze),
		TEST(a_frame_sent_in_part_outlives_a_reset),
		TEST(the_stream_stays_in_step_over_a_reset),
		PASST_TEST(passt_carries_frames_and_its_end_is_one_line),
		PASST_TEST(a_passt_that_does_not_start_says_why),
		PASST_TEST(passt_ends_with_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
