# Flushed data is in the file, even when Kinglet is killed. The disk is a block device: its cache,
# which only a flush writes back, is between Kinglet and the file.
# cases: uring
# cases x86_64: threads
truncate -s 16M disk.img
loop=$(losetup --find --show disk.img)
trap 'losetup --detach "$loop"' EXIT

guest_runs <<'END'
modprobe -a virtio_pci virtio_blk
i=0
while i=$((i + 1)); do
	echo "block $i" | dd of=/dev/vda bs=4k seek=$i conv=sync,fsync
	echo "scenario: block $i is safe"
done
END
vm_start run "$BZIMAGE" --initrd initrd --disk "$loop,aio=$case" --append "$cmdline"
await_output 'block 20 is safe'
cp console acknowledged
cp --sparse=never disk.img safe.img
kill -KILL "$vm"
vm_wait
expect_status 137

# The last line may be incomplete.
last=$(sed -n 's/^scenario: block \([0-9]*\) is safe\r$/\1/p' acknowledged | tail -n 1)
[ "$last" -ge 20 ]
for ((i = 1; i <= last; i++)); do
	[ "$(dd if=safe.img bs=4k skip=$i count=1 status=none | head -n 1)" = "block $i" ] ||
		fail "block $i of $last is lost"
done
flushes=$(awk '{ print $16 }' "/sys/block/${loop#/dev/}/stat")
[ "$flushes" -ge "$last" ] || fail "$flushes flushes for $last blocks"
