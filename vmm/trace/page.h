/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that write the page of --explain=html. Machine's thread. */
#ifndef KINGLET_TRACE_PAGE_H
#define KINGLET_TRACE_PAGE_H

#include "watch.h"

#include <stdio.h>

/* Text of a device, a file or a person: nothing in it becomes markup. (page.c) */
void page_text(FILE *out, const char *text);

/* What the machine is: memory map, ports, PCI, queues. No vCPU runs. (page_machine.c) */
void page_print_machine(FILE *out, const struct watch *watch);

/* The style sheet, for light and dark. (page_style.c) */
extern const char page_style[];

#endif
