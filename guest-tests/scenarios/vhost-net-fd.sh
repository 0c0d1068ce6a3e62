# Network cards on inherited descriptors, for a Kinglet that may not open the devices: two queues of
# a tap with their vhosts, and two of a macvtap, with the kernel and without; and errors of such
# descriptors.
# arch: x86_64
# cases: tap macvtap errors
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cp "$KINGLET" kinglet
cp "$BZIMAGE" "$INITRD" .
kinglet=$PWD/kinglet bzimage=$PWD/${BZIMAGE##*/}
chmod 755 .
chmod 666 /dev/kvm

guest_runs "$TOOLS/net-check" <<'EOF'
set -e
modprobe -a virtio_pci virtio_net
echo "eth0 is $(cat /sys/class/net/eth0/address)"
echo "queues: $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)"
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
until ping -c 1 -W 1 10.9.0.1 >/dev/null; do sleep 0.2; done
/net-check tcp 10.9.0.1 2000 4
/net-check udp 10.9.0.1 2000 200 64
EOF
chmod 644 initrd "$bzimage"

# as_nobody ARGUMENT...
as_nobody() {
	status=0
	"${nobody[@]}" "$kinglet" run "$bzimage" --initrd initrd --cpus 2 --append "$cmdline" \
		"$@" </dev/null >console 2>messages || status=$?
	cat console messages
}

works() {
	expect_status 0
	expect_output '^queues: 2'
	[ ! -s messages ] || fail 'it has something to say'
}

case $case in
tap)
	ip tuntap add fd0 mode tap vnet_hdr multi_queue
	ip addr add 10.9.0.1/24 dev fd0
	ip link set fd0 up
	"$TOOLS/net-check" serve 2000 &
	trap 'kill %1; ip link delete fd0' EXIT
	status=0
	exec 7<>/dev/vhost-net 8<>/dev/vhost-net
	"$TOOLS/with-tap" fd0 2 "${nobody[@]}" "$kinglet" run "$bzimage" --initrd initrd --cpus 2 \
		--append "$cmdline" --net fd=10:11,vhostfd=7:8 </dev/null >console 2>messages ||
		status=$?
	cat console messages
	works
	;;
macvtap)
	modprobe -d "$(dirname "$("$GUEST_TESTS/assets" host-vmlinux)")" -a veth macvtap
	ip link add mv0 type veth peer name mv1
	ip addr add 10.9.0.1/24 dev mv1
	ip link set mv0 up
	ip link set mv1 up
	ip link add link mv0 name macvtap0 address 52:54:00:00:00:99 numrxqueues 2 numtxqueues 2 \
		type macvtap mode bridge
	ip link set macvtap0 up
	node=/dev/tap$(cat /sys/class/net/macvtap0/ifindex)
	"$TOOLS/net-check" serve 2000 &
	trap 'kill %1; ip link delete macvtap0; ip link delete mv0' EXIT
	for vhost in vhostfd=7:8 vhost=off; do
		exec 7<>/dev/vhost-net 8<>/dev/vhost-net 10<>"$node" 11<>"$node"
		as_nobody --net "fd=10:11,$vhost"
		exec 7<&- 8<&- 10<&- 11<&-
		works
		expect_output '^eth0 is 52:54:00:00:00:99'
	done
	;;
errors)
	ip tuntap add fd0 mode tap vnet_hdr
	ip tuntap add fd1 mode tap vnet_hdr
	trap 'ip link delete fd0; ip link delete fd1' EXIT

	# refused REGEX
	refused() {
		expect_status 101
		expect_message "$1"
		[ "$(wc -l <messages)" -eq 1 ] || fail 'more than one line'
	}
	as_nobody --net fd=77
	refused 'tap fd 77: not inherited; open the tap on this number before'
	exec 7<>/dev/vhost-net 9<>/dev/null
	as_nobody --net fd=9
	refused 'tap fd 9: TUNGETIFF: .* \(not an attached tap\)'
	one_tap() {
		status=0
		"$TOOLS/with-tap" fd0 1 "${nobody[@]}" "$kinglet" run "$bzimage" "$@" \
			</dev/null >console 2>messages || status=$?
		cat messages
	}
	ip link set fd0 up
	one_tap --net fd=10,vhostfd=9
	refused 'vhost-net: fd 9: VHOST_SET_OWNER: .* \(not of this device\)'
	one_tap --net fd=10,vhostfd=66
	refused 'vhost-net: fd 66: not inherited; open /dev/vhost-net on this number before'
	# The same descriptor twice is one queue.
	status=0
	"$TOOLS/with-tap" fd0 1 bash -c 'exec "$@" 12<&10' _ "${nobody[@]}" "$kinglet" run \
		"$bzimage" --net fd=10:12 </dev/null >console 2>messages || status=$?
	cat messages
	refused 'tap fd0: fd 12: opened without IFF_MULTI_QUEUE'
	;;
esac
