/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port I/O of every width, and the string instructions, of which INS moves many elements in one
 * exit.
 *
 *	kinglet run pio.elf
 */
#include "guest.h"

enum { NOBODY = 0x0e00, SCRATCH = COM1 + 7, MODEM_STATUS = COM1 + 6, CONFIG_ADDRESS = 0xcf8 };

static void out_string(uint16_t port, const char *text, size_t len)
{
	asm volatile("rep outsb" : "+S"(text), "+c"(len) : "d"(port) : "memory");
}

static void in_bytes(uint16_t port, void *to, size_t len)
{
	asm volatile("rep insb" : "+D"(to), "+c"(len) : "d"(port) : "memory");
}

static void in_dwords(uint16_t port, void *to, size_t len)
{
	asm volatile("rep insl" : "+D"(to), "+c"(len) : "d"(port) : "memory");
}

/* The bus floats high: a port without a device reads as ones. */
static void test_nobody(void)
{
	outb(NOBODY, 0);
	outw(NOBODY, 0);
	outl(NOBODY, 0);
	check(inb(NOBODY) == 0xff);
	check(inw(NOBODY) == 0xffff);
	check(inl(NOBODY) == 0xffffffff);
	check(inb(0xffff) == 0xff);
	check(inl(COM1 + 6) == 0xffffffff); /* half beyond the end of the region: not answered */
}

static void test_bytes(void)
{
	outb(SCRATCH, 0x5a);
	check(inb(SCRATCH) == 0x5a);
	outb(SCRATCH, 0xa5);
	check(inb(SCRATCH) == 0xa5);
}

/* A wide access to byte registers becomes one access to each. */
static void test_words(void)
{
	outw(MODEM_STATUS, 0x3cff);
	check(inb(SCRATCH) == 0x3c);
	check(inw(MODEM_STATUS) == (0x3c00 | inb(MODEM_STATUS)));
}

/* Only a dword access reaches the PCI address register. */
static void test_dwords(void)
{
	outl(CONFIG_ADDRESS, 0x80000000);
	outb(CONFIG_ADDRESS, 0x55);
	outw(CONFIG_ADDRESS, 0x5555);
	check(inl(CONFIG_ADDRESS) == 0x80000000);
	outl(CONFIG_ADDRESS, 0);
	check(inl(CONFIG_ADDRESS) == 0);
}

static void test_strings(void)
{
	static const char text[] = "rep outsb\n";
	uint32_t dwords[4] = { 0 };
	uint8_t bytes[40] = { 0 };

	out_string(COM1, text, sizeof(text) - 1);
	outb(SCRATCH, 0x17);
	in_bytes(SCRATCH, bytes, 33);
	for (unsigned i = 0; i < 40; i++)
		check(bytes[i] == (i < 33 ? 0x17 : 0));
	in_dwords(NOBODY, dwords, 3);
	check((dwords[0] & dwords[1] & dwords[2]) == 0xffffffff && !dwords[3]);
}

int main(const void *handoff)
{
	(void)handoff;
	test_nobody();
	test_bytes();
	test_words();
	test_dwords();
	test_strings();
	return 0;
}
