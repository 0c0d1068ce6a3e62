/* SPDX-License-Identifier: Apache-2.0 */
#include "host/console_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct watcher {
	struct console_scan scan;
	unsigned panics, ends;
	char line[CONSOLE_SCAN_LINE]; /* as it was at CONSOLE_PANIC */
};

static void on_event(void *owner, enum console_event event)
{
	struct watcher *w = owner;

	if (event == CONSOLE_PANIC) {
		w->panics++;
		snprintf(w->line, sizeof(w->line), "%s", console_scan_panic(&w->scan));
	} else {
		w->ends++;
	}
}

static void watch(struct watcher *w)
{
	memset(w, 0, sizeof(*w));
	console_scan_init(&w->scan, on_event, w);
}

static void feed(struct watcher *w, const char *text)
{
	console_scan_feed(&w->scan, text, strlen(text));
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
		console_scan_feed(&w.scan, panic, cut);
		console_scan_feed(&w.scan, panic + cut, strlen(panic) - cut);
		assert_int_equal(w.panics, 1);
		assert_int_equal(w.ends, 1);
		assert_string_equal(w.line,
				    "Kernel panic - not syncing: VFS: Unable to mount root fs");
	}
	watch(&w);
	for (size_t i = 0; i < strlen(panic); i++)
		console_scan_feed(&w.scan, panic + i, 1);
	assert_int_equal(w.panics, 1);
	assert_int_equal(w.ends, 1);
}

static void panic_event_comes_with_its_whole_line(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	assert_null(console_scan_panic(&w.scan));
	feed(&w, "login: Kernel panic - not syncing: Atte");
	assert_int_equal(w.panics, 0);
	assert_string_equal(console_scan_panic(&w.scan), "Kernel panic - not syncing: Atte");
	feed(&w, "mpted to kill init!\n");
	assert_int_equal(w.panics, 1);
	assert_string_equal(w.line, "Kernel panic - not syncing: Attempted to kill init!");
}

static void only_the_first_panic_counts(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w, "Kernel panic - not syncing: one\nKernel panic - not syncing: two\n");
	assert_int_equal(w.panics, 1);
	assert_string_equal(console_scan_panic(&w.scan), "Kernel panic - not syncing: one");
}

static void escape_sequences_do_not_matter(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w,
	     "\033[1;31mKernel \033[0mpanic\033[K -\a not\033]0;title\a syn\033(\033ccing\r: x\033[m\r\n");
	assert_int_equal(w.panics, 1);
	assert_string_equal(w.line, "Kernel panic - not syncing: x");
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
		assert_int_equal(w.panics, 1);
	}
}

static void near_misses(void **state)
{
	struct watcher w;

	(void)state;
	watch(&w);
	feed(&w, "Kernel panic - not synching\nKernel panic\n - not syncing\n"
		 "kernel panic - not syncing\n--[ end Kernel panic\n---[ end trace 0 ]---\n");
	assert_int_equal(w.panics + w.ends, 0);
	feed(&w, "KernelKernel panic - not syncing\n-----[ end Kernel panic\n");
	assert_int_equal(w.panics, 1);
	assert_int_equal(w.ends, 1);
}

/* At every place of a long line, so that it also lies across each move of the window. */
static void long_lines(void **state)
{
	struct watcher w;

	(void)state;
	for (unsigned before = 0; before < 3 * CONSOLE_SCAN_WINDOW; before++) {
		watch(&w);
		for (unsigned i = 0; i < before; i++)
			feed(&w, "-");
		feed(&w, "---[ end Kernel panic - not syncing: ");
		assert_int_equal(w.ends, 1);
		for (unsigned i = 0; i < 10 * CONSOLE_SCAN_LINE; i++)
			feed(&w, "z");
		assert_int_equal(w.panics, 1);
		assert_int_equal(strlen(w.line), CONSOLE_SCAN_LINE - 1);
		feed(&w, "\n");
		assert_int_equal(w.panics, 1);
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
		console_scan_feed(&w.scan, &byte, 1);
	}
	feed(&w, "\n");
	feed(&w, panic);
	assert_int_equal(w.panics, 1);
	assert_int_equal(w.ends, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(panic_in_any_pieces),
		cmocka_unit_test(panic_event_comes_with_its_whole_line),
		cmocka_unit_test(only_the_first_panic_counts),
		cmocka_unit_test(escape_sequences_do_not_matter),
		cmocka_unit_test(cut_sequences_end_with_the_line),
		cmocka_unit_test(near_misses),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(any_bytes_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
