/* SPDX-License-Identifier: Apache-2.0 */
#include "aml.h"

#include "base/le.h"
#include "base/text.h"

/* ACPI 6.4 §20.3, the opcodes in use. */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_EXT = 0x5b,
	OP_STORE = 0x70,
	OP_AND = 0x7b,
	OP_NOTIFY = 0x86,
	OP_IF = 0xa0,
	EXT_REGION = 0x80,
	EXT_FIELD = 0x81,
	EXT_DEVICE = 0x82,
};

enum { PKG_LENGTH_SIZE = 3 };

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
	if (len > aml->capacity - aml->len) {
		aml->full = true;
		return;
	}
	memcpy(aml->data + aml->len, bytes, len);
	aml->len += len;
}

void aml_raw(struct aml *aml, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	aml_bytes(aml, bytes, width);
}

static void byte(struct aml *aml, uint8_t value)
{
	aml_bytes(aml, &value, 1);
}

static void name_string(struct aml *aml, const char *name)
{
	aml_bytes(aml, name, strlen(name));
}

void aml_align(struct aml *aml, size_t align)
{
	while (aml->len % align && !aml->full)
		byte(aml, 0);
}

/* Leaves room for a PkgLength (§20.2.4), which counts its own bytes. */
static size_t begin(struct aml *aml)
{
	size_t mark = aml->len;

	aml_raw(aml, 0, PKG_LENGTH_SIZE);
	return mark;
}

/* Always the three-byte form: a longer form than needed is allowed, and lengths come last. */
void aml_end(struct aml *aml, size_t mark)
{
	size_t len = aml->len - mark;

	if (aml->full)
		return;
	aml->data[mark] = (uint8_t)(2 << 6 | (len & 0xf));
	put_le16(aml->data + mark + 1, (uint16_t)(len >> 4));
}

static size_t begin_named(struct aml *aml, uint8_t opcode, const char *name)
{
	size_t mark;

	byte(aml, opcode);
	mark = begin(aml);
	name_string(aml, name);
	return mark;
}

size_t aml_scope(struct aml *aml, const char *name)
{
	return begin_named(aml, OP_SCOPE, name);
}

size_t aml_device(struct aml *aml, const char *name)
{
	byte(aml, OP_EXT);
	return begin_named(aml, EXT_DEVICE, name);
}

size_t aml_method(struct aml *aml, const char *name, unsigned args)
{
	size_t mark = begin_named(aml, OP_METHOD, name);

	byte(aml, (uint8_t)(args | 1 << 3)); /* serialized */
	return mark;
}

size_t aml_package(struct aml *aml, uint8_t elements)
{
	size_t mark;

	byte(aml, OP_PACKAGE);
	mark = begin(aml);
	byte(aml, elements);
	return mark;
}

size_t aml_if(struct aml *aml)
{
	byte(aml, OP_IF);
	return begin(aml);
}

void aml_name(struct aml *aml, const char *name)
{
	byte(aml, OP_NAME);
	name_string(aml, name);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	static const struct {
		uint8_t opcode, width;
	} forms[] = { { OP_BYTE, 1 }, { OP_WORD, 2 }, { OP_DWORD, 4 }, { OP_QWORD, 8 } };
	unsigned i = 0;

	if (value <= 1) {
		byte(aml, value ? OP_ONE : OP_ZERO);
		return;
	}
	while (forms[i].width < 8 && value >> 8 * forms[i].width)
		i++;
	byte(aml, forms[i].opcode);
	aml_raw(aml, value, forms[i].width);
}

