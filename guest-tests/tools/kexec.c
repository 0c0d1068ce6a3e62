/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts another kernel at once: no driver is unbound, no file is synced.
 *
 *	kexec KERNEL INITRD COMMAND-LINE    loads it
 *	kexec now                           starts it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int die(const char *what)
{
	fprintf(stderr, "kexec: %s: %s\n", what, strerror(errno));
	return 1;
}

static int load(const char *kernel, const char *initrd, const char *cmdline)
{
	int kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC);
	int initrd_fd = open(initrd, O_RDONLY | O_CLOEXEC);

	if (kernel_fd < 0)
		return die(kernel);
	if (initrd_fd < 0)
		return die(initrd);
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(cmdline) + 1, cmdline, 0UL))
		return die("kexec_file_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4)
		return load(argv[1], argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "now") == 0) {
		reboot(RB_KEXEC);
		return die("reboot");
	}
	fprintf(stderr, "usage: kexec KERNEL INITRD COMMAND-LINE, or kexec now\n");
	return 2;
}
