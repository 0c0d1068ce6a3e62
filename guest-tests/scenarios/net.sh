# Traffic over taps, both ways, with checksums; addresses and offloads as the guest sees them. One
# tap is there before, Kinglet makes the other and takes it with it.
random out.data 8M
random in.data 8M
ip tuntap add net0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up
trap 'ip link delete net0' EXIT

guest_runs out.data <<'END'
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
nc -l -p 2000 </out.data &
nc -l -p 2001 | sha256sum >/tmp/sum &
until [ "$(netstat -ltn | grep -c ':200[01] ')" -eq 2 ]; do
	sleep 0.1
done
echo 'scenario: listening'
wait
echo "scenario: received $(cat /tmp/sum)"
END
vm_start run "$BZIMAGE" --initrd initrd --net tap=net0,mac=52:54:00:12:34:56 --net tap=net1 \
	--append "$cmdline"
await_output 'scenario: listening'
[ -d /sys/class/net/net1 ]
packets=$(cat /sys/class/net/net0/statistics/rx_packets)
cat </dev/tcp/10.9.0.2/2000 >arrived
packets=$(($(cat /sys/class/net/net0/statistics/rx_packets) - packets))
cat in.data >/dev/tcp/10.9.0.2/2001
vm_wait
expect_status 0
expect_same out.data arrived
expect_output "scenario: received $(sum in.data)"
[ ! -d /sys/class/net/net1 ] || fail 'net1 is left behind'
# Segments larger than a frame are what offloads are for.
[ "$packets" -lt $((8 * 1024 * 1024 / 1500)) ] || fail "$packets packets: no segmentation offload"

expect_output '52:54:00:12:34:56'
# Bits: 0 CSUM, 1 GUEST_CSUM, 5 MAC, 7 GUEST_TSO4, 11 HOST_TSO4, 15 MRG_RXBUF.
expect_output '^features of eth0: 11...1.1...1...1'
expect_output '^features of eth1: 11...1.1...1...1'
