# The commands of docs/vhost.md for vDPA. A simulated disk, a simulated network card that sends back
# what it is sent, and a disk of VDUSE, by checksum; drivers bound again $times times, a function
# reset, a reboot; then $times of these and more resets, with requests in flight. What a host lacks
# is one line.
# arch: x86_64
bus=/sys/bus/vdpa
modprobe vhost_iotlb
# The page's commands use it for modules that this host's kernel comes without. One entry for each
# piece of RAM that lies together on the host, of which 2,048 are too few once RAM has been used.
mkdir bin
cat >bin/modprobe <<'END'
#!/bin/bash
while read -r module; do
	entries=
	[[ $module != vhost_vdpa && $module != vdpa_sim ]] || entries=max_iotlb_entries=65536
	[ $module = virtio_vdpa ] || insmod "$VDPA/$module.ko" $entries
done <"$VDPA/order"
END
chmod 755 bin/modprobe
ln -s "$KINGLET" bin/kinglet
cp "$BZIMAGE" vmlinuz
guest_runs <<'END'
modprobe -a virtio_pci virtio_blk
dd if=/dev/urandom of=/data bs=1M count=4
for disk in vda vdb; do
	dd if=/data of=/dev/$disk conv=fsync
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/$disk bs=1M count=4 | cmp - /data
	echo "guest: $disk"
done
END
mv initrd initrd.img
block vdpa >commands
cat commands
PATH=$PWD/bin:$PATH bash -e commands </dev/null >printed 2>&1 || { cat printed && fail 'block vdpa'; }
grep -q 'guest: vdb' printed
insmod "$VDPA/virtio_vdpa.ko"
ulimit -l unlimited
trap 'for name in blk0 net0 vd0; do vdpa dev del $name; done; kill %1; rmmod $(tac "$VDPA/order")' EXIT

# give NAME DRIVER
give() {
	echo "$1" >$bus/devices/"$1"/driver/unbind
	echo "$1" >$bus/drivers/"$2"/bind
}
node() {
	echo /dev/"$(basename $bus/devices/"$1"/vhost-vdpa-*)"
}
# as_disk NAME: the host's own disk, with the device's data.
as_disk() {
	give "$1" virtio_vdpa
	echo /dev/"$(ls $bus/devices/"$1"/virtio*/block)"
}

vm run "$BZIMAGE" --initrd "$INITRD" --vdpa /dev/vhost-vdpa-9
expect_status 101
expect_message '^kinglet: vhost-vdpa: /dev/vhost-vdpa-9: No such file or directory \(modprobe vhost_vdpa; '

random pattern 8M
vdpa dev add name blk0 mgmtdev vdpasim_blk
vdpa dev add name net0 mgmtdev vdpasim_net mac 52:54:00:aa:bb:cc
truncate -s 64M vduse.img
dd if=pattern of=vduse.img conv=notrunc status=none
qemu-storage-daemon --blockdev file,node-name=f,filename=vduse.img \
	--export vduse-blk,id=e,node-name=f,name=vd0,writable=on,num-queues=1 &
timeout 60 bash -c 'until [ -c /dev/vduse/vd0 ]; do sleep 0.1; done'
vdpa dev add name vd0 mgmtdev vduse
disk=$(as_disk blk0)
dd if=pattern of="$disk" bs=1M oflag=direct status=none
for name in blk0 net0 vd0; do
	[ "$(basename "$(readlink $bus/devices/$name/driver)")" = vhost_vdpa ] || give $name vhost_vdpa
done
devices=(--vdpa "$(node blk0)" --vdpa "$(node net0)" --vdpa "$(node vd0)")

(
	ulimit -l 1024
	vm run "$BZIMAGE" --initrd "$INITRD" --memory 256M --vdpa "$(node blk0)" --explain
	expect_status 101
)
expect_message 'vdpa-blk 0: /dev/vhost-vdpa-[0-9]+ cannot map .*pins all 256 MiB of it, .* may pin 1 MiB'
expect_message 'VHOST_VDPA_GET_DEVICE_ID: .* is asked what kind of virtio device it is: 2'
expect_message 'write: .* its pages are pinned: refused: Bad address'

guest_runs <<'END'
modprobe -a virtio_pci virtio_blk virtio_net
check() {
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(dd if=/dev/$1 bs=1M count=8 skip=$2 | sha256sum)" = "$sum  -" ]
}
for disk in vda vdb; do
	check $disk 0
done
if [ "$(dd if=/dev/vda bs=1 skip=32M count=6)" != second ]; then
	printf second | dd of=/dev/vda bs=1 seek=32M conv=fsync
	reboot -f
fi
for disk in vda vdb; do
	dd if=/dev/$disk of=/dev/$disk bs=64k count=128 seek=256 conv=notrunc,fsync
	check $disk 16
done

cd /sys/bus/virtio/drivers/virtio_blk
for device in virtio*; do
	for _ in $(seq $times); do
		echo $device >unbind
		echo $device >bind
	done
done
cd /sys/bus/pci/drivers/virtio-pci
for device in 0000:*; do
	[ -e $device/virtio*/block ] || [ -e $device/virtio*/net ] || continue
	echo $device >unbind
	echo 1 >/sys/bus/pci/devices/$device/reset
	echo $device >bind
done
for disk in vda vdb; do
	check $disk 16
done

# As long as frames come back.
net() {
	ip link set eth0 up
	i=0
	until [ $(cat /sys/class/net/eth0/statistics/rx_packets) -ge $1 ]; do
		[ $((i += 1)) -lt 20 ]
		arping -q -c 2 -w 1 -I eth0 -b 10.0.0.9 || :
	done
}
[ "$(cat /sys/class/net/eth0/address)" = 52:54:00:aa:bb:cc ]
net 4
cd /sys/bus/virtio/drivers/virtio_net
device=$(echo virtio*)
for _ in $(seq $times); do
	echo $device >unbind
	echo $device >bind
done
# By the control queue.
ip link set eth0 address 52:54:00:aa:bb:dd
net 4
END
vm_start run "$BZIMAGE" --initrd initrd --memory 128M "${devices[@]}" --on-reboot restart \
	--append "$cmdline sum=$(sum pattern)"
until ls -l /proc/"$vm"/fd >fds && grep -q vhost-vdpa fds; do
	[ -s fds ] || { cat messages && exit 1; }
	sleep 0.1
done
status=0
"$KINGLET" run "$BZIMAGE" --initrd "$INITRD" --vdpa "$(node blk0)" 2>second || status=$?
cat second
expect_status 101
grep -q 'Device or resource busy (another process has it)' second
vm_wait
cat console messages
expect_status 0
must_fail grep -q 'needs a reset' messages

disk=$(as_disk blk0)
dd if="$disk" of=copy bs=1M skip=16 count=8 iflag=direct status=none
expect_same pattern copy
dd if=vduse.img of=copy bs=1M skip=16 count=8 status=none
expect_same pattern copy

printf 'kinglet\n%.0s' {1..131072} >pattern
dd if=pattern of="$disk" bs=1M oflag=direct status=none
give blk0 vhost_vdpa
resets_start --vdpa "$(node blk0)" --vdpa "$(node net0)"
resets_again "$times"
resets_end
dd if="$(as_disk blk0)" of=copy bs=1M count=1 iflag=direct status=none
expect_same pattern copy
