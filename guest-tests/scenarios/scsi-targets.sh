# A target created by hand: two portal groups are two SCSI targets, one with two LUNs; several
# queues. Only one machine at a time can use it.
config=/sys/kernel/config/target
wwpn=naa.5001405000000002
backstore=$config/core/fileio_0
group=$config/vhost/$wwpn/tpgt

# lun NAME TARGET LUN
lun() {
	random "$1.img" 4M
	mkdir -p "$backstore/$1"
	echo "fd_dev_name=$PWD/$1.img,fd_dev_size=4194304,fd_buffered_io=1" >"$backstore/$1/control"
	echo 1 >"$backstore/$1/enable"
	mkdir -p "${group}_$2/lun/lun_$3"
	ln -s "$backstore/$1" "${group}_$2/lun/lun_$3/disk"
}
remove() {
	rm -f "$group"_*/lun/*/disk
	rmdir "$group"_*/lun/lun_* "$group"_* "$config/vhost/$wwpn" "$config/vhost" \
		"$backstore"/disk? "$backstore"
}
trap remove EXIT
mkdir -p "${group}_1" "${group}_200"
echo naa.5001405000000003 >"${group}_1/nexus"
echo naa.5001405000000003 >"${group}_200/nexus"
lun disk1 1 0
lun disk2 1 300
lun disk3 200 7

guest_runs <<'END'
disk() {
	until [ -e /sys/class/scsi_disk/$1/device/block ]; do
		sleep 0.1
	done
	echo /dev/$(ls /sys/class/scsi_disk/$1/device/block)
}
modprobe -a virtio_pci virtio_scsi sd_mod
[ "$(sha256sum <$(disk 0:0:1:0))" = "$sum1  -" ]
[ "$(sha256sum <$(disk 0:0:200:7))" = "$sum3  -" ]
[ "$(sha256sum <$(disk 0:0:1:300))" = "$sum2  -" ]
[ "$(ls /sys/class/scsi_disk | wc -l)" = 3 ]
[ "$(ls /sys/block/sda/mq | wc -l)" = 2 ]
dd if=$(disk 0:0:1:0) of=$(disk 0:0:200:7) bs=64k conv=fsync
echo 'scenario: ready'
read -r _
END
vm_start run "$BZIMAGE" --initrd initrd --cpus 2 --scsi "wwpn=$wwpn,queues=4" \
	--append "$cmdline sum1=$(sum disk1.img) sum2=$(sum disk2.img) sum3=$(sum disk3.img)"
await_output 'scenario: ready'

# While it runs, another machine cannot use the target and fails before its guest starts.
other=0
"$KINGLET" run "$BZIMAGE" --initrd initrd --scsi "wwpn=$wwpn" --append "$cmdline" --timeout 60 \
	</dev/null >console.other 2>messages.other || other=$?
cat messages.other
[ $other -eq 101 ]
grep -q "target $wwpn does not exist, has no nexus, or another machine has it" messages.other
[ "$(wc -l <messages.other)" -eq 1 ]

echo >&"$keyboard"
vm_wait
expect_status 0
expect_same disk1.img disk3.img
