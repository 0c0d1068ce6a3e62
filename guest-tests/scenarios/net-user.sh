# A network without root: passt carries the frames of a Kinglet of user 1000, who may open /dev/kvm
# and nothing else. DHCP; TCP and UDP to the host, from it by forwarded ports, each byte compared;
# TCP over IPv6, with an address and a route by router advertisement; the end of passt, and of
# Kinglet, by which no process stays. For longer streams by hand: MIB=256.
# arch: x86_64
mib=${MIB:-8}
cmdline+=" mib=$mib"
# With a carrier, without which Linux gives an interface no address of IPv6.
ip link add up0 type veth peer name up1
ip link set up1 up
ip link set up0 up
ip addr add 10.55.0.2/24 dev up0
ip addr add fd55::2/64 dev up0 nodad
ip route add default via 10.55.0.1 dev up0
ip route add default via fd55::1 dev up0
chmod 666 /dev/kvm
chmod 755 .
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete up0; chmod 600 /dev/kvm' EXIT

cat >user-kinglet <<END
#!/bin/sh
exec setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set -all --no-new-privs $PWD/kinglet "\$@"
END
cat >dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev eth0
ip route add default via "$router"
echo "by DHCP: $ip/$mask, $router, $dns"
END
cp "$KINGLET" kinglet
cp "$BZIMAGE" kernel
chmod 755 dhcp user-kinglet kinglet
chmod 644 kernel
KINGLET=$PWD/user-kinglet BZIMAGE=$PWD/kernel

guest_runs "$TOOLS/net-check" dhcp <<'END'
modprobe -a virtio_pci virtio_net
echo "features: $(cat /sys/class/net/eth0/device/features) mtu $(cat /sys/class/net/eth0/mtu)"
ip link set eth0 up
udhcpc -i eth0 -n -q -s /dhcp
/net-check tcp 10.55.0.1 2000 $mib
/net-check udp 10.55.0.1 2000 300 1400
until ip -6 addr show dev eth0 | grep 'inet6 fd55:.* global' | grep -v tentative; do
	sleep 0.1
done
ip -6 route show default
/net-check tcp fd55::1 2000 $mib
/net-check serve 3000 &
read -r _
until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do
	sleep 0.1
done
echo 'scenario: no link'
END

passt_ends() {
	local end=$((SECONDS + 20))
	while grep -lqsx 'passt.*' /proc/[0-9]*/comm; do
		[ $SECONDS -lt $end ] || fail 'passt still runs'
		sleep 0.1
	done
}
net=user,forward=tcp:8300:3000,forward=udp:0.0.0.0/8300:3000,dns=10.1.2.3
net+=,forward=tcp:::1/8301:3000
vm_start run "$BZIMAGE" --initrd initrd --append "$cmdline" --net $net
await_output serving
"$TOOLS/net-check" tcp 127.0.0.1 8300 "$mib"
"$TOOLS/net-check" tcp ::1 8301 "$mib"
"$TOOLS/net-check" udp 127.0.0.1 8300 300 1400
grep -lsx 'passt.*' /proc/[0-9]*/comm | sed 's/comm/status/' | xargs grep -E '^(Uid|NSsid)'
pkill -KILL passt
echo >&"$keyboard"
vm_wait
cat console messages
expect_status 0
passt_ends
# Bits: 3 MTU, 5 MAC, 15 MRG_RXBUF; no checksums, no segments.
expect_output '^features: 0001.10000000001.* mtu 65520'
expect_output '^by DHCP: 10.55.0.2/24, 10.55.0.1, 10.1.2.3'
expect_output '^default via fe80::.* dev eth0'
expect_output 'scenario: no link'
expect_message '^kinglet: virtio-net 0: passt has ended \(killed by SIGKILL\): link down$'

# A killed Kinglet takes it along; one that ends by a signal as well.
for signal in KILL TERM; do
	vm_start run "$BZIMAGE" --initrd initrd --append "$cmdline" --net user
	await_output 'by DHCP'
	pkill -$signal kinglet
	vm_wait
	passt_ends
done

vm run "$BZIMAGE" --initrd initrd --append "$cmdline" --net user,forward=tcp:0.0.0.0/2000:80
expect_status 101
expect_message 'net user: passt: exit status 1: Failed to bind any port'
passt_ends
