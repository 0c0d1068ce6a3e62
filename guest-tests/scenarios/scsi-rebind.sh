# A SCSI host works with a driver that is unbound and bound again ten times while requests are in
# flight, and with a guest that reboots in the same process while it writes. Kinglet leaks nothing.
# cases: restart virtio
# cases x86_64: pci
random disk.img 16M
cp disk.img before.img
truncate -s 16M work.img
case $case in
virtio) bus=virtio driver=virtio_scsi ;;
pci) bus=pci driver=virtio-pci ;;
restart) bus='' driver='' ;;
esac

guest_runs <<'END'
disk() {
	until host=$(ls -d /sys/bus/virtio/drivers/virtio_scsi/virtio$1/host*/target*/*/block/sd*); do
		sleep 0.1
	done
	echo /dev/${host##*/}
}
check() {
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(sha256sum <$(disk 0))" = "$sum  -" ]
}
# Requests of all kinds, for as long as there is a disk.
load() {
	from=$(disk 0)
	to=$(disk 1)
	for _ in 1 2; do
		dd if=$from of=$to bs=64k oflag=direct 2>/dev/null &
		dd if=$from of=/dev/null bs=4k iflag=direct 2>/dev/null &
	done
	sleep 0.3
}
inspected() {
	check
	echo "scenario: $1"
	read -r _
}

modprobe -a virtio_pci virtio_scsi sd_mod
inspected bound
if [ -z "$driver" ]; then
	load
	reboot -f
fi
cd /sys/bus/$bus/drivers/$driver
devices=
for device in /sys/bus/virtio/drivers/virtio_scsi/virtio*; do
	[ $bus = virtio ] || device=$(readlink -f $device/..)
	devices="$devices ${device##*/}"
done
for i in 1 2 3 4 5 6 7 8 9 10; do
	load
	for device in $devices; do
		echo $device >unbind
		echo $device >bind
	done
	wait
	check
done
inspected 'bound again'
END
vm_start run "$BZIMAGE" --initrd initrd --cpus 2 --rng off --console off --on-reboot restart \
	--scsi path=disk.img,readonly --scsi path=work.img,queues=2 \
	--append "$cmdline bus=$bus driver=$driver sum=$(sum disk.img)"
look() {
	readlink "/proc/$vm/fd/"* | sort >"descriptors.$1"
	find /sys/kernel/config/target -maxdepth 3 | sort >"targets.$1"
}
await_output 'scenario: bound'
look 1
if [ "$case" = restart ]; then
	for again in 2 3 4; do
		: >console
		echo >&"$keyboard"
		await_output 'scenario: bound'
		look $again
		expect_same descriptors.1 descriptors.$again
		expect_same targets.1 targets.$again
	done
	kill -TERM "$vm"
	vm_wait
	expect_status 143
else
	echo >&"$keyboard"
	await_output 'scenario: bound again' 300
	look 2
	expect_same descriptors.1 descriptors.2
	expect_same targets.1 targets.2
	echo >&"$keyboard"
	vm_wait
	expect_status 0
fi
expect_same before.img disk.img
