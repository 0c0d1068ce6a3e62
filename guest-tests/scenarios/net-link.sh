# The guest's link follows its tap: down, up, without a carrier, removed; and when the link comes
# back, the guest announces itself, now to another bridge. In another network namespace the link
# stays up until the tap is removed.
# cases: vhost
# cases x86_64: local namespace
mac=52:54:00:12:34:56
ip link add br0 type bridge
ip link add br1 type bridge
ip tuntap add net0 mode tap vnet_hdr
ip netns add other
trap 'ip netns delete other
	for link in net0 br0 br1; do ip link delete $link 2>/dev/null || :; done' EXIT
ip link set net0 master br0
ip link set br0 up
ip link set br1 up

# Without IPv6, which would send frames of its own.
guest_runs <<'END'
modprobe -a virtio_pci virtio_net
echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
step=0
while read -r want; do
	until [ "$(cat /sys/class/net/eth0/carrier)" = "$want" ]; do sleep 0.1; done
	step=$((step + 1))
	echo "scenario: step $step: carrier $want"
done
END

# expect_carrier 0|1: the guest's carrier now, or soon.
steps=0
expect_carrier() {
	steps=$((steps + 1))
	echo "$1" >&"$keyboard"
	await_output "scenario: step $steps: carrier $1"
}

# ends LINES: with this number of lines about the tap.
ends() {
	kill -TERM "$vm"
	vm_wait
	cat console messages
	expect_status 143
	expect_message 'warning: tap net0: the interface is down, and so is the guest.s link'
	expect_message 'virtio-net 0: tap net0: .*: link down'
	[ "$(grep -c net0 messages)" -eq "$1" ] || fail "not $1 lines about the tap"
}

[ "$case" = vhost ] && vhost=on || vhost=off
vm_start run "$BZIMAGE" --initrd initrd --net "tap=net0,mac=$mac,vhost=$vhost" --append "$cmdline"
expect_carrier 0
ip link set net0 up
expect_carrier 1
if [ "$case" = namespace ]; then
	ip link set net0 netns other
	timeout 60 bash -c 'until grep moved messages; do sleep 0.1; done'
	expect_carrier 1
	ip -n other link delete net0
	expect_carrier 0
	expect_message 'tap net0: moved to another network namespace'
	ends 3
	exit
fi
! bridge fdb show br br1 dynamic | grep "^$mac " || fail 'br1 knows the guest already'
ip link set net0 down
expect_carrier 0
ip link set net0 master br1
ip link set net0 up
expect_carrier 1
timeout 120 bash -c \
	"until bridge fdb show br br1 dynamic | grep '^$mac dev net0 '; do sleep 0.1; done"
ip link set net0 carrier off
expect_carrier 0
ip link set net0 carrier on
expect_carrier 1
for _ in {1..50}; do
	ip link set net0 down
	ip link set net0 up
done
# It had a carrier before, too: this shows that the link is still followed.
ip link set net0 down
expect_carrier 0
ip link set net0 up
expect_carrier 1
ip link delete net0
expect_carrier 0
ends 2
