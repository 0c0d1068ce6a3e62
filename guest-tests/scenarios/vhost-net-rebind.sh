# The driver is unbound and bound ten times, and the guest reboots inside the process, while traffic
# flows: the card works afterwards, with the same descriptors and threads as before. It reboots at
# once, because an orderly shutdown under traffic hangs in some kernels (docs/vhost.md), and leaves
# less for Kinglet to clean up.
ip tuntap add net0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete net0' EXIT

guest_runs "$TOOLS/net-check" <<'EOF'
modprobe -a virtio_pci virtio_net
up() {
	ip addr add 10.9.0.2/24 dev eth0
	ip link set eth0 up
}
driver=/sys/bus/virtio/drivers/virtio_net
card=$(basename "$(realpath /sys/class/net/eth0/device)")
up
/net-check tcp 10.9.0.1 2000 4 || exit
echo 'scenario: up'
for _ in 0 1 2 3 4 5 6 7 8 9; do
	/net-check tcp 10.9.0.1 2000 1000 2>/dev/null &
	traffic=$!
	sleep 0.3
	echo "$card" >$driver/unbind || exit
	kill $traffic || : # it may have ended already
	echo "$card" >$driver/bind || exit
	up
done
/net-check udp 10.9.0.1 2000 200 64 || exit
/net-check tcp 10.9.0.1 2000 4 || exit
echo 'scenario: bound again'
read -r next
if [ "$next" = reboot ]; then
	/net-check tcp 10.9.0.1 2000 1000 &
	sleep 0.5
	echo b >/proc/sysrq-trigger
fi
EOF

# times N TEXT: wait until it is on the console N times.
times() {
	[ "$(timeout 300 grep -am "$1" "$2" <(exec tail -f -n +1 -s 0.1 --pid="$vm" console) | wc -l)" \
		-eq "$1" ] || fail "no '$2' on the console"
}

left() {
	ls "/proc/$vm/fd"
	vhost_workers <(vhost_names)
}

vm_start run "$BZIMAGE" --initrd initrd --append "$cmdline" --on-reboot restart \
	--net tap=net0,vhost=on
times 1 'scenario: up'
before=$(left)
times 1 'scenario: bound again'
[ "$before" = "$(left)" ] || fail "before: $before, then: $(left)"
echo reboot >&"$keyboard"
times 2 'scenario: bound again'
[ "$before" = "$(left)" ] || fail "before: $before, then: $(left)"
echo off >&"$keyboard"
vm_wait
cat console messages
expect_status 0
[ ! -s messages ] || ! grep -v 'powered off' messages
