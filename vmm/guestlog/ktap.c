/* SPDX-License-Identifier: Apache-2.0 */
/* Parses lines. ktap_tree.c assigns results to documents. */
#include "ktap_internal.h"

#include "base/cleanup.h"
#include "guestlog/messages.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t";

/* Lines after a `not` cut off by printk that may contain its `ok`. */
enum { DOUBT_LINES = 16 };

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, blanks);
}

/* The end of the line, or a blank. */
static bool ends_word(char c)
{
	return !c || c == ' ' || c == '\t';
}

/* A copy without blanks at its ends and with \# as # and \\ as \; out of memory gives NULL. */
static char *copy_text(const char *text, size_t len)
{
	char *copy, *to;

	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	copy = strndup(text, len);
	if (!copy)
		return NULL;
	to = copy;
	for (const char *from = copy; *from; from++) {
		if (from[0] == '\\' && (from[1] == '\\' || from[1] == '#'))
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return copy;
}

static bool take_version(struct ktap *ktap, unsigned indent, const char *text)
{
	bool is_ktap = *text == 'K';
	const char *number;

	text += is_ktap;
	if (!starts_with(text, "TAP version ") || !isdigit((unsigned char)text[12]))
		return false;
	number = text + 12;
	if (*skip_blanks(number + strspn(number, "0123456789")))
		return false;
	ktap_add_version(ktap, indent, is_ktap);
	return true;
}

/* The text after `word` and the rest of its letters ("Skipped: "); NULL: another word. */
static const char *after_directive(const char *text, const char *word)
{
	if (strncasecmp(text, word, strlen(word)) != 0)
		return NULL;
	return text + strcspn(text, blanks);
}

/* "1..N", perhaps "1..0 # SKIP reason"; false: not a plan. */
static bool take_plan(struct ktap *ktap, unsigned indent, const char *text)
{
	const char *reason;
	char *end;
	long plan;

	if (!starts_with(text, "1..") || !isdigit((unsigned char)text[3]))
		return false;
	plan = strtol(text + 3, &end, 10);
	text = skip_blanks(end);
	if (*text && *text != '#')
		return false;
	text = skip_blanks(text + (*text == '#'));
	reason = after_directive(text, "SKIP");
	if (reason)
		text = reason;
	ktap_add_plan(ktap, indent, plan, copy_text(text, strlen(text)));
	return true;
}

/*
 * The directives, and their effect on ok and not ok. TAP's may be in lower case, and an "ok" with
 * "# error handling" passes; KTAP's ERROR and TIMEOUT on an "ok" contradict it.
 */
static const struct {
	const char *word;
	enum ktap_status ok, not_ok;
	bool exact;
} directives[] = {
	{ "SKIP", KTAP_SKIP, KTAP_SKIP, false },  { "TODO", KTAP_PASS, KTAP_TODO, false },
	{ "XFAIL", KTAP_TODO, KTAP_TODO, false }, { "TIMEOUT", KTAP_FAIL, KTAP_FAIL, true },
	{ "ERROR", KTAP_FAIL, KTAP_FAIL, true },
};

/* The reason after a directive, which sets *status; NULL: `text` begins with none. */
static const char *match_directive(const char *text, enum ktap_status *status)
{
	for (unsigned i = 0; i < ARRAY_SIZE(directives); i++) {
		const char *word = directives[i].word, *after = after_directive(text, word);

		if (!after || (directives[i].exact && (!starts_with(text, word) ||
							isalnum((unsigned char)text[strlen(word)]))))
			continue;
		*status = *status == KTAP_FAIL ? directives[i].not_ok : directives[i].ok;
		return after;
	}
	return NULL;
}

/*
 * The end of the description: the first unescaped # after a blank and before a blank or a directive
 * ("issue #42" is description).
 */
static const char *find_hash(const char *text)
{
	enum ktap_status ignored = KTAP_PASS;
	bool apart = true;

	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == '\\' || text[1] == '#')) {
			apart = *++text == '\\';
			continue;
		}
		if (*text == '#' && apart &&
		    (ends_word(text[1]) || match_directive(text + 1, &ignored)))
			break;
		apart = *text == ' ' || *text == '\t';
	}
	return text;
}

/* The part of a result line after its number. */
static struct ktap_test *parse_description(struct ktap *ktap, bool ok, const char *text)
{
	const char *hash, *reason = NULL;
	enum ktap_status status = ok ? KTAP_PASS : KTAP_FAIL;

	if (text[0] == '-' && ends_word(text[1]))
		text++;
	hash = find_hash(text);
	if (*hash) {
		reason = match_directive(skip_blanks(hash + 1), &status);
		reason = reason ? reason : hash + 1;
	}
	return ktap_new_test(ktap, copy_text(text, (size_t)(hash - text)),
			     reason ? copy_text(reason, strlen(reason)) : NULL, status);
}

/*
 * Whether an `ok` without a number, at `indent`, may end the subtests of the innermost level: not
 * if they have numbers, nor before all planned ones.
 */
static bool may_be_parent(const struct ktap_level *level, unsigned indent)
{
	const struct ktap_document *doc = &level->doc;

	return level->indent <= indent ||
	       !(doc->numbered || (doc->planned && doc->seen < doc->plan));
}

