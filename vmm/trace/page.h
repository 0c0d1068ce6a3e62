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

static inline double page_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* A cell with a bar for `part` of `whole`, starting at `from`; `class` is an attribute, or "". */
static inline void page_print_bar(FILE *out, const char *class, uint64_t from, uint64_t part,
				  uint64_t whole)
{
	fprintf(out,
		"<td class=\"b\"><div class=\"bar\"><i class=\"skip\" style=\"width:%.2f%%\"></i>"
		"<i%s style=\"width:%.2f%%\"></i></div></td>",
		page_percent(from, whole), class, page_percent(part, whole));
}

/* Migrations, if there were any. (page_moves.c) */
void page_print_moves(FILE *out, const struct trace *trace);

/* The machine: queues, memory map, PCI, ports. (page_machine.c) */
void page_print_machine(FILE *out, const struct trace *trace);

/* The style sheet, for light and dark. (page_style.c) */
extern const char page_style[];

#endif
