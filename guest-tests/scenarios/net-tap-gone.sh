# The tap is removed from the host under a running guest: its card loses its link at once, and
# however often the driver is bound again, which is logged once; the guest runs on.
# cases: vhost
# cases x86_64: local
ip tuntap add gone0 mode tap vnet_hdr
ip link set gone0 up
trap 'ip link delete gone0 2>/dev/null || :' EXIT

guest_runs <<'END'
modprobe -a virtio_pci virtio_net
driver=/sys/bus/virtio/drivers/virtio_net
card=$(basename "$(realpath /sys/class/net/eth0/device)")
carrier() {
	until [ "$(cat /sys/class/net/eth0/carrier)" = $1 ]; do sleep 0.1; done
}
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
carrier 1
echo 'scenario: link'
carrier 0
for _ in 1 2 3 4 5; do
	echo "$card" >$driver/unbind
	echo "$card" >$driver/bind
	until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
	ip addr add 10.9.0.2/24 dev eth0
	ip link set eth0 up
	ping -c 1 -W 1 10.9.0.1 || :
	carrier 0
done
echo 'scenario: no link'
END
[ "$case" = vhost ] && vhost=on || vhost=off
vm_start run "$BZIMAGE" --initrd initrd --net "tap=gone0,vhost=$vhost" --append "$cmdline"
await_output 'scenario: link'
ip link delete gone0
vm_wait
cat console messages
expect_status 0
expect_output 'scenario: no link'
expect_message 'tap gone0: .*link down'
[ "$(wc -l <messages)" -eq 1 ] || fail 'said more than once'