/* "ok 1 - name # SKIP reason"; false: not a result. */
static bool take_result(struct ktap *ktap, unsigned indent, const char *text)
{
	bool not_ok = starts_with(text, "not "), numbered;
	const char *line = text, *rest;
	struct ktap_test *test;
	long number;
	char *end;

	text += not_ok ? 4 : 0;
	if (!starts_with(text, "ok") || !ends_word(text[2]))
		return false;
	rest = skip_blanks(text + 2);
	number = strtol(rest, &end, 10);
	numbered = isdigit((unsigned char)*rest) && ends_word(*end);
	if (!not_ok && !numbered && !may_be_parent(ktap_innermost(ktap), indent))
		return false;
	test = parse_description(ktap, !not_ok, numbered ? skip_blanks(end) : rest);
	if (!test)
		return true;
	if (ktap->doubt && test->status == KTAP_PASS)
		ktap_complain(ktap, "\"%.200s\" may be a \"not ok\" that another line cut", line);
	ktap->doubt = 0;
	test->number = numbered ? number : 0;
	test->numbered = numbered;
	ktap_add_result(ktap, indent, test);
	return true;
}

static bool take_bail_out(struct ktap *ktap, const char *text)
{
	if (strncasecmp(text, "Bail out!", 9) != 0)
		return false;
	ktap_complain(ktap, "%.400s", text);
	ktap_bail_out(ktap);
	return true;
}

/* Announcements of subtests: "# Subtest: NAME", and kselftest's "# selftests: DIR: PROGRAM". */
static bool take_announcement(struct ktap *ktap, unsigned indent, unsigned hashes,
			      const char *text)
{
	static const char subtest[] = "Subtest: ";

	text = skip_blanks(text + 1);
	if (starts_with(text, "selftests: ")) {
		if (ktap->hashes == hashes)
			ktap->hashes++;
	} else if (starts_with(text, subtest)) {
		text += sizeof(subtest) - 1;
	} else {
		return false;
	}
	ktap_announce(ktap, indent, copy_text(text, strlen(text)));
	return true;
}

/* True: this line is relevant. */
static bool take_text(struct ktap *ktap, unsigned indent, unsigned hashes, const char *text)
{
	if (take_version(ktap, indent, text)) {
		ktap->hashes = hashes;
		return true;
	}
	return hashes <= ktap->hashes &&
	       (take_plan(ktap, indent, text) || take_bail_out(ktap, text));
}

/* Other programs and the kernel print to the same console, and not always complete lines. */
static void look_for_pieces(struct ktap *ktap, const char *text)
{
	static const char not_ok[] = "not ok ";
	const char *p = text;
	bool stamped;

	if (starts_with(text, "not")) {
		const char *rest = skip_blanks(text + 3);

		message_of_line(rest, &stamped);
		if (!*rest || stamped)
			ktap->doubt = DOUBT_LINES + 1;
		else if (ends_word(text[3]))
			ktap->doubt = 2;
	}
	while ((p = strstr(p, not_ok))) {
		p += sizeof(not_ok) - 1;
		if (isdigit((unsigned char)*skip_blanks(p))) {
			ktap_complain(ktap, "a result inside another line: \"%.200s\"", text);
			return;
		}
	}
}

/* True: the line is part of the diagnosis between --- and ... after a result. */
static bool take_yaml(struct ktap *ktap, unsigned indent, const char *text)
{
	if (ktap->yaml.open && indent >= ktap->yaml.indent) {
		ktap->yaml.open = indent != ktap->yaml.indent || strcmp(text, "...") != 0;
		if (ktap->yaml.open)
			ktap_remark(ktap, true, indent - ktap->yaml.indent, text);
		return true;
	}
	if (ktap->yaml.open || !ktap->yaml.possible || indent <= ktap->yaml.indent || strcmp(text, "---") != 0)
		return false;
	ktap->yaml.open = true;
	ktap->yaml.possible = false;
	ktap->yaml.indent = indent;
	return true;
}

/* Output of a service has its name as a prefix: "test.sh[123]: ". */
static const char *skip_tag(const char *line)
{
	const char *digits = line + strcspn(line, " [");
	const char *end;

	if (digits == line || *digits++ != '[')
		return line;
	end = digits + strspn(digits, "0123456789");
	return end != digits && starts_with(end, "]: ") ? end + 3 : line;
}

void ktap_line(struct ktap *ktap, const char *line)
{
	unsigned indent = 0, hashes = 0;
	const char *text = skip_tag(line), *comment = NULL;
	bool is_result;

	if (!ktap->depth)
		ktap->depth = 1;
	ktap->doubt -= ktap->doubt > 0;
	/* kselftest prefixes the output of a test with `# `, which counts as two columns. */
	for (;; text++) {
		if (*text == '\t')
			indent += 8;
		else if (*text == ' ' || (*text == '#' && text[1] == ' '))
			indent++;
		else
			break;
		if (*text != '#')
			continue;
		if (take_announcement(ktap, indent - 1, hashes, text))
			return;
		if (++hashes <= ktap->hashes + 1)
			comment = skip_blanks(text + 1);
	}
	if (take_yaml(ktap, indent, text) || *text == '#')
		return;
	is_result = hashes <= ktap->hashes && take_result(ktap, indent, text);
	if (is_result || take_text(ktap, indent, hashes, text)) {
		ktap->yaml.open = false;
		ktap->yaml.possible = is_result;
		ktap->yaml.indent = indent;
		return;
	}
	if (comment && *comment)
		ktap_remark(ktap, false, 0, comment);
	if (hashes <= ktap->hashes)
		look_for_pieces(ktap, text);
}
