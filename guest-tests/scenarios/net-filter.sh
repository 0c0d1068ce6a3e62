# Which frames reach a guest whose frames Kinglet carries: its own; all with promiscuous mode;
# multicast frames in all-multicast mode; those of the VLANs that it has joined.
mac=52:54:00:12:34:56
modprobe -d "$(dirname "$("$GUEST_TESTS/assets" host-vmlinux)")" 8021q # the testbed's kernel
ip tuntap add net0 mode tap vnet_hdr
trap 'ip link delete net0' EXIT
ip link set net0 address 52:54:00:00:00:01
echo 1 >/proc/sys/net/ipv6/conf/net0/disable_ipv6
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up
ip neigh add 10.9.0.2 lladdr $mac dev net0
ip neigh add 10.9.0.9 lladdr 52:54:00:00:00:09 dev net0
ip route add 239.0.0.0/8 dev net0
ip link add link net0 name net0.7 type vlan id 7
echo 1 >/proc/sys/net/ipv6/conf/net0.7/disable_ipv6
ip addr add 10.9.7.1/24 dev net0.7
ip link set net0.7 up
ip neigh add 10.9.7.2 lladdr $mac dev net0.7

# Frames arrive in order: once the answer to a ping is there, everything sent before has arrived or
# been dropped.
kernel=$(dirname "$BZIMAGE")
mapfile -t modules < <(modprobe -d "$kernel" -S "$(ls "$kernel/lib/modules")" --show-depends 8021q |
	sed -n 's/^insmod \(.*ko\) *$/\1/p')
guest_runs "${modules[@]}" <<'END'
modprobe -a virtio_pci virtio_net
for module in llc mrp stp garp 8021q; do insmod /$module.ko; done
echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
arp -s 10.9.0.1 52:54:00:00:00:01
count() {
	cat /sys/class/net/eth0/statistics/rx_packets
}
# arrived WHAT: how many frames more than the answer.
arrived() {
	before=$(count)
	echo "scenario: send $1"
	read -r _
	ping -c 1 10.9.0.1 >/dev/null
	echo "scenario: $1: $(($(count) - before - 1))"
}
ping -c 1 10.9.0.1
arrived foreign
arrived group
arrived vlan
ip link set eth0 promisc on
arrived 'all foreign'
arrived 'all group'
arrived 'all vlan'
ip link set eth0 promisc off
ifconfig eth0 allmulti
arrived 'every group'
arrived 'no foreign'
ip link add link eth0 name eth0.7 type vlan id 7
arrived 'joined vlan'
ip link delete eth0.7
arrived 'left vlan'
END

# sends WHAT HOST COUNT: sends 20 frames from the host when the guest waits; COUNT must arrive.
sends() {
	await_output "scenario: send $1"
	for _ in {1..20}; do
		echo frame >"/dev/udp/$2/9"
	done
	echo >&"$keyboard"
	await_output "scenario: $1: "
	expect_output "scenario: $1: $3[^0-9]*$"
}

vm_start run "$BZIMAGE" --initrd initrd --stats --net "tap=net0,mac=$mac,vhost=off" \
	--append "$cmdline"
sends foreign 10.9.0.9 0
sends group 239.1.2.3 0
sends vlan 10.9.7.2 0
sends 'all foreign' 10.9.0.9 20
sends 'all group' 239.1.2.3 20
sends 'all vlan' 10.9.7.2 20
sends 'every group' 239.1.2.3 20
sends 'no foreign' 10.9.0.9 0
sends 'joined vlan' 10.9.7.2 20
sends 'left vlan' 10.9.7.2 0
vm_wait
cat console messages
expect_status 0
# Five times 20, plus whatever else the testbed may have sent.
expect_message 'virtio-net 0: frames: [0-9]* received, 1[0-9][0-9] unwanted, 0 dropped; '
