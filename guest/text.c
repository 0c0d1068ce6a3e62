/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include "sys.h"

#include <errno.h>

/* The compiler may call it for a struct that is set to zero. */
void *memset(void *to, int value, size_t len);
void *memset(void *to, int value, size_t len)
{
	volatile char *at = to;

	while (len--)
		*at++ = (char)value;
	return to;
}

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

void complain(const char *what, const char *name, int error)
{
	struct text text = { .len = 0 };
	int fd = sys_open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	text_append(&text, "<3>kinglet-init: ");
	text_describe(&text, what, name, error);
	sys_write(fd, text.data, text.len);
	sys_close(&fd);
}

void give_up(const char *what, const char *name, int error)
{
	complain(what, name, error);
	sys_exit(1);
}
