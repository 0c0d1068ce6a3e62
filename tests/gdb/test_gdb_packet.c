/* SPDX-License-Identifier: Apache-2.0 */
#include "../../vmm/gdb/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Feeds bytes; returns the result of the last one. All others return nothing. */
static enum gdb_input feed(struct gdb_parser *parser, const char *bytes, size_t len)
{
	enum gdb_input input = GDB_MORE;

	for (size_t i = 0; i < len; i++) {
		assert_int_equal(input, GDB_MORE);
		input = gdb_parser_take(parser, (uint8_t)bytes[i]);
	}
	return input;
}

static enum gdb_input feed_text(struct gdb_parser *parser, const char *text)
{
	return feed(parser, text, strlen(text));
}

static void a_packet_is_taken(void **state)
{
	struct gdb_parser parser = { .len = 0 };

	(void)state;
	assert_int_equal(feed_text(&parser, "+$m0,4#FD"), GDB_PACKET);
	assert_int_equal(parser.len, 4);
	assert_string_equal(parser.data, "m0,4");
	assert_int_equal(feed_text(&parser, "+$#00"), GDB_PACKET);
	assert_string_equal(parser.data, "");
}

static void escapes_are_taken_out(void **state)
{
	struct gdb_parser parser = { .len = 0 };

	(void)state;
	/* "}" and a byte XOR 0x20; the sum is that of the bytes as sent. */
	assert_int_equal(feed_text(&parser, "$X}\x03}]}\x04#33"), GDB_PACKET);
	assert_int_equal(parser.len, 4);
	assert_memory_equal(parser.data, "X#}$", 4);
}

static void a_wrong_sum_is_seen(void **state)
{
	struct gdb_parser parser = { .len = 0 };

	(void)state;
	assert_int_equal(feed_text(&parser, "$g#68"), GDB_BROKEN);
	assert_int_equal(feed_text(&parser, "$g#6x"), GDB_BROKEN);
	assert_int_equal(feed_text(&parser, "$g#67"), GDB_PACKET);
}

static void a_new_packet_ends_a_lost_one(void **state)
{
	struct gdb_parser parser = { .len = 0 };

	(void)state;
	assert_int_equal(feed_text(&parser, "$m0,}$g#67"), GDB_PACKET);
	assert_string_equal(parser.data, "g");
}

static void what_is_too_long_is_broken(void **state)
{
	struct gdb_parser parser = { .len = 0 };
	uint8_t sum = 0;
	char end[4];

	(void)state;
	for (unsigned longer = 0; longer < 2; longer++) {
		assert_int_equal(feed_text(&parser, "$"), GDB_MORE);
		sum = 0;
		for (unsigned i = 0; i < GDB_PACKET_MAX + longer; i++, sum += 'a')
			assert_int_equal(feed_text(&parser, "a"), GDB_MORE);
		snprintf(end, sizeof(end), "#%02x", sum);
		assert_int_equal(feed_text(&parser, end), longer ? GDB_BROKEN : GDB_PACKET);
		assert_int_equal(parser.len, GDB_PACKET_MAX);
	}
}

static void control_bytes_count_between_packets(void **state)
{
	struct gdb_parser parser = { .len = 0 };

	(void)state;
	assert_int_equal(feed_text(&parser, "++\n\x03"), GDB_INTERRUPT);
	assert_int_equal(feed_text(&parser, "-"), GDB_AGAIN);
	assert_int_equal(feed_text(&parser, "$\x03-#30"), GDB_PACKET);
	assert_int_equal(parser.len, 2);
}

/* Sent packets are received unchanged. */
static void frames_are_packets(void **state)
{
	struct gdb_reply reply = { .len = 0 };
	struct gdb_parser parser = { .len = 0 };
	char frame[GDB_FRAME_MAX];
	size_t len;

	(void)state;
	gdb_reply_format(&reply, "m%x,", 255);
	gdb_reply_hex(&reply, "\x00\x9f", 2);
	gdb_reply_add(&reply, "#$}*\0", 5);
	len = gdb_reply_frame(&reply, frame);
	assert_memory_equal(frame, "$mff,009f}\x03}\x04}]}\x0a", 17);
	assert_int_equal(feed(&parser, frame, len), GDB_PACKET);
	assert_int_equal(parser.len, reply.len);
	assert_memory_equal(parser.data, reply.data, reply.len);
}

static void a_reply_is_cut(void **state)
{
	struct gdb_reply reply = { .len = 0 };
	char frame[GDB_FRAME_MAX];

	(void)state;
	for (unsigned i = 0; i < GDB_PACKET_MAX; i++)
		gdb_reply_add(&reply, "##", 2);
	assert_int_equal(reply.len, GDB_PACKET_MAX);
	assert_true(gdb_reply_frame(&reply, frame) < sizeof(frame));
}

static void numbers_are_read(void **state)
{
	const char *text = "fFffffffffffffff,1z";
	uint64_t value;

	(void)state;
	assert_true(gdb_take_hex(&text, &value));
	assert_true(value == UINT64_MAX);
	assert_true(gdb_take_char(&text, ','));
	assert_false(gdb_take_char(&text, ','));
	assert_true(gdb_take_hex(&text, &value));
	assert_int_equal(value, 1);
	assert_false(gdb_take_hex(&text, &value));
	text = "10000000000000000";
	assert_false(gdb_take_hex(&text, &value));
}

static void bytes_are_read(void **state)
{
	const char *text = "0aF";
	uint8_t byte;

	(void)state;
	assert_true(gdb_take_bytes(&text, &byte, 1));
	assert_int_equal(byte, 0x0a);
	assert_false(gdb_take_bytes(&text, &byte, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_taken),
		cmocka_unit_test(escapes_are_taken_out),
		cmocka_unit_test(a_wrong_sum_is_seen),
		cmocka_unit_test(a_new_packet_ends_a_lost_one),
		cmocka_unit_test(what_is_too_long_is_broken),
		cmocka_unit_test(control_bytes_count_between_packets),
		cmocka_unit_test(frames_are_packets),
		cmocka_unit_test(a_reply_is_cut),
		cmocka_unit_test(numbers_are_read),
		cmocka_unit_test(bytes_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
