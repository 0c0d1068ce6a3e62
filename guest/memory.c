/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "log.h"
#include "sys.h"

#include <sys/mman.h>

/* The compiler may call it for a struct that is set to zero. */
void *memset(void *to, int value, size_t len);
void *memset(void *to, int value, size_t len)
{
	volatile char *at = to;

	while (len--)
		*at++ = (char)value;
	return to;
}

void *allocate(size_t len)
{
	long at = sys_call(__NR_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (at < 0 && at > -4096)
		give_up("memory", NULL, (int)-at);
	return (void *)at;
}
