# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# For tests/kvm/run: names that differ on arm64, and tests only for it.

c=img
flat=(--flat 1G)
reset=reset.bin
asleep=wfi.bin
pc=pc start=0x40000000 start_asleep=0x40000004
# The smallest guest that ends, with status 0.
ends_at_once=(poweroff.bin "${flat[@]}")
linux_format=Image
# KiB: all of RAM but the 64 KiB of the VM generation id.
ram_of_16m=16320 ram_of_9m=9152
serial='serial port'
guest_modes='64-bit: (native|emulated)'
symbols=(--symbols "$payloads/echo.img.elf") # an Image has none
# There are no ports and no modes; the last lesson, Linux, is a scenario.
lessons='1 3 4 6 7 8 9'
explained=(flat.bin "${flat[@]}")
explanation='^machine open: /dev/kvm is fd [0-9]+  \[vmm/core/kvm.c:[0-9]+\]$
^machine KVM_CREATE_VCPU: creates vCPU 0; it is fd [0-9]+  \[api.rst 4.7; vmm/core/vcpu.c:[0-9]+\]$
^machine run: the kernel \(flat\) is in guest RAM from 0x40000000 to .* its entry is 0x40000000  \[
^vCPU 0  KVM_EXIT_MMIO: the guest writes 1 byte, 0x45 .E., to 0x10000000.*: serial port \(data\)  \[
^vCPU 0  … 23 more writes to serial port$
^machine run: the machine is taken down  \['

tests_of_arch() {
	guest 'flat' 'EL1 at 0000000040200000\n' flat.bin --flat 0x40200000
	gzip -c "$payloads/linux.img" >"$work/linux.img.gz"
	t 'packed Image' 0 "cmdline: one two\n$handed_over" '' \
		run "$work/linux.img.gz" "${with_all[@]}"

	guest 'accesses that the CPU does not describe' 'ok\n' mmio-abort.img
	guest 'timers' 'virtual timer\nphysical timer\ninterrupt by software\n' timers.img
	t 'exceptions without end' 124 '' 'timeout after [1-9].*vCPU 0: pc 0x200 ' \
		run "$payloads/undefined.bin" "${flat[@]}" --timeout 10s

	head -c 60 "$payloads/linux.img" >"$work/cut.img"
	refused 'a cut Image' 'unknown format|no arm64 Image' run "$work/cut.img"
	head -c 1000 "$work/linux.img.gz" >"$work/cut.img.gz"
	refused 'a cut packed Image' 'cut.img.gz: ' run "$work/cut.img.gz"
	refused 'a mode' 'no mode but 64' run "$payloads/flat.bin" --flat 1G,mode=32
	refused 'a flat binary at an odd address' 'multiples of 4' \
		run "$payloads/flat.bin" --flat 0x40000002
	refused 'a flat binary outside RAM' 'there is some at 0x40000000' \
		run "$payloads/flat.bin" --flat 0x20000000
	refused 'a machine without interrupt controllers' 'irqchip' \
		run "$payloads/linux.img" --irqchip off
}
