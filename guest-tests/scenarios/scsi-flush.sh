# Data flushed to a SCSI disk is on the host's disk, even if the host and Kinglet stop at that
# moment: the image is on a file system whose device is copied in that state.
truncate -s 64M system.img
mke2fs -q -t ext4 system.img
loop=$(losetup --find --show system.img)
mkdir system crashed
trap 'umount -q crashed; umount -q system; losetup --detach "$loop"' EXIT
mount "$loop" system
truncate -s 16M system/disk.img
sync -f system

guest_runs <<'END'
modprobe -a virtio_pci virtio_scsi sd_mod
until [ -b /dev/sda ]; do
	sleep 0.1
done
i=0
while i=$((i + 1)); do
	echo "block $i" | dd of=/dev/sda bs=4k seek=$i conv=sync,fsync
	echo "scenario: block $i is safe"
done
END
vm_start run "$BZIMAGE" --initrd initrd --scsi path=system/disk.img --append "$cmdline"
await_output 'block 20 is safe'
cp console acknowledged
cp --sparse=never system.img crashed.img
kill -KILL "$vm"
vm_wait
expect_status 137

mount -o loop crashed.img crashed
# The last line may be incomplete.
last=$(sed -n 's/^scenario: block \([0-9]*\) is safe\r$/\1/p' acknowledged | tail -n 1)
[ "$last" -ge 20 ]
for ((i = 1; i <= last; i++)); do
	[ "$(dd if=crashed/disk.img bs=4k skip=$i count=1 status=none | head -n 1)" = "block $i" ] ||
		fail "block $i of $last is lost"
done

# The next Kinglet removes what the killed one left behind.
guest_runs <<'END'
:
END
truncate -s 1M other.img
vm run "$BZIMAGE" --initrd initrd --scsi path=other.img --append "$cmdline"
expect_status 0
