/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that print a trace as a page. */
#ifndef KINGLET_TRACE_PAGE_H
#define KINGLET_TRACE_PAGE_H

#include "trace_reader.h"

#include "base/text.h"

/* An escaped text between two pieces of markup. */
static inline void page_print(FILE *out, const char *before, const char *text, const char *after)
{
	fputs(before, out);
	text_print_xml(out, text);
	fputs(after, out);
}

/* The machine: queues, memory map, PCI, ports. (page_machine.c) */
void page_print_machine(FILE *out, const struct trace *trace);

/* The style sheet, for light and dark. (page_style.c) */
extern const char page_style[];

#endif
