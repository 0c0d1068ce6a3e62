/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_format.h"

#include "base/log.h"

#include <string.h>

enum { FOOTER = 512 }; /* of a VHD, at its very end */

/*
 * QEMU: docs/interop/qcow2.rst, block/vdi.c, block/qed.h; VMware: "Virtual Disk Format 5.0";
 * Microsoft: "Virtual Hard Disk Image Format Specification", [MS-VHDX].
 */
static const struct {
	const char *name;
	const char *convert_option; /* if qemu-img does not detect the format */
	off_t at;		    /* negative: from the end */
	const char *magic;
	size_t len;
} formats[] = {
	{ "qcow2", "", 0, "QFI\xfb", 4 },
	{ "QED", "", 0, "QED", 4 },
	{ "VMDK", "", 0, "KDMV", 4 },
	{ "VMDK", "", 0, "COWD", 4 },
	{ "VMDK", "", 0, "# Disk DescriptorFile", 21 },
	{ "VHDX", "", 0, "vhdxfile", 8 },
	{ "VHD", "", 0, "conectix", 8 },
	{ "VHD", " -f vpc", -FOOTER, "conectix", 8 },
	{ "VDI", "", 0x40, "\x7f\x10\xda\xbe", 4 },
};

int image_refuse_foreign(const char *what, const char *path, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char bytes[32];

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		off_t at = formats[i].at + (formats[i].at < 0 ? end : 0);
		size_t len = formats[i].len;

		if (at < 0 || pread(fd, bytes, len, at) != (ssize_t)len ||
		    memcmp(bytes, formats[i].magic, len) != 0)
			continue;
		log_error("%s %s: is a %s image, not a raw one; make one of it: qemu-img convert "
			  "-O raw%s %s %s.raw (or say format=raw, if a guest wrote that into its raw "
			  "disk)",
			  what, path, formats[i].name, formats[i].convert_option, path, path);
		return -EINVAL;
	}
	return 0;
}
