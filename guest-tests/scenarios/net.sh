# Traffic over taps, both ways, each byte compared; addresses and offloads as the guest sees them.
# One tap exists before, Kinglet creates the other and removes it at the end.
ip tuntap add net0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete net0' EXIT

guest_runs "$TOOLS/net-check" <<'END'
modprobe -a virtio_pci virtio_net
cat /sys/class/net/eth*/address
for card in /sys/class/net/eth*; do
	echo "features of ${card##*/}: $(cat $card/device/features)"
done
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
ip link set eth1 up
ping -c 2 10.9.0.1
ping -c 2 -s 8000 10.9.0.1 # fragments
echo 'scenario: ready'
read -r _
/net-check tcp 10.9.0.1 2000 8 out
echo 'scenario: sent'
read -r _
/net-check tcp 10.9.0.1 2000 8 in
END
packets() {
	cat /sys/class/net/net0/statistics/rx_packets
}
vm_start run "$BZIMAGE" --initrd initrd --net tap=net0,mac=52:54:00:12:34:56,vhost=off \
	--net tap=net1,create,vhost=off --append "$cmdline"
await_output 'scenario: ready'
[ -d /sys/class/net/net1 ]
before=$(packets)
echo >&"$keyboard"
await_output 'scenario: sent'
sent=$(($(packets) - before))
echo "$sent packets"
echo >&"$keyboard"
vm_wait
cat console
expect_status 0
[ ! -d /sys/class/net/net1 ] || fail 'net1 is left behind'
# Segments larger than a frame show that offloads work.
[ $sent -lt $((8 * 1024 * 1024 / 1500)) ] || fail "$sent packets: no segmentation offload"

expect_output '52:54:00:12:34:56'
# Bits: 0 CSUM, 1 GUEST_CSUM, 5 MAC, 7 GUEST_TSO4, 11 HOST_TSO4, 15 MRG_RXBUF.
expect_output '^features of eth0: 11...1.1...1...1'
expect_output '^features of eth1: 11...1.1...1...1'