void aml_string(struct aml *aml, const char *text)
{
	byte(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

/* Three letters of five bits, then four hexadecimal digits, big endian (§19.3.4). */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 3; i++)
		value = value << 5 | (uint32_t)(id[i] - '@');
	for (unsigned i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	byte(aml, OP_DWORD);
	aml_raw(aml, __builtin_bswap32(value), 4);
}

void aml_io_dword(struct aml *aml, const char *region, const char *field, uint16_t port)
{
	size_t mark;

	byte(aml, OP_EXT);
	byte(aml, EXT_REGION);
	name_string(aml, region);
	byte(aml, 1); /* SystemIO */
	aml_integer(aml, port);
	aml_integer(aml, 4);

	byte(aml, OP_EXT);
	mark = begin_named(aml, EXT_FIELD, region);
	byte(aml, 3); /* DWordAcc, NoLock, Preserve */
	name_string(aml, field);
	byte(aml, 32); /* bits, as a one-byte PkgLength */
	aml_end(aml, mark);
}

void aml_store(struct aml *aml, const char *from, const char *to)
{
	byte(aml, OP_STORE);
	name_string(aml, from);
	name_string(aml, to);
}

void aml_and(struct aml *aml, const char *name, uint64_t mask)
{
	byte(aml, OP_AND);
	name_string(aml, name);
	aml_integer(aml, mask);
	byte(aml, OP_ZERO); /* no target */
}

void aml_notify(struct aml *aml, const char *name, uint8_t value)
{
	byte(aml, OP_NOTIFY);
	name_string(aml, name);
	aml_integer(aml, value);
}

/* A Buffer whose size is a WordConst, filled in by aml_resources_end(). */
size_t aml_resources(struct aml *aml)
{
	size_t mark;

	aml_name(aml, "_CRS");
	byte(aml, OP_BUFFER);
	mark = begin(aml);
	byte(aml, OP_WORD);
	aml_raw(aml, 0, 2);
	return mark;
}

void aml_resources_end(struct aml *aml, size_t mark)
{
	size_t size_at = mark + PKG_LENGTH_SIZE + 1;

	aml_raw(aml, 0x79, 2); /* end tag; checksum 0 counts as valid (§6.4.2.9) */
	if (!aml->full)
		put_le16(aml->data + size_at, (uint16_t)(aml->len - size_at - 2));
	aml_end(aml, mark);
}

/* §6.4.2.5 */
void aml_io(struct aml *aml, uint16_t port, uint8_t len)
{
	aml_raw(aml, 0x47, 1);
	aml_raw(aml, 1, 1);    /* decodes 16 bits */
	aml_raw(aml, port, 2); /* lowest and highest base */
	aml_raw(aml, port, 2);
	aml_raw(aml, 1, 1); /* alignment */
	aml_raw(aml, len, 1);
}

/* §6.4.2.1, the form without flags */
void aml_irq_edge(struct aml *aml, unsigned irq)
{
	aml_raw(aml, 0x22, 1);
	aml_raw(aml, UINT64_C(1) << irq, 2);
}

/* §6.4.3.6 */
void aml_irq_level(struct aml *aml, uint32_t gsi)
{
	aml_raw(aml, 0x89, 1);
	aml_raw(aml, 6, 2);
	aml_raw(aml, 1, 1); /* consumer, level, active high, exclusive */
	aml_raw(aml, 1, 1); /* one interrupt */
	aml_raw(aml, gsi, 4);
}

/* §6.4.3.4 */
void aml_memory32(struct aml *aml, uint32_t base, uint32_t len)
{
	aml_raw(aml, 0x86, 1);
	aml_raw(aml, 9, 2);
	aml_raw(aml, 1, 1); /* read-write */
	aml_raw(aml, base, 4);
	aml_raw(aml, len, 4);
}

enum { WINDOW_MEMORY = 0, WINDOW_BUS = 2 };

/* §6.4.3.5: a fixed range of addresses; `width` is the size of each number in bytes. */
static void window(struct aml *aml, uint8_t tag, unsigned width, uint8_t type, uint8_t type_flags,
		   uint64_t base, uint64_t len)
{
	byte(aml, tag);
	aml_raw(aml, 3 + 5 * width, 2);
	byte(aml, type);
	byte(aml, 0x0c); /* producer, positive decode, minimum and maximum fixed */
	byte(aml, type_flags);
	aml_raw(aml, 0, width); /* granularity */
	aml_raw(aml, base, width);
	aml_raw(aml, base + len - 1, width);
	aml_raw(aml, 0, width); /* translation */
	aml_raw(aml, len, width);
}

void aml_bus_window(struct aml *aml, uint16_t first, uint16_t count)
{
	window(aml, 0x88, 2, WINDOW_BUS, 0, first, count);
}

void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len)
{
	window(aml, 0x8a, 8, WINDOW_MEMORY, 1, base, len); /* read-write, not cacheable */
}
