/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/guest_log.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What is known, from little to much. */
enum stage { NONE, TEXT, CRASH, END };

struct watcher {
	struct guest_log log;
	enum stage stage;
	struct panic_report report;
};

static void watch(struct watcher *w)
{
	memset(w, 0, sizeof(*w));
}

static void feed_bytes(struct watcher *w, enum guest_stream stream, const void *data, size_t len)
{
	static const enum stage stages[] = {
		[PANIC_UNKNOWN] = NONE,
		[PANIC_TEXT] = TEXT,
		[PANIC_SURE] = CRASH,
	};
	struct verdict end = { 0 };
	bool ended = guest_log_ops.console(&w->log, stream, data, len, &end);

	w->report = w->log.report;
	w->stage = ended ? END : stages[w->report.panic.proof];
	assert_int_equal(ended, end.outcome == OUTCOME_PANIC);
}

static void feed(struct watcher *w, const char *text)
{
	feed_bytes(w, GUEST_SERIAL, text, strlen(text));
}

static const char panic[] =
	"[    1.234567] VFS: cannot open root\r\n"
	"[    1.234568] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
	"[    1.234569] CPU: 0 PID: 1 Comm: swapper/0\r\n"
	"[    1.234570] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r\n";

/* In two pieces cut at every place, and byte by byte. */
static void panic_in_any_pieces(void **state)
{
	struct watcher w;

	(void)state;
	for (size_t cut = 0; cut <= strlen(panic); cut++) {
		watch(&w);
		feed_bytes(&w, GUEST_SERIAL, panic, cut);
		feed_bytes(&w, GUEST_SERIAL, panic + cut, strlen(panic) - cut);
		assert_int_equal(w.stage, END);
		assert_string_equal(w.report.panic.line,
				    "Kernel panic - not syncing: VFS: Unable to mount root fs");
	}
	watch(&w);
	for (size_t i = 0; i < strlen(panic); i++)
		feed_bytes(&w, GUEST_SERIAL, panic + i, 1);
	assert_int_equal(w.stage, END);
}

static void the_line_is_there_as_far_as_it_has_come(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	assert_int_equal(w.report.len, 0);
	feed(&w, "login: Kernel panic - not syncing: Atte");
	assert_int_equal(w.stage, TEXT);
	assert_string_equal(w.report.panic.line, "Kernel panic - not syncing: Atte");
	feed(&w, "mpted to kill init!\nCPU: 0");
	assert_string_equal(w.report.panic.line, "Kernel panic - not syncing: Attempted to kill init!");
}

static void the_first_panic_has_the_line(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w, "Kernel panic - not syncing: one\nKernel panic - not syncing: two\n");
	assert_string_equal(w.report.panic.line, "Kernel panic - not syncing: one");
}

/* What follows decides; what came before does not. */
static void an_old_log_is_told_from_a_panic(void **state)
{
	static const struct {
		const char *text;
		enum stage stage;
	} cases[] = {
		{ "reboot: Power down\nLinux version 6.1\n", NONE },
		{ "Kernel panic - not syncing: x\nroot@host# \n", TEXT },
		{ "Kernel panic - not syncing: x\n[ 2.0] reboot: Power down\n",
		  NONE },
		{ "Kernel panic - not syncing: x\n# reboot: Restarting system\n",
		  NONE },
		{ "Kernel panic - not syncing: x\n[ 0.0] Linux version 6.1\n"
		  "reboot: Restarting system\n",
		  CRASH },
		{ "---[ end Kernel panic - not syncing: x ]---\nreboot: Power down\n",
		  END },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct watcher w;

		watch(&w);
		feed(&w, cases[i].text);
		assert_int_equal(w.stage, cases[i].stage);
		assert_int_equal(w.report.len > 0, cases[i].stage != NONE);
	}
}

/* The rest of a line that turned out to be old is not taken for another panic. */
static void the_rest_of_an_old_line_is_forgotten(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed_bytes(&w, GUEST_SERIAL, "Kernel panic - not syncing: old", 31);
	feed_bytes(&w, GUEST_HVC, "reboot: Power down", 18);
	feed_bytes(&w, GUEST_SERIAL, " news", 5);
	feed_bytes(&w, GUEST_HVC, "\nKernel panic - not syncing: y\n", 31);
	assert_string_equal(w.report.panic.line, "Kernel panic - not syncing: y");
}

static void escape_sequences_do_not_matter(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w,
	     "\033[1;31mKernel \033[0mpanic\033[K -\a not\033]0;title\a syn\033(\033ccing\r: x\033[m\r\n");
	assert_string_equal(w.report.panic.line, "Kernel panic - not syncing: x");
}

/* A sequence that never ends hides at most its own line. */
static void cut_sequences_end_with_the_line(void **state)
{
	static const char *const cut[] = { "\033", "\033[12", "\033]0;title" };
	struct watcher w;

	(void)state;
	for (unsigned i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		watch(&w);
		feed(&w, cut[i]);
		feed(&w, "\nKernel panic - not syncing: y\n");
		assert_int_equal(w.stage, TEXT);
	}
}

static void near_misses(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w, "Kernel panic - not synching\nKernel panic\n - not syncing\n"
		 "kernel panic - not syncing\n--[ end Kernel panic\n---[ end trace 0 ]---\n");
	assert_int_equal(w.stage, NONE);
	feed(&w, "KernelKernel panic - not syncing\n");
	assert_int_equal(w.stage, TEXT);
	feed(&w, "reboot: Power\n down reboot: Restarting\n system Linux\nversion \n");
	assert_int_equal(w.stage, TEXT);
	feed(&w, "-----[ end Kernel panic\n");
	assert_int_equal(w.stage, END);
}

/* At every position around the place where a long line is cut. */
static void long_lines(void **state)
{
	struct watcher w;

	(void)state;
	for (unsigned before = LINE_MAX_LEN - 200; before < LINE_MAX_LEN + 64; before++) {
		watch(&w);
		for (unsigned i = 0; i < before; i++)
			feed(&w, "-");
		feed(&w, "Kernel panic - not syncing: reboot: Restarting system ");
		assert_int_equal(w.stage, NONE);
		feed(&w, "---[ end Kernel panic - not syncing: ");
		assert_int_equal(w.stage, END);
		for (unsigned i = 0; i < 10 * PANIC_LINE_MAX; i++)
			feed(&w, "z");
		assert_int_equal(strlen(w.report.panic.line), PANIC_LINE_MAX - 1);
	}
}

static void any_bytes_are_harmless(void **state)
{
	struct watcher w;
	uint32_t seed = 1;

	(void)state;
	watch(&w);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t byte;

		seed = seed * 1664525 + 1013904223;
		byte = (uint8_t)(seed >> 24);
		feed_bytes(&w, GUEST_SERIAL, &byte, 1);
	}
	feed(&w, "\n");
	feed(&w, panic);
	assert_int_equal(w.stage, END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(panic_in_any_pieces),
		cmocka_unit_test(the_line_is_there_as_far_as_it_has_come),
		cmocka_unit_test(the_first_panic_has_the_line),
		cmocka_unit_test(an_old_log_is_told_from_a_panic),
		cmocka_unit_test(the_rest_of_an_old_line_is_forgotten),
		cmocka_unit_test(escape_sequences_do_not_matter),
		cmocka_unit_test(cut_sequences_end_with_the_line),
		cmocka_unit_test(near_misses),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(any_bytes_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
