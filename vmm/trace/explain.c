/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --explain: one line per event. Repetitions are counted until something new happens, then the
 * counts are printed: a guest that prints makes thousands of identical exits.
 */
#include "watch.h"

#include "base/log.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FOLD_NS = 1000000000 }; /* the longest time between counts, while there are events */

/* "1 more write to COM1", "2 more writes to COM1"; names of requests and exits have no plural. */
static void add_more(struct text *out, uint64_t count, const char *what)
{
	int noun = (int)strcspn(what, " ");

	narrate_number(out, count);
	text_add(out, " more %.*s%s%s", noun, what, count > 1 && islower(*what) ? "s" : "",
		 what + noun);
}

/* Two kinds with the same text count as one: GSI 4 raised, GSI 4 lowered. */
static uint64_t take_count(struct watched_thread *thread, unsigned first)
{
	uint64_t count = 0;

	for (unsigned i = first; i < thread->fold_count; i++) {
		if (strcmp(thread->folds[i].what, thread->folds[first].what) != 0)
			continue;
		count += thread->folds[i].more;
		thread->folds[i].more = 0;
	}
	return count;
}

static bool say_counts(struct watched_thread *thread)
{
	char buf[400];
	struct text line = text_of(buf, sizeof(buf));

	for (unsigned i = 0; i < thread->fold_count; i++) {
		uint64_t count = take_count(thread, i);

		if (!count)
			continue;
		text_add(&line, "%s", line.len ? ", " : "… ");
		add_more(&line, count, thread->folds[i].what);
	}
	thread->folded_since = 0;
	if (line.len)
		log_plain("%-7s %s", thread->name, buf);
	return line.len;
}

void explain_flush(struct watched_thread *thread)
{
	say_counts(thread);
	thread->fold_count = 0;
}

static struct fold *find_fold(struct watched_thread *thread, const char *key)
{
	for (unsigned i = 0; i < thread->fold_count; i++)
		if (strcmp(thread->folds[i].key, key) == 0)
			return &thread->folds[i];
	return NULL;
}

static void remember(struct watched_thread *thread, const char *key, const char *what)
{
	struct fold *fold;

	if (thread->fold_count == FOLDS_MAX) {
		memmove(thread->folds, thread->folds + 1,
			(FOLDS_MAX - 1) * sizeof(thread->folds[0]));
		thread->fold_count--;
	}
	fold = &thread->folds[thread->fold_count++];
	*fold = (struct fold){ 0 };
	snprintf(fold->key, sizeof(fold->key), "%s", key);
	snprintf(fold->what, sizeof(fold->what), "%s", what);
}

/* What makes events equal, and the name for many of them. */
static void classify(const struct watched_thread *thread, const struct narration *n,
		     const struct narrate_entry *entry, const char *sentence, struct text *key,
		     struct text *what)
{
	if (n->event->kind == SYS_RUN) {
		text_add(key, "%s", thread->cause);
		text_add(what, "%s%s", isupper(*thread->cause) ? "KVM_EXIT_" : "", thread->cause);
		return;
	}
	text_add(key, "%s", sentence);
	if (n->event->kind == SYS_NOTE)
		text_add(what, n->event->topic == SYS_TOPIC_INTERRUPT ? "interrupt" : "event");
	else
		text_add(what, "%s", entry ? entry->name : "call");
}

void explain_event(struct watched_thread *thread, const struct narration *n,
		   const struct narrate_entry *entry)
{
	const struct sys_site *site = n->event->site;
	char line[600], key_buf[FOLD_KEY_LEN], what_buf[CAUSE_LEN + 16];
	struct text sentence = text_of(line, sizeof(line));
	struct text key = text_of(key_buf, sizeof(key_buf));
	struct text what = text_of(what_buf, sizeof(what_buf));
	struct fold *fold;

	narrate_event(&sentence, n, entry);
	classify(thread, n, entry, line, &key, &what);
	fold = find_fold(thread, key_buf);
	if (fold) {
		fold->more++;
		if (!thread->folded_since)
			thread->folded_since = n->event->end_ns;
		else if (n->event->end_ns - thread->folded_since > FOLD_NS)
			say_counts(thread);
		return;
	}
	if (say_counts(thread))
		thread->fold_count = 0;
	log_plain("%-7s %s  [%s%s%s:%u]", thread->name, line, entry ? entry->doc : "",
		  entry ? "; " : "", site->file, site->line);
	remember(thread, key_buf, what_buf);
}
