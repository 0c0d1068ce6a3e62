/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many-files COUNT - what a file system must keep, in the current folder: COUNT small files, every
 * second of them renamed into another folder; and from the file `pattern`, read by a mapping, the
 * file `mapped`, written by a shared one. Run twice with the same pattern, it makes the same.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_file(unsigned i)
{
	char name[32], other[32];
	int fd;

	snprintf(name, sizeof(name), "made/%05u", i);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || dprintf(fd, "this is %u\n", i) < 0 || close(fd))
		err(1, "%s", name);
	if (i % 2)
		return;
	snprintf(other, sizeof(other), "renamed/%05u", i);
	if (rename(name, other))
		err(1, "%s", other);
}

static unsigned char *map(const char *path, int flags, int protection, size_t *len)
{
	int fd = open(path, flags, 0644);
	unsigned char *bytes;
	struct stat st;

	if (fd < 0 || (*len && ftruncate(fd, (off_t)*len)) || fstat(fd, &st))
		err(1, "%s", path);
	*len = (size_t)st.st_size;
	bytes = mmap(NULL, *len, protection, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED || close(fd))
		err(1, "%s: mmap", path);
	return bytes;
}

static void write_by_mapping(void)
{
	size_t len = 0;
	const unsigned char *from = map("pattern", O_RDONLY, PROT_READ, &len);
	unsigned char *to = map("mapped", O_RDWR | O_CREAT | O_EXCL, PROT_READ | PROT_WRITE, &len);

	/* Backwards, so that no page is written in the order in which it was read. */
	for (size_t i = 0; i < len; i++)
		to[len - 1 - i] = (unsigned char)~from[i];
	if (msync(to, len, MS_SYNC))
		err(1, "mapped: msync");
}

int main(int argc, char **argv)
{
	unsigned count = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	if (!count)
		errx(1, "usage: many-files COUNT");
	if (mkdir("made", 0755) || mkdir("renamed", 0755))
		err(1, "mkdir");
	for (unsigned i = 0; i < count; i++)
		make_file(i);
	write_by_mapping();
	return 0;
}
