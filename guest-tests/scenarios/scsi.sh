# SCSI disks served by the host's kernel, on files and on a block device: guest and host see the
# same data; a file system; read-only; with and without MSI.
# cases: msix nomsi
[ "$case" = msix ] && words= || words='pci=nomsi intx=yes'
truncate -s 16M whole.img
random given.img 16M
random readonly.img 4M
truncate -s 64M 'a file, system.img'
mke2fs -q -t ext4 'a file, system.img'
cp readonly.img before.img
cp given.img block.img
loop=$(losetup --find --show block.img)
trap 'losetup --detach "$loop"' EXIT

guest_runs <<'END'
disk() {
	until [ -e /sys/class/scsi_disk/$1:0:1:0/device/block ]; do
		sleep 0.1
	done
	echo /dev/$(ls /sys/class/scsi_disk/$1:0:1:0/device/block)
}
modprobe -a virtio_pci virtio_scsi sd_mod ext4
whole=$(disk 0)
given=$(disk 1)
system=$(disk 2)
readonly=$(disk 3)
block=$(disk 4)

# The whole disk, in large and in small requests, and from both CPUs.
dd if=$given of=$whole bs=1M
dd if=$given of=$whole bs=512 count=2k conv=notrunc &
dd if=$given of=$whole bs=4k skip=1k seek=1k count=1k conv=notrunc
wait
sync
echo 3 >/proc/sys/vm/drop_caches
[ "$(sha256sum <$whole)" = "$sum  -" ]
[ "$(cat /sys/block/${whole#/dev/}/queue/write_cache)" = 'write back' ]

mount -t ext4 $system /mnt
dd if=$given of=/mnt/given bs=1M
umount /mnt

[ "$(cat /sys/block/${readonly#/dev/}/ro)" = 1 ]
must_fail dd if=/dev/zero of=$readonly bs=512 count=1 conv=fsync
[ "$(sha256sum <$readonly)" = "$readonly_sum  -" ]

# A block device of the host; the second half over the first.
[ "$(sha256sum <$block)" = "$sum  -" ]
dd if=$block of=/tmp/half bs=1M skip=8
dd if=/tmp/half of=$block bs=1M conv=fsync

cat /proc/interrupts
if [ "${intx-}" = yes ]; then
	grep -qE '(IO-APIC|GICv3).*virtio' /proc/interrupts
	must_fail grep 'MSI' /proc/interrupts
fi
echo 'scenario: all work'
END
vm run "$BZIMAGE" --initrd initrd --cpus 2 --memory 512 --scsi path=whole.img,queues=2,workers=2 \
	--scsi given.img,readonly --scsi 'path=a file,, system.img' --scsi readonly.img,readonly \
	--scsi "path=$loop" \
	--append "$cmdline $words sum=$(sum given.img) readonly_sum=$(sum readonly.img)"
expect_status 0
expect_output 'scenario: all work'
case $(uname -r) in
[1-5].* | 6.[0-4].*) expect_message 'virtio-scsi 0: workers=2: Inappropriate ioctl .* with 1 ' ;;
*) must_fail grep workers= messages ;;
esac
expect_same given.img whole.img
expect_same before.img readonly.img
e2fsck -fn 'a file, system.img'
debugfs -R 'dump /given copy' 'a file, system.img'
expect_same given.img copy
tail -c 8M given.img | cmp - <(head -c 8M block.img)
