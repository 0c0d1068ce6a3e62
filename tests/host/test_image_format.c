/* SPDX-License-Identifier: Apache-2.0 */
/* Images of other formats, as the openers of disks see them. */
#include "capture.h"
#include "host/image.h"
#include "host/image_format.h"
#include "../../devices/scsi/lio.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Headers of other formats; each in a file of `size` bytes. */
static const struct {
	const char *name;
	off_t size, at;
	const char *bytes;
	size_t len;
	const char *command;
} images[] = {
	{ "qcow2", 196624, 0, "QFI\xfb\0\0\0\3", 8, "qemu-img convert -O raw" },
	{ "VMDK", 65536, 0, "KDMV\1\0\0\0", 8, "qemu-img convert -O raw" },
	{ "VMDK", 350, 0, "# Disk DescriptorFile\nversion=1", 31, "qemu-img convert -O raw" },
	{ "VHDX", 4 << 20, 0, "vhdxfile", 8, "qemu-img convert -O raw" },
	{ "VHD", 5632, 0, "conectix\0\0\0\2", 12, "qemu-img convert -O raw" },
	{ "VHD", 1024 + 512, 1024, "conectix\0\0\0\2", 12, "qemu-img convert -O raw -f vpc" },
	{ "VDI", 2 << 20, 0x40, "\x7f\x10\xda\xbe\1\0\1\0", 8, "qemu-img convert -O raw" },
};

struct fixture {
	char dir[64], path[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/kinglet-format-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/disk", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void make_image(const struct fixture *f, off_t size, off_t at, const char *bytes, size_t len)
{
	_cleanup_close_ int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
}

/* Both openers of disks; `said` gets the lines of both. */
static void check(const struct fixture *f, bool raw, int want, char *said, size_t len)
{
	const struct image_options options = { .path = f->path, .raw = raw, .depth = 1 };
	struct capture capture;
	int as_image, as_target;

	capture_stderr_begin(&capture);
	as_image = image_check(&options);
	as_target = lio_check_image(&options);
	capture_stderr_end(&capture, said, len);
	assert_int_equal(as_image, want);
	assert_int_equal(as_target, want);
}

/* Earlier, the message advised to truncate them. */
static void other_formats_are_refused_with_the_command_that_converts(void **state)
{
	const struct fixture *f = *state;
	char said[2048], want[400];

	for (unsigned i = 0; i < ARRAY_SIZE(images); i++) {
		make_image(f, images[i].size, images[i].at, images[i].bytes, images[i].len);
		check(f, false, -EINVAL, said, sizeof(said));
		snprintf(want, sizeof(want),
			 "kinglet: disk %s: is a %s image, not a raw one; make one of it: "
			 "%s %s %s.raw (",
			 f->path, images[i].name, images[i].command, f->path, f->path);
		assert_memory_equal(said, want, strlen(want));
		assert_null(strstr(said, "truncate"));
		snprintf(want, sizeof(want), "\nkinglet: scsi %s: is a %s image", f->path,
			 images[i].name);
		assert_non_null(strstr(said, want));
	}
}

/* A guest may write anything to its own disk. */
static void format_raw_is_believed(void **state)
{
	const struct fixture *f = *state;
	char said[2048];

	for (unsigned i = 0; i < ARRAY_SIZE(images); i++) {
		if (images[i].size % IMAGE_SECTOR)
			continue;
		make_image(f, images[i].size, images[i].at, images[i].bytes, images[i].len);
		check(f, true, 0, said, sizeof(said));
		assert_string_equal(said, "");
	}
}

static void raw_disks_are_no_images_of_other_formats(void **state)
{
	static const char boot_sector[] = "\xeb\x3c\x90QFI\xfb";
	const struct fixture *f = *state;
	char said[2048];

	make_image(f, 512, 0, boot_sector, sizeof(boot_sector));
	check(f, false, 0, said, sizeof(said));
	assert_string_equal(said, "");
	make_image(f, 513, 0, boot_sector, sizeof(boot_sector));
	check(f, false, -EINVAL, said, sizeof(said));
	assert_non_null(strstr(said, "truncate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(other_formats_are_refused_with_the_command_that_converts),
		TEST(format_raw_is_believed),
		TEST(raw_disks_are_no_images_of_other_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
