# Every virtio device works with a driver that was unbound and bound again five times: the virtio
# driver, then the PCI one with a reset of the function in between. Kinglet leaks nothing.
truncate -s 1M disk.img
ip tuntap add rebind0 mode tap vnet_hdr
ip addr add 10.9.2.1/24 dev rebind0
ip link set rebind0 up
trap 'ip link delete rebind0' EXIT

guest_runs <<'END'
serve() {
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/urandom of=/tmp/block bs=4k count=16
	until [ -b /dev/vda ] && [ -d /sys/class/net/eth0 ] && (: </dev/hvc0); do
		sleep 0.1
	done
	dd if=/tmp/block of=/dev/vda conv=fsync
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(head -c 65536 /dev/vda | sha256sum)" = "$(sha256sum </tmp/block)" ]
	ip addr add 10.9.2.2/24 dev eth0
	ip link set eth0 up
	ping -c 1 10.9.2.1
	[ "$(cat /sys/class/misc/hw_random/rng_current)" = virtio_rng.0 ]
	[ "$(head -c 64 /dev/hwrng | wc -c)" = 64 ]
	echo "hvc0 is there" >/dev/hvc0
	until port=$(grep -lx kinglet.status /sys/class/virtio-ports/*/name); do
		sleep 0.1
	done
}
# The host counts Kinglet's descriptors.
inspected() {
	serve
	echo "scenario: $1"
	read -r _
}

modprobe -a virtio_pci virtio_blk virtio_net virtio_rng virtio_console
inspected bound

for driver in virtio_blk virtio_net virtio_rng virtio_console; do
	cd /sys/bus/virtio/drivers/$driver
	device=$(echo virtio*)
	for _ in 1 2 3 4 5; do
		echo $device >unbind
		echo $device >bind
	done
done
inspected 'virtio rebound'

cd /sys/bus/pci/drivers/virtio-pci
devices=$(echo 0000:*)
[ "$(echo $devices | wc -w)" = 4 ]
for device in $devices; do
	for _ in 1 2 3 4 5; do
		echo $device >unbind
		echo 1 >/sys/bus/pci/devices/$device/reset
		echo $device >bind
	done
done
inspected 'PCI rebound'
echo 3 >"/dev/$(basename "${port%/name}")"
END
vm_start run "$BZIMAGE" --initrd initrd --cpus 2 --disk disk.img --net tap=rebind0 \
	--append "$cmdline"
await_output 'scenario: bound'
readlink "/proc/$vm/fd/"* | sort >before
echo >&"$keyboard"
for again in 'virtio rebound' 'PCI rebound'; do
	await_output "scenario: $again"
	readlink "/proc/$vm/fd/"* | sort >after
	expect_same before after
	echo >&"$keyboard"
done
vm_wait
expect_status 3
