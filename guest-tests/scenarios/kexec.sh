# One kernel starts the next by kexec, twice, with a network card and disks in use and frames
# arriving. Each finds its devices as after a reset, and Kinglet leaks nothing. (vhost-reset checks
# that the old kernel's requests do not write to the new one's memory.) Debian's arm64 kernel cannot
# load another from files.
# arch: x86_64
ip tuntap add kexec0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev kexec0
ip link set kexec0 up
# Frames that the guest does not answer: with frames of its own in a ring it can hang in its
# shutdown, see docs/vhost.md.
ip neigh replace 10.9.0.3 lladdr 52:54:00:12:34:56 dev kexec0
"$TOOLS/net-check" serve 2000 &
helpers=($!)
{
	exec {never}<> <(:)
	while :; do
		echo frame >/dev/udp/10.9.0.3/9 || :
		read -r -t 0.01 -u "$never" || :
	done
} 2>/dev/null &
helpers+=($!)
trap 'kill "${helpers[@]}"; ip link delete kexec0' EXIT
random disk.img 8M
random scsi.img 8M

# The next kernel's initramfs is this one, repacked, and its command line counts kernels.
guest_runs "$TOOLS/net-check" "$TOOLS/kexec" "$BZIMAGE" <<'END'
modprobe -a virtio_pci virtio_net virtio_blk virtio_scsi sd_mod
until [ -b /dev/sda ]; do
	sleep 0.1
done
[ "$(cat /dev/vda /dev/sda | sha256sum)" = "$sum  -" ]
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
/net-check udp 10.9.0.1 2000 200 64
/net-check tcp 10.9.0.1 2000 4
echo "scenario: kernel $kernels works"
read -r _
[ "$kernels" -lt 3 ] || exit 0
(cd / && find . -xdev ! -path './tmp/*' | cpio -o -H newc 2>/dev/null) >/tmp/initrd
/kexec /bzimage /tmp/initrd "$(sed "s/kernels=$kernels/kernels=$((kernels + 1))/" /proc/cmdline)"
for disk in /dev/vda /dev/sda; do
	while dd if=$disk of=/dev/null bs=64k iflag=direct; do
		:
	done 2>/dev/null &
done
usleep 300000
/kexec now
END

# left N: the host resources of the machine when the Nth kernel runs.
left() {
	await_output "scenario: kernel $1 works"
	{
		readlink "/proc/$vm/fd/"* | sort
		ls "/proc/$vm/task" | wc -l
		vhost_workers <(vhost_names)
		find /sys/kernel/config/target -mindepth 1 -maxdepth 3 | sort
	} >"left.$1"
	expect_same left.1 "left.$1"
	echo >&"$keyboard"
}

vm_start run "$VMLINUX" --initrd initrd --memory 512M --disk disk.img,readonly \
	--net tap=kexec0,mac=52:54:00:12:34:56,vhost=on --scsi path=scsi.img,readonly \
	--append "$cmdline kernels=1 sum=$(cat disk.img scsi.img | sha256sum | cut -c 1-64)"
for kernel in 1 2 3; do
	left $kernel
done
vm_wait
cat console messages
expect_status 0
[ ! -s messages ]
