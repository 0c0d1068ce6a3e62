/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <errno.h>

size_t length(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

bool equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool begins_with(const char *text, const char *start)
{
	while (*start)
		if (*text++ != *start++)
			return false;
	return true;
}

bool contains(const char *text, char c)
{
	while (*text && *text != c)
		text++;
	return *text;
}

void copy(char *to, const char *from, size_t len)
{
	/* Not a loop that the compiler makes a call of memcpy(). */
	volatile char *at = to;

	while (len--)
		*at++ = *from++;
}

void text_append(struct text *text, const char *piece)
{
	while (*piece && text->len < sizeof(text->data) - 1)
		text->data[text->len++] = *piece++;
	text->data[text->len] = '\0';
}

void text_append_number(struct text *text, unsigned number)
{
	char digits[12];
	unsigned at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	text_append(text, digits + at);
}

static void append_error(struct text *text, int error)
{
	static const struct {
		int error;
		const char *name;
	} known[] = {
		{ ENOENT, "No such file or directory" },
		{ EACCES, "Permission denied" },
		{ ENOEXEC, "Exec format error" },
		{ ENOTDIR, "Not a directory" },
		{ ENOMEM, "Cannot allocate memory" },
		{ EISDIR, "Is a directory" },
		{ ENOSPC, "No space left on device" },
		{ ENOSYS, "Not supported by this kernel" },
		{ ENODEV, "Not supported by this kernel" },
		{ EKEYREJECTED, "Signature refused" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].error == error) {
			text_append(text, known[i].name);
			return;
		}
	}
	text_append(text, "error ");
	text_append_number(text, (unsigned)error);
}

void text_describe(struct text *text, const char *what, const char *name, int error)
{
	text_append(text, what);
	if (name) {
		text_append(text, ": ");
		text_append(text, name);
	}
	if (error) {
		text_append(text, ": ");
		append_error(text, error);
	}
	text_append(text, "\n");
}
