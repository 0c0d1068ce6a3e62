# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# For tests/kvm/run: names that differ on x86_64, and tests only for it.

"$here/tests/need" gdb

c=elf
flat=(--flat '0x1000,mode=16')
reset=reset-acpi.bin
asleep=hlt.bin
pc=rip start=0x1000 start_asleep=0x1001
# The smallest guest that ends, with status 0.
ends_at_once=(hlt.bin --flat '0x1000' --irqchip off)
linux_format='ELF64 vmlinux'
# KiB of usable memory in the memory map: all but 0x9fc00 to 1 MiB.
ram_of_16m=15999 ram_of_9m=8831
serial=COM1
guest_modes='16-bit(, 32-bit(, 64-bit)?)?: (native|emulated)'
symbols=()
# The last lesson, Linux, is a scenario.
lessons='1 2 3 4 5 6 7 8 9'
explained=(flat16.bin --flat '0x7c00,mode=16')
explanation='^machine open: /dev/kvm is fd [0-9]+  \[vmm/core/kvm.c:[0-9]+\]$
^machine KVM_CREATE_VCPU: creates vCPU 0; it is fd [0-9]+  \[api.rst 4.7; vmm/core/vcpu.c:[0-9]+\]$
^machine run: the kernel \(flat\) is in guest RAM from 0x7c00 to .* its entry is 0x7c00  \[
^vCPU 0  KVM_EXIT_IO: the guest writes 1 byte, 0x31 '\''1'\'', to port 0x3f8: COM1 \(data\)  \[
^vCPU 0  … 19 more writes to COM1$
^machine run: the machine is taken down  \['

# A load that keeps Kinglet busy does not delay its timeout.
test_hostile_loads() {
	local line
	selected 'hostile load' || return 0
	while read -r line; do
		case $line in
		'not ok '*) verdict "hostile load ${line#not ok }" "${line#*: }" ;;
		*) verdict "hostile load ${line#ok }" '' ;;
		esac
	done < <("$here/tests/kvm/hostile_loads.py" "$kinglet" "$payloads/hostile-load.$c" 2>&1)
}

tests_of_arch() {
	guest 'flat, 16-bit, boot sector' '16-bit at 0000:7c00\n' flat16.bin --flat 0x7c00,mode=16
	guest 'flat, 16-bit, above 64 KiB' '16-bit at 2000:0000\n' flat16.bin --flat 0x20000,mode=16
	guest 'flat, 32-bit' '32-bit at 00100000: \n' flat32.bin --flat 0x100000,mode=32
	guest 'flat, 32-bit, command line' '32-bit at 00001000: one two\n' \
		flat32.bin --flat 0x1000,mode=32 --append 'one two'
	guest 'flat, 64-bit' '64-bit at 0000000000200000: \n' flat64.bin --flat 0x200000
	guest 'flat, 64-bit, command line' '64-bit at 0000000001000000: one two\n' \
		flat64.bin --flat 0x1000000,mode=64 --append 'one two'
	guest 'bzImage' "cmdline: one two\n$handed_over" linux.bzImage "${with_all[@]}"
	guest 'PVH' "cmdline: one two\n$handed_over" pvh.elf "${with_all[@]}"
	guest 'Multiboot' "cmdline: $payloads/multiboot.elf one two\n$handed_over" \
		multiboot.elf "${with_all[@]}"
	guest 'Multiboot, no words for Linux' "cmdline: $payloads/multiboot.elf\n$handed_over" \
		multiboot.elf --memory 16M --initrd "$work/initrd"
	guest 'Multiboot, modules' "cmdline: $payloads/multiboot.elf\n$(
		)${handed_over%RAM*}cmdline: $work/initrd a b,c\n${handed_over%RAM*}$(
		)cmdline: $work/initrd\n$handed_over" \
		multiboot.elf --memory 16M --initrd "$work/initrd" \
		--module "$work/initrd,args=a b,,c" --module "$work/initrd"

	guest 'port I/O' 'rep outsb\n' pio.elf
	guest 'MMIO across the end of RAM' '' mmio-edge.elf --memory 16M
	ends 'HLT without interrupt controllers' 0 '' hlt.bin --flat 0x1000,mode=16 --irqchip off
	ends 'task priority without interrupt controllers' 0 '' tpr.bin --flat 0x1000 --irqchip off
	ends 'reset by the keyboard controller' 0 'guest rebooted after ' reset-i8042.bin \
		--flat 0x1000,mode=16
	ends 'triple fault' 103 \
		'triple fault after .*vCPU 0: rip 0x(100007 \(32-bit|fff0 \(the reset)' \
		triple-fault.bin --flat 0x100000,mode=32
	ends 'triple fault, with reboots restarting' 103 'triple fault after ' \
		triple-fault.bin --flat 0x100000,mode=32 --on-reboot restart
	ends 'internal error' 104 'internal error after .*rip 0xd0000000' \
		run-nowhere.bin --flat 0x100000,mode=32

	guest 'timers' 'PIT, PIC\nPIT, I/O APIC\nlocal APIC timer\nx2APIC timer and self-IPI\n' \
		timers.elf
	guest 'PCI by ports' '' pci-ports.elf
	guest 'INTx on the PIC' 'INTx, PIC\n' intx-pic.elf

	judged 'halt' 0 '^PASS outcome=halted ' 't["outcome"] == "halted"' \
		"$payloads/hlt.bin" --flat 0x1000,mode=16 --irqchip off
	judged 'triple fault' 103 '^FAIL outcome=triple-fault ' \
		't["vcpus"][0]["registers"]["cr0"].startswith("0x")' \
		"$payloads/triple-fault.bin" --flat 0x100000,mode=32
	judged 'internal error' 104 '^FAIL outcome=internal-error .*bytes da 05 00 00 00 d0' \
		'(t["vcpus"][0]["registers"]["rbx"] == "0x12345678" and
			t["vcpus"][0]["mode"] == "32-bit protected")' \
		"$payloads/mmio-float.bin" --flat 0x100000,mode=32

	. "$here/tests/kvm/gdb.sh"

	gzip -c "$payloads/linux.elf" >"$work/packed.gz"
	refused 'a packed kernel' 'gzip-compressed data' run "$work/packed.gz"
	refused 'a cut bzImage' 'truncated bzImage' run "$(cut_payload linux.bzImage 2000)"
	refused 'a cut ELF' 'truncated or damaged ELF' run "$(cut_payload linux.elf 5000)"
	refused 'a cut ELF header' 'truncated or damaged' run "$(cut_payload linux.elf 40)"
	refused 'a cut PVH image' 'truncated or damaged ELF' run "$(cut_payload pvh.elf 4200)"
	refused 'a cut Multiboot image' 'truncated or damaged ELF' \
		run "$(cut_payload multiboot.elf 4200)"
	for image in linux.bzImage pvh.elf multiboot.elf; do
		refused "an initrd beyond RAM, $image" 'big: .*give the guest more by --memory' \
			run "$payloads/$image" --memory 16M --initrd "$work/big"
	done
	refused 'a long command line, bzImage' 'has 64 bytes, this kernel takes 63' \
		run "$payloads/linux.bzImage" --append "$(printf %064d 0)"
	refused 'a long command line, vmlinux' 'has 2048 bytes, this kernel takes 2047' \
		run "$payloads/linux.elf" --append "$(printf %02048d 0)"
	refused 'a command line in 16-bit mode' 'takes no command line' \
		run "$payloads/flat16.bin" --flat 0x7c00,mode=16 --append x
	refused 'a flat binary outside RAM' 'there is 256 MiB' \
		run "$payloads/hlt.bin" --flat 0x20000000
	refused 'a flat binary over boot tables' 'boot tables lie at' \
		run "$payloads/flat32.bin" --flat 0x80000
	refused 'a 16-bit binary above 1 MiB' 'starts below 1 MiB' \
		run "$payloads/flat16.bin" --flat 0x100000,mode=16
	refused 'a module for Linux' 'bzImage takes no modules' \
		run "$payloads/linux.bzImage" --module "$work/initrd"
	refused 'a missing module' 'module nonesuch: No such file' \
		run "$payloads/multiboot.elf" --module nonesuch
	refused 'an initrd for a flat binary' 'takes no initrd' \
		run "$payloads/flat64.bin" --flat 0x1000 --initrd "$work/initrd"
	refused 'CPUs without interrupt controllers' 'irqchip' \
		run "$payloads/linux.elf" --cpus 2 --irqchip off
	test_hostile_loads
}
