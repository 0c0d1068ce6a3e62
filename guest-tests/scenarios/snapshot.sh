# A running machine is saved by the guest's port, ends, and goes on from its snapshot: what it had in
# memory and on its disk is there, its clocks are right.
random disk.img 8M
guest_runs <<'END'
modprobe -a virtio_pci virtio_blk virtio_console
port=
until [ "$port" ]; do
	for name in /sys/class/virtio-ports/*/name; do
		[ "$(cat "$name")" != kinglet.snapshot ] || port=/dev/$(basename "${name%/name}")
	done
done
until [ -b /dev/vda ]; do
	sleep 0.1
done
sum=$(sha256sum </dev/vda)
dmesg -c >/tmp/before
head -c 4000000 /dev/urandom >/tmp/noise
noise=$(sha256sum </tmp/noise)
echo "time before: $(date +%s)"
exec 3<>"$port"
echo save >&3
read -r answer <&3
echo "answer: $answer"
echo "time: $(date +%s)"
[ "$(sha256sum </tmp/noise)" = "$noise" ]
echo 3 >/proc/sys/vm/drop_caches
[ "$(sha256sum </dev/vda)" = "$sum" ]
echo 'scenario: whole'
dmesg | must_fail grep -E 'BUG|WARNING|stall|lockup|new size'
END
vm_start run "$BZIMAGE" --initrd initrd --append "$cmdline" --cpus 2 --disk disk.img --snapshot saved \
	--snapshot-end
vm_wait
expect_status 0
cat console
grep 'answer' console && fail 'the guest ran on'
sleep 3
since=$(date +%s)
vm_start restore saved
vm_wait
expect_status 0
cat console
expect_time "$since"
expect_output 'answer: restored'
expect_output 'scenario: whole'
