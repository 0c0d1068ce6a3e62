# What the host may lack: one line and status 101, or a warning where vhost is optional.
# arch: x86_64
ip tuntap add net0 mode tap vnet_hdr
ip link set net0 up
trap 'chmod 600 /dev/vhost-net; ip link delete net0' EXIT

# refused REGEX ARGUMENT...
refused() {
	local line=$1
	shift
	vm run "$BZIMAGE" --initrd "$INITRD" --append "$cmdline" "$@"
	cat messages
	expect_status 101
	expect_message "$line"
	[ "$(wc -l <messages)" -eq 1 ] || fail 'more than one line'
}

refused 'tap net9: no such interface \(ip tuntap add net9 .*tap=net9,create' --net tap=net9
must_fail [ -e /sys/class/net/net9 ]
refused 'tap net0: TUNSETIFF: .*multi_queue' --net tap=net0,vhost=on,queues=2
vm_start run "$BZIMAGE" --initrd "$INITRD" --net tap=net0,vhost=on --append 'console=ttyS0 quiet'
await_output 'Linux .* is up'
first=$vm
mv messages first.messages
refused 'tap net0: TUNSETIFF: Device or resource busy \(another program has it open\)' \
	--net tap=net0,vhost=on
kill "$first"
wait "$first" || :

chmod 666 /dev/kvm /dev/net/tun
chmod 600 /dev/vhost-net
ip link delete net0
ip tuntap add net0 mode tap vnet_hdr user 65534
ip link set net0 up
cp "$KINGLET" kinglet
chmod 755 .
status=0
setpriv --reuid 65534 --clear-groups ./kinglet run "$BZIMAGE" --net tap=net0,vhost=on \
	</dev/null >console 2>messages || status=$?
cat messages
expect_status 101
expect_message '/dev/vhost-net: Permission denied \(needs read and write permission on it\)'

mv /dev/vhost-net /dev/hidden
trap 'mv /dev/hidden /dev/vhost-net; chmod 600 /dev/vhost-net; ip link delete net0' EXIT
refused 'vhost-net: /dev/vhost-net: .*\(the module is loaded, but' --net tap=net0,vhost=on
mv /dev/hidden /dev/vhost-net

rmmod vhost_net
trap 'modprobe vhost_net; ip link delete net0' EXIT
refused 'vhost-net: /dev/vhost-net: .*\(modprobe vhost_net\)' --net tap=net0,vhost=on
vm run "$BZIMAGE" --initrd "$INITRD" --append "$cmdline" --net tap=net0
cat messages
expect_status 0
expect_message '^kinglet: warning: vhost-net: .*\(modprobe vhost_net\): Kinglet serves the queues itself'
