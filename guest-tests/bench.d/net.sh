# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: throughput between host and guest, by vhost-net or in the VMM.

# shellcheck source=guest-tests/bench.d/peers.sh
. "$here/bench.d/peers.sh"

group_title='Network: medians; frames carried by vhost-net, or in Kinglet'
peers=(kinglet microvm q35 kinglet-local kinglet-poll)
pairs=(kinglet:microvm kinglet:q35 kinglet-poll:microvm:round-trips:1.3)
tests=(tcp-in tcp-out udp-in udp-out round-trips)
counted=(tcp-in tcp-out udp-in udp-out round-trips)
per=packets unit=packets
drivers=

devices() {
	local vhost=vhost=on
	case ${peers[$1]} in
	*-local) vhost=vhost=off ;;
	*-poll) vhost+=,poll=50 ;;
	esac
	add_card "$1" $vhost
}
