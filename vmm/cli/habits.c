/* SPDX-License-Identifier: Apache-2.0 */
/* Options of QEMU, which users may type out of habit. */
#include "cli/options.h"

#include <string.h>

static const struct {
	const char *name;
	const char *instead;
} habits[] = {
	{ "kernel", "KERNEL stands alone, without an option" },
	{ "smp", "write --cpus N" },
	{ "drive", "write --disk FILE" },
	{ "hda", "write --disk FILE" },
	{ "cdrom", "write --disk FILE,readonly" },
	{ "netdev", "write --net tap=NAME" },
	{ "nic", "write --net tap=NAME" },
	{ "device", "write --disk FILE, --net tap=NAME, --scsi path=FILE or --vsock cid=N" },
	{ "s", "write --gdb 1234,nowait" },
	{ "S", "write --gdb 1234" },
	{ "nographic", "leave it out: the serial port is on this terminal" },
	{ "display", "leave it out: there is no display" },
	{ "vga", "leave it out: there is no display" },
	{ "enable-kvm", "leave it out: there is nothing but KVM" },
	{ "accel", "leave it out: there is nothing but KVM" },
	{ "machine", "leave it out: there is one machine" },
	{ "M", "leave it out: there is one machine" },
	{ "cpu", "leave it out: the guest gets the host's CPU" },
	{ "no-reboot", "leave it out: a reboot ends the run, but for --on-reboot restart" },
};

const char *option_habit(const char *typed)
{
	for (unsigned i = 0; i < ARRAY_SIZE(habits); i++)
		if (strcmp(typed, habits[i].name) == 0)
			return habits[i].instead;
	return NULL;
}
