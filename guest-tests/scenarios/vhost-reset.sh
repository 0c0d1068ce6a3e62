# Resets by the driver, by the function and by bus mastering, as at a kexec, then a reboot in the
# process, $times times over, all with requests in flight: a bare-metal guest that detects each byte
# that a device writes where it no longer may. Kinglet leaks nothing; the same with frames carried by
# Kinglet.
# cases: vhost
# cases x86_64: local
ip tuntap add reset0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev reset0
ip link set reset0 up
trap 'ip link delete reset0' EXIT

if [ "$case" = vhost ]; then
	devices=(--net tap=reset0,vhost=on --scsi path=disk.img,readonly)
	printf 'kinglet\n%.0s' {1..131072} >disk.img
else
	devices=(--net tap=reset0,vhost=off)
fi

# look: the host resources of the machine.
look() {
	local seen
	seen=$(grep -c 'interrupts by MSI' messages) || :
	kill -USR1 "$vm"
	timeout 60 bash -c \
		"until [ \$(grep -c 'interrupts by MSI' messages) -gt $seen ]; do sleep 0.1; done"
	grep 'interrupts by MSI' messages | tail -n 1
	readlink "/proc/$vm/fd/"* | sort
	ls "/proc/$vm/task" | wc -l
	vhost_workers <(vhost_names)
	find /sys/kernel/config/target -mindepth 1 -maxdepth 3 | sort
}

resets_start --stats "${devices[@]}"
look | tee host.0
resets_again "$times"
look | tee host.last
resets_end
expect_same host.0 host.last
