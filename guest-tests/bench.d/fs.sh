# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: files of a folder in the host's memory, by virtiofsd: made as tar makes them, and
# looked at.

# shellcheck source=guest-tests/bench.d/peers.sh
. "$here/bench.d/peers.sh"

group_title='Files: medians; served by virtiofsd'
peers=(kinglet-user microvm-user)
pairs=(kinglet-user:microvm-user)
tests=(make stat)
counted=()
drivers=virtiofs
guest_folder=/fs
guest_network='ip addr add $address/24 dev eth0
	ip link set eth0 up
	mkdir /fs
	mount -t virtiofs share /fs'
shared=/dev/shm/bench-fs # the host's

peers_up() {
	local i
	for i in "${!peers[@]}"; do
		mkdir -p "$shared/$i/many"
		(cd "$shared/$i/many" && touch $(seq 0 9999))
	done
}

peers_down() {
	rm -rf $shared
}

devices() {
	local socket=/tmp/fs-$1
	add_card "$1" vhost=on
	rm -f "$socket"
	/usr/lib/qemu/virtiofsd --socket-path="$socket" -o "source=$shared/$1" -o sandbox=chroot \
		-o cache=auto 2>"$TESTBED_OUT/virtiofsd-$1.log" &
	until [ -S "$socket" ]; do
		sleep 0.1
	done
	case ${peers[$1]} in
	kinglet-user) vmm+=(--fs "share,vhost-user=$socket") ;;
	microvm-user)
		vmm+=(-chardev "socket,id=fs,path=$socket"
			-device 'vhost-user-fs-pci,chardev=fs,tag=share')
		;;
	esac
}
