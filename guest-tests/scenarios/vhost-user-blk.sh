# A disk of qemu-storage-daemon: read, write, flush and discard by checksum, on four queues, each of
# which is used; the driver bound again and the function reset, $times times each; a daemon that ends
# while nothing is in flight is followed by the next one, and requests made meanwhile wait for it.
# arch: x86_64
random pattern 8M
cp pattern disk.img
truncate -s 64M disk.img
head -c 16M /dev/zero | tr '\0' d >fill
dd if=fill of=disk.img bs=1M seek=32 conv=notrunc status=none
daemon_start() {
	rm -f socket
	qemu-storage-daemon --blockdev file,node-name=f,filename=disk.img,discard=unmap \
		--export vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=socket,writable=on,num-queues=4 &
	daemon=$!
	await_socket socket
}
daemon_start

guest_runs <<'END'
modprobe -a virtio_pci virtio_blk
[ "$(ls /sys/block/vda/mq | wc -l)" = 4 ]
if grep -q again /proc/cmdline; then exit 7; fi

[ "$(dd if=/dev/vda bs=1M count=8 | sha256sum)" = "$sum  -" ]
# This daemon says at first that it has no cache, and is sent no flushes.
echo 'write back' >/sys/block/vda/cache_type
for i in 0 1 2 3; do
	taskset $((1 << i)) dd if=/dev/vda of=/dev/vda bs=64k skip=$((i * 32)) seek=$((256 + i * 32)) \
		count=32 conv=notrunc,fsync &
done
wait
# Each has raised an interrupt on the CPU that used it.
for i in 0 1 2 3; do
	set -- $(grep "virtio[0-9]*-req.$i\$" /proc/interrupts)
	shift $((i + 1))
	[ "$1" -gt 0 ]
done
blkdiscard -o $((32 << 20)) -l $((16 << 20)) /dev/vda
# Documentation/block/stat.rst: the 12th number is of discards, the 16th of flushes.
set -- $(cat /sys/block/vda/stat)
[ ${12} -gt 0 ]
[ ${16} -ge 4 ]

cd /sys/bus/virtio/drivers/virtio_blk
device=$(echo virtio*)
for _ in $(seq $times); do
	echo $device >unbind
	echo $device >bind
done
cd /sys/bus/pci/drivers/virtio-pci
device=$(echo 0000:*)
for device in $device; do
	[ -e /sys/bus/pci/devices/$device/virtio*/block ] || continue
	for _ in $(seq $times); do
		echo $device >unbind
		echo 1 >/sys/bus/pci/devices/$device/reset
		echo $device >bind
	done
done
echo 3 >/proc/sys/vm/drop_caches
[ "$(dd if=/dev/vda bs=1M count=8 skip=16 | sha256sum)" = "$sum  -" ]
sync
for i in 1 2 3; do
	echo "scenario: rests $i"
	read -r _
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(dd if=/dev/vda bs=1M count=8 | sha256sum)" = "$sum  -" ]
	dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=$((24 + i)) conv=notrunc,fsync
done
END
blocks=$(stat -c %b disk.img)
vm_start run "$BZIMAGE" --initrd initrd --cpus 4 --disk vhost-user=socket \
	--append "$cmdline sum=$(sum pattern)"
for i in 1 2 3; do
	await_output "scenario: rests $i"
	kill -KILL $daemon
	wait $daemon || :
	echo >&"$keyboard"
	sleep 1
	daemon_start
done
vm_wait
cat console messages
expect_status 0
[ "$(grep -c 'has ended; requests wait' messages)" -eq 3 ]
must_fail grep -q 'needs a reset' messages

# The same daemon as a device of which Kinglet knows no more than numbers; it is listening again.
vm run "$BZIMAGE" --initrd initrd --cpus 4 --device 2,vhost-user=socket,queues=4,config=60 \
	--append "$cmdline again"
expect_status 7
kill $daemon
wait $daemon || :

dd if=disk.img of=copy bs=1M skip=16 count=8 status=none
expect_same pattern copy
for i in 1 2 3; do
	cmp <(dd if=disk.img bs=1M skip=$((24 + i)) count=1 status=none) <(head -c 1M pattern)
done
[ "$(stat -c %b disk.img)" -lt $((blocks + 24000 - 16384)) ] || fail "nothing was discarded"
