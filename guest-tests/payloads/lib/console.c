/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

void print(const char *text)
{
	/* Kinglet's serial port is always ready to send. */
	while (*text)
		serial_write(SERIAL_DATA, (uint8_t)*text++);
}

void print_hex(uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		serial_write(SERIAL_DATA, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
}

void print_number(unsigned value)
{
	if (value > 9)
		print_number(value / 10);
	serial_write(SERIAL_DATA, (uint8_t)('0' + value % 10));
}

void *memset(void *to, int byte, size_t len)
{
	char *at = to;

	while (len--)
		*(volatile char *)at++ = (char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	const char *at = from;
	char *out = to;

	while (len--)
		*(volatile char *)out++ = *at++;
	return to;
}

bool same_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

unsigned parse_number(const char *text)
{
	unsigned value = 0;

	while (*text >= '0' && *text <= '9')
		value = 10 * value + (unsigned)(*text++ - '0');
	return value;
}

void exit_guest(uint8_t status)
{
	exit_port_write(status);
	sleep_forever();
	__builtin_unreachable();
}

void fail(const char *file, unsigned line, const char *what)
{
	print(file);
	print(":");
	print_number(line);
	print(": not so: ");
	print(what);
	print("\n");
	exit_guest(1);
}
