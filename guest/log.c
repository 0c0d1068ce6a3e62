/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include "sys.h"
#include "text.h"

void complain(const char *what, const char *name, int error)
{
	struct text text = { .len = 0 };
	int fd = sys_open(EARLY_DEV "/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fd = sys_open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
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
