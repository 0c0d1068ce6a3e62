/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between text and one field. */
#include "cli/options.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* The first unit is that of a plain number. A list ends with a NULL suffix. */
static const struct unit one[] = { { "", 1 }, { NULL, 0 } };

static const struct unit mebibytes[] = {
	{ "", 1 << 20 },
	{ "K", 1 << 10 },
	{ "M", 1 << 20 },
	{ "G", 1 << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

static const struct unit bytes[] = {
	{ "", 1 },
	{ "K", 1 << 10 },
	{ "M", 1 << 20 },
	{ "G", 1 << 30 },
	{ NULL, 0 },
};

static const struct unit seconds[] = {
	{ "", UINT64_C(1000000000) },
	{ "ms", UINT64_C(1000000) },
	{ "s", UINT64_C(1000000000) },
	{ "m", UINT64_C(60000000000) },
	{ "h", UINT64_C(3600000000000) },
	{ NULL, 0 },
};

/* The number kinds; `what` completes "not ...". */
static const struct number_form {
	const struct unit *units;
	const char *what;
} number_forms[] = {
	[OPTION_NUMBER] = { one, "a number" },
	[OPTION_SIZE] = { mebibytes, "a size; write a number with K, M, G or T, such as 256M" },
	[OPTION_ADDRESS] = { bytes, "an address; write a number such as 0x7c00 or 1M" },
	[OPTION_DURATION] = { seconds, "a time; write a number with ms, s, m or h, such as 30s" },
};

/*
 * Parses decimal or 0x digits from *text. -EINVAL when there are none; a number beyond 64 bits
 * counts as UINT64_MAX, which the range check refuses.
 */
static int take_number(const char **text, uint64_t *value)
{
	const char *p = *text;
	unsigned base = 10;
	uint64_t sum = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (hex_digit(*p) >= base)
		return -EINVAL;
	for (; hex_digit(*p) < base; p++) {
		if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
		    __builtin_add_overflow(sum, hex_digit(*p), &sum)) {
			while (hex_digit(*p) < base)
				p++;
			sum = UINT64_MAX;
			break;
		}
	}
	*text = p;
	*value = sum;
	return 0;
}

static int parse_number(const struct unit *units, const char *text, uint64_t *value)
{
	if (take_number(&text, value) < 0)
		return -EINVAL;
	for (; units->suffix; units++) {
		if (strcasecmp(text, units->suffix) != 0)
			continue;
		if (__builtin_mul_overflow(*value, units->factor, value))
			*value = UINT64_MAX;
		return 0;
	}
	return -EINVAL;
}

static void store_number(void *field, size_t size, uint64_t value)
{
	bool flag = value;
	uint32_t word = (uint32_t)value;

	/* Fields are bool, unsigned or enum, and uint64_t: the size identifies the type. */
	if (size == sizeof(flag))
		memcpy(field, &flag, sizeof(flag));
	else if (size == sizeof(word))
		memcpy(field, &word, sizeof(word));
	else
		memcpy(field, &value, sizeof(value));
}

static int parse_number_option(const struct option *option, const char *text, void *field,
			       char *why, size_t len)
{
	const struct number_form *form = &number_forms[option->kind];
	char min[32], max[32];
	uint64_t value;

	if (parse_number(form->units, text, &value) < 0) {
		snprintf(why, len, "not %s", form->what);
		return -EINVAL;
	}
	if (value < option->min || value > option->max) {
		option_format_value(option->kind, option->min, min, sizeof(min));
		option_format_value(option->kind, option->max, max, sizeof(max));
		snprintf(why, len, "must be %s to %s", min, max);
		return -EINVAL;
	}
	store_number(field, option->size, value);
	return 0;
}

static int parse_string(const struct option *option, const char *text, void *field, char *why,
			size_t len)
{
	size_t bytes_given = strlen(text);

	if (bytes_given < option->min) {
		snprintf(why, len, "empty; write a %s", option->metavar);
		return -EINVAL;
	}
	if (bytes_given > option->max) {
		snprintf(why, len, "%zu bytes long; at most %" PRIu64 " are allowed", bytes_given,
			 option->max);
		return -EINVAL;
	}
	memcpy(field, &text, sizeof(text));
	return 0;
}

static int parse_word(const struct option *option, const char *text, void *field, char *why,
		      size_t len)
{
	char words[64];

	for (const struct option_word *word = option->words; word->word; word++) {
		if (strcmp(text, word->word) == 0) {
			store_number(field, option->size, word->value);
			return 0;
		}
	}
	option_format_argument(option, words, sizeof(words));
	snprintf(why, len, "must be one of %s", words);
	return -EINVAL;
}

static int parse_mac(const struct option *option, const char *text, void *field, char *why,
		     size_t len)
{
	uint8_t mac[6];
	bool zero = true;

	(void)option;
	for (unsigned i = 0; i < sizeof(mac); i++) {
		int byte = hex_byte(text);

		if (byte < 0 || text[2] != (i + 1 < sizeof(mac) ? ':' : '\0')) {
			snprintf(why, len, "not a MAC address; write six bytes such as "
					   "52:54:00:12:34:56");
			return -EINVAL;
		}
		mac[i] = (uint8_t)byte;
		zero = zero && !mac[i];
		text += 3;
	}
	/*
	 * IEEE 802: bit 0 of the first byte marks a multicast address, which a station cannot have.
	 */
	if (zero || mac[0] & 1) {
		snprintf(why, len, "not a station's address; the first byte must be even and not "
				   "all may be zero, such as 52:54:00:12:34:56");
		return -EINVAL;
	}
	memcpy(field, mac, sizeof(mac));
	return 0;
}

/* The first three are the standard streams. */
static int parse_fds(const struct option *option, const char *text, void *field, char *why,
		     size_t len)
{
	struct fd_list list = { .count = 0 };

	(void)option;
	for (bool more = true; more; text += more) {
		uint64_t fd;

		if (take_number(&text, &fd) < 0 || fd < 3 || fd > INT32_MAX ||
		    (*text && *text != ':')) {
			snprintf(why, len, "not file descriptors; write numbers from 3 on, with "
					   "a colon between two, such as 3:4");
			return -EINVAL;
		}
		for (unsigned i = 0; i < list.count; i++) {
			if (list.fds[i] == (int)fd) {
				snprintf(why, len, "names fd %d twice", (int)fd);
				return -EINVAL;
			}
		}
		if (list.count == FD_LIST_MAX) {
			snprintf(why, len, "more than %d file descriptors", FD_LIST_MAX);
			return -EINVAL;
		}
		list.fds[list.count++] = (int)fd;
		more = *text == ':';
	}
	memcpy(field, &list, sizeof(list));
	return 0;
}

int option_parse_value(const struct option *option, const char *text, void *field, char *why,
		       size_t len)
{
	static int (*const parsers[])(const struct option *, const char *, void *, char *,
				      size_t) = {
		[OPTION_STRING] = parse_string,
		[OPTION_NUMBER] = parse_number_option,
		[OPTION_SIZE] = parse_number_option,
		[OPTION_ADDRESS] = parse_number_option,
		[OPTION_DURATION] = parse_number_option,
		[OPTION_WORD] = parse_word,
		[OPTION_MAC] = parse_mac,
		[OPTION_FDS] = parse_fds,
	};

	return parsers[option->kind](option, text, field, why, len);
}

void option_format_value(enum option_kind kind, uint64_t value, char *text, size_t len)
{
	const struct unit *best = NULL;

	if (kind == OPTION_ADDRESS) {
		snprintf(text, len, "%#" PRIx64, value);
		return;
	}
	for (const struct unit *unit = number_forms[kind].units; unit->suffix; unit++) {
		if (value % unit->factor == 0 && (!best || unit->factor >= best->factor))
			best = unit;
	}
	/* A size that is not a multiple of KiB is written in bytes. */
	snprintf(text, len, "%" PRIu64 "%s", best ? value / best->factor : value,
		 best ? best->suffix : " bytes");
}

void option_format_argument(const struct option *option, char *text, size_t len)
{
	size_t used = 0;

	text[0] = '\0';
	if (option->kind == OPTION_WORD) {
		for (const struct option_word *word = option->words; word->word && used < len; word++)
			used += (size_t)snprintf(text + used, len - used, "%s%s", used ? "|" : "",
						 word->word);
	} else if (option->metavar) {
		snprintf(text, len, "%s%s", option->metavar,
			 option->keys && option->keys->count > 1 ? "[,KEY...]" : "");
	}
}
