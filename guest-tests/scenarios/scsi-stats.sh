# The data path of a SCSI disk is in the kernel: during 10,000 commands no vCPU exits to Kinglet for
# the disk, and no event of it wakes Kinglet.
random disk.img 8M
guest_runs <<'END'
modprobe -a virtio_pci virtio_scsi sd_mod
until [ -b /dev/sda ]; do
	sleep 0.1
done
sha256sum /dev/sda
commands() {
	set -- $(cat /sys/block/sda/stat)
	echo $1
}
before=$(commands)
echo 'scenario: ready'
read -r _
# One page each. Not by O_DIRECT, which needs buffers aligned to arm64's cache lines.
echo 0 >/sys/block/sda/queue/read_ahead_kb
for _ in 1 2 3 4 5; do
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/sda of=/dev/null bs=4k
done
[ $(($(commands) - before)) -ge 10000 ]
echo 'scenario: done'
read -r _
END
vm_start run "$BZIMAGE" --initrd initrd --stats --scsi path=disk.img,readonly --append "$cmdline"
# counts N: Kinglet's Nth statistics of the device.
counts() {
	kill -USR1 "$vm"
	until [ "$(grep -c 'virtio-scsi 0' messages)" -eq "$1" ]; do
		sleep 0.1
	done
	grep 'virtio-scsi 0' messages | tail -n 1
}
await_output 'scenario: ready'
before=$(counts 1)
echo >&"$keyboard"
await_output 'scenario: done'
after=$(counts 2)
echo >&"$keyboard"
vm_wait
expect_status 0
echo "$before"
[ "$before" = "$after" ] || fail "$after"
