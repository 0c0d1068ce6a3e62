# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: throughput between host and guest by passt, which QEMU's stream netdev and Kinglet
# speak to in the same way. The guests use passt's MTU, as one does that takes its address by DHCP.

# shellcheck source=guest-tests/bench.d/peers.sh
. "$here/bench.d/peers.sh"

group_title='User network: medians; frames carried by passt'
peers=(kinglet microvm q35)
pairs=(kinglet:microvm kinglet:q35)
tests=(tcp-in tcp-out round-trips)
counted=()
drivers=
guest_network='ip addr add 10.55.0.2/24 dev eth0
	ip link set eth0 mtu 65520 up
	ip route add default via 10.55.0.1
	ping -c 1 -W 1 10.55.0.1 || :' # passt learns the MAC address from what the guest sends

# passt wants an interface with a default route.
peers_up() {
	ip link add up0 type veth peer name up1
	ip link set up1 up
	ip addr add 10.55.0.2/24 dev up0
	ip link set up0 up
	ip route add default via 10.55.0.1 dev up0
}

peers_down() {
	ip link del up0
}

# guest_at INDEX: where the host reaches the guest's port.
guest_at() {
	echo "127.0.0.1 $((7000 + $1))"
}

devices() {
	local at=127.0.0.1/$((7000 + $1)):$port socket=/tmp/passt-$1
	if [ "${peers[$1]}" = kinglet ]; then
		vmm+=(--net "user,forward=tcp:$at,forward=udp:$at")
		return
	fi
	rm -f "$socket"
	# Without --foreground it returns when the socket is there.
	passt --one-off --quiet --socket "$socket" --tcp-ports "$at" --udp-ports "$at"
	vmm+=(-netdev "stream,id=net,server=off,addr.type=unix,addr.path=$socket"
		-device virtio-net-pci,netdev=net)
}
