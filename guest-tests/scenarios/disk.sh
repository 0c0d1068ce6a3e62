# Disks: both kinds of asynchronous I/O, several queues, a file system, a serial number, read-only,
# discard, a copy of a block device; what the guest reads and writes is what the host has.
# cases: uring
# cases x86_64: threads
random pattern 8M
cp pattern a.img
truncate -s 64M a.img b.img
head -c 16M /dev/zero | tr '\0' d >fill
dd if=fill of=a.img bs=1M seek=32 conv=notrunc status=none
mke2fs -q -t ext4 b.img
cp pattern c.img
modprobe loop
loop=$(losetup --find --show c.img)

guest_runs <<'END'
modprobe -a virtio_pci virtio_blk ext4

# By hand, in small and large requests, from both CPUs.
[ "$(dd if=/dev/vda bs=1M count=8 | sha256sum)" = "$sum  -" ]
dd if=/dev/vda of=/dev/vda bs=512 count=4k seek=16k conv=notrunc &
dd if=/dev/vda of=/dev/vda bs=1M skip=2 count=6 seek=10 conv=notrunc
wait
sync
[ "$(ls /sys/block/vda/mq | wc -l)" = 2 ]
[ "$(cat /sys/block/vda/serial)" = 'the first, a' ]

# A file system.
mount -t ext4 -o discard /dev/vdb /mnt
dd if=/dev/vda bs=1M count=8 >/mnt/pattern
dd if=/dev/urandom bs=1M count=20 >/mnt/gone
sync
rm /mnt/gone
umount /mnt

# Read-only.
[ "$(cat /sys/block/vdc/ro)" = 1 ]
must_fail dd if=/dev/zero of=/dev/vdc bs=512 count=1 conv=fsync
[ "$(sha256sum </dev/vdc)" = "$sum  -" ]

# A copy of a block device.
[ "$(dd if=/dev/vdd bs=1M count=8 | sha256sum)" = "$sum  -" ]
dd if=/dev/zero of=/dev/vdd bs=1M count=1 conv=fsync

blkdiscard -o $((32 << 20)) -l $((16 << 20)) /dev/vda
echo 'scenario: ready'
read -r _
END
blocks=$(stat -c %b a.img)
vm_start run "$BZIMAGE" --initrd initrd --cpus 2 \
	--disk "a.img,queues=2,serial=the first,, a,aio=$case" --disk "b.img,aio=$case" \
	--disk "c.img,readonly,aio=$case" --disk "$loop,copy,aio=$case" --append "$cmdline sum=$(sum pattern)"
await_output 'scenario: ready'
rings=$(readlink "/proc/$vm/fd/"* | grep -c io_uring) || :
case $case in
uring) [ "$rings" -eq 4 ] ;;
threads) [ "$rings" -eq 0 ] ;;
esac
echo >&"$keyboard"
vm_wait
expect_status 0

dd if=a.img of=copy bs=1M skip=8 count=8 status=none
expect_same pattern copy
[ "$(stat -c %b a.img)" -le $((blocks - 32000 + 16384)) ] || fail "nothing was discarded"
cmp <(dd if=a.img bs=1M skip=32 count=16 status=none) <(head -c 16M /dev/zero)
losetup --detach "$loop"
expect_same pattern c.img
e2fsck -fn b.img
debugfs -R 'dump /pattern copy' b.img
expect_same pattern copy
