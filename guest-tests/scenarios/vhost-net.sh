# Network cards whose frames the kernel carries: 100,000 packets without a single exit to Kinglet or
# wake-up for them; nothing is left at the end.
ip tuntap add net0 mode tap vnet_hdr
ip tuntap add net1 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip addr add 10.9.1.1/24 dev net1
ip link set net0 up
ip link set net1 up
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete net0; ip link delete net1' EXIT

guest_runs "$TOOLS/net-check" <<'EOF'
set -e
modprobe -a virtio_pci virtio_net
cat /sys/class/net/eth0/address
echo "features: $(cat /sys/class/net/eth0/device/features)"
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
ip addr add 10.9.1.2/24 dev eth1
ip link set eth1 up
ping -c 1 10.9.1.1
ping -c 3 10.9.0.1
ping -c 2 -s 8000 10.9.0.1 # fragments
echo 'scenario: ready'
read -r go
/net-check udp 10.9.0.1 2000 5000 64
/net-check tcp 10.9.1.1 2000 256
echo 'scenario: done'
read -r go
EOF

# table: the cards' rows of the next table that Kinglet prints.
table() {
	local before
	before=$(grep -c 'virtio-net 1 ' messages) || :
	kill -USR1 "$vm"
	timeout 120 bash -c "until [ \$(grep -c 'virtio-net 1 ' messages) -gt $before ]; do sleep 0.1; done"
	grep 'virtio-net [01] ' messages | tail -n 2
}

packets() {
	local count sum=0
	while read -r count; do
		sum=$((sum + count))
	done < <(cat /sys/class/net/net[01]/statistics/[rt]x_packets)
	echo $sum
}

vm_start run "$BZIMAGE" --initrd initrd --stats --append "$cmdline" \
	--net tap=net0,mac=52:54:00:12:34:56,vhost=on --net tap=net1,vhost=on,offloads=off
await_output 'scenario: ready'
vhost_names >names
[ "$(vhost_workers names)" -eq 2 ] || fail 'no threads of vhost'
before=$(table) packets=$(packets)
echo go >&"$keyboard"
await_output 'scenario: done' 300
after=$(table) packets=$(($(packets) - packets))
echo off >&"$keyboard"
vm_wait
echo "$packets packets"
grep net-check console
cat messages
[ "$before" = "$after" ] || fail "not in the kernel alone: $before, then $after"
[ $packets -ge 100000 ] || fail "$packets packets are too few to tell"
expect_status 0
[ "$(vhost_workers names)" -eq 0 ] || fail 'a thread of vhost is left'
expect_output '52:54:00:12:34:56'
# Bits: 0 CSUM, 1 GUEST_CSUM, 5 MAC, 7 GUEST_TSO4, 11 HOST_TSO4, 15 MRG_RXBUF, 32 VERSION_1.
expect_output '^features: 11...1.1...1...1................1'
