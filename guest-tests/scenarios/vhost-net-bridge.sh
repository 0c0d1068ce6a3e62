# Two guests on a bridge, one with frames carried by the kernel and one by Kinglet; and a guest
# without MSI-X, whose interrupts pass through Kinglet.
# arch: x86_64
ip link add br0 type bridge
ip link set br0 up
for tap in net0 net1; do
	ip tuntap add $tap mode tap vnet_hdr
	ip link set $tap master br0 up
done
trap 'kill $server || :; for link in net0 net1 br0; do ip link delete $link; done' EXIT

guest_runs "$TOOLS/net-check" <<'EOF'
modprobe -a virtio_pci virtio_net
ip addr add 10.9.0.3/24 dev eth0
ip link set eth0 up
exec /net-check serve 2000
EOF
mv initrd server.initrd
"$KINGLET" run "$BZIMAGE" --initrd server.initrd --net tap=net1,vhost=off --append "$cmdline" \
	</dev/null >server.console 2>&1 &
server=$!
until grep -q 'net-check: serving' server.console; do
	kill -0 $server
	sleep 0.1
done

guest_runs "$TOOLS/net-check" <<'EOF'
set -e
modprobe -a virtio_pci virtio_net
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
/net-check tcp 10.9.0.3 2000 8
/net-check udp 10.9.0.3 2000 500 1400
grep virtio /proc/interrupts
EOF
for more in '' pci=nomsi; do
	vm run "$BZIMAGE" --initrd initrd --net tap=net0,vhost=on --append "$cmdline $more"
	cat console messages
	expect_status 0
	if [ "$more" ]; then expect_output '(IO-APIC|GICv3).*virtio'; else expect_output '(PCI|ITS)-MSI.*virtio'; fi
done
kill $server
wait $server || :
server=
