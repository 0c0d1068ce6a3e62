# Third-party boot images, as packaged by Debian: memory testers by both entries of Linux's
# protocol, Xen by Multiboot with a kernel as its module, and the real-time kernel.
# bookworm-backports' 6.12 boots too, but in the emulated host of QEMU 7.2 it mostly dies of a
# double fault with invalid flags, under QEMU as under Kinglet: so it is not tested.
# arch: x86_64
# cases: memtest xen rt
case $case in
memtest)
	# Without its benchmark (nosm), which takes a minute in the emulated host.
	for file in memtest86+x64.bin memtest86+ia32.bin; do
		vm_start run "$IMAGES/$file" --memory 64 --append 'console=ttyS0 nosm nosmp nopause'
		await_output 'Memtest86\+ v'
		await_output '#[0-9]+ +\[[A-Z][a-z]+.*Errors: 0 ' # whichever test the line shows
		kill "$vm"
		vm_wait
		expect_status 143
	done
	;;
xen)
	# Up to its Dom0, which in the emulated host dies of a page fault, under QEMU at the same
	# instruction. There is no BIOS for edd= or for a return to real mode.
	vm_start run "$IMAGES/xen" --module "$BZIMAGE,args=console=hvc0" --memory 512 --cpus 2 \
		--append 'console=com1 com1=115200 no-real-mode edd=off cmos-rtc-probe noreboot'
	await_output 'Dom0 has maximum 2 VCPUs'
	kill "$vm"
	vm_wait
	expect_status 143
	expect_output 'Bootloader: Kinglet'
	expect_output '\[0000000000000000, 000000000009fbff\] \(usable\)'
	expect_output '\[0000000000100000, 000000001fffffff\] \(usable\)'
	expect_output 'System RAM: 511MB'
	expect_output 'ACPI: RSDP 000E0000'
	expect_output 'ACPI: APIC 000E....,.* KNGLET'
	expect_output 'Brought up 2 CPUs'
	expect_output 'Dom0 kernel: 64-bit, PAE, lsb'
	;;
rt)
	vm run "$IMAGES/rt" --initrd "$INITRD" --append "$cmdline"
	expect_status 0
	expect_output 'Linux 6\.1\..*-rt-amd64 is up'
	;;
esac
