/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small encoder for ACPI Machine Language (ACPI 6.4 §20.2) and resource descriptors (§6.4).
 * Private to arch/x86_64.
 *
 * Everything is appended to a caller's buffer, in the order of the ASL source. A term with a body
 * is opened by a function that returns a mark and closed by aml_end() with that mark. What does not
 * fit is dropped and sets `full`: check it once, at the end.
 *
 * Names are name segments of exactly four characters ("PCI0", "_SB_"), or "\\_SB_" from the root.
 */
#ifndef KINGLET_X86_64_AML_H
#define KINGLET_X86_64_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *data; /* borrowed */
	size_t capacity;
	size_t len;
	bool full;
};

/* Raw data: bytes, a little-endian number of `width` bytes, zeroes up to an alignment. */
void aml_bytes(struct aml *aml, const void *bytes, size_t len);
void aml_raw(struct aml *aml, uint64_t value, unsigned width);
void aml_align(struct aml *aml, size_t align);

/* Terms with a body. */
size_t aml_scope(struct aml *aml, const char *name);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, unsigned args);
size_t aml_package(struct aml *aml, uint8_t elements);
size_t aml_if(struct aml *aml); /* the predicate comes first in its body */
void aml_end(struct aml *aml, size_t mark);

/* Name (name, …): the value follows. */
void aml_name(struct aml *aml, const char *name);
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id); /* "PNP0501" */

/* OperationRegion (region, SystemIO, port, 4), and one 32-bit Field over all of it. */
void aml_io_dword(struct aml *aml, const char *region, const char *field, uint16_t port);
/* Where a name may stand: the method's first variable. Store (from, to). */
#define AML_LOCAL0 "\x60"
void aml_store(struct aml *aml, const char *from, const char *to);
/* And (name, mask), without a target. */
void aml_and(struct aml *aml, const char *name, uint64_t mask);
void aml_notify(struct aml *aml, const char *name, uint8_t value);

/* Name (_CRS, ResourceTemplate () { … }): descriptors follow, then aml_resources_end(). */
size_t aml_resources(struct aml *aml);
void aml_resources_end(struct aml *aml, size_t mark);
void aml_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_irq_edge(struct aml *aml, unsigned irq);   /* ISA: 0..15, active high */
void aml_irq_level(struct aml *aml, uint32_t gsi); /* active high */
void aml_memory32(struct aml *aml, uint32_t base, uint32_t len);
/* What a bridge forwards: bus numbers, or non-prefetchable memory. */
void aml_bus_window(struct aml *aml, uint16_t first, uint16_t count);
void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len);

#endif
