# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: reads and writes of a disk in the host's memory, by vhost-scsi, compared with
# Kinglet's own virtio disk. The guests are controlled over vhost-net.

# shellcheck source=guest-tests/bench.d/peers.sh
. "$here/bench.d/peers.sh"

group_title='SCSI: medians; commands carried by vhost-scsi, or a virtio disk in Kinglet'
peers=(kinglet microvm q35 kinglet-local)
by_scsi=(kinglet microvm q35)
pairs=(kinglet:microvm kinglet:q35)
tests=(read-latency read-random read write)
counted=(read-latency read-random read)
per=operations unit=commands
drivers='virtio_scsi sd_mod virtio_blk'
label[kinglet-local]=--disk

disk_size=$((64 << 20))
targets=/sys/kernel/config/target

disk_of() {
	echo "/dev/shm/bench$1.img"
}

wwpn_of() {
	echo "naa.50014050bec0000$1"
}

# Every column has its own disk, and its own target if it needs one, set up the same way.
peers_up() {
	local i core tpg
	for i in "${!peers[@]}"; do
		truncate -s $disk_size "$(disk_of "$i")"
		# Written once, so that reads do not hit holes.
		head -c $disk_size /dev/zero >"$(disk_of "$i")"
		[[ " ${by_scsi[*]} " == *" ${peers[$i]} "* ]] || continue
		core=$targets/core/fileio_77/bench$i
		tpg=$targets/vhost/$(wwpn_of "$i")/tpgt_1
		mkdir -p "$core"
		echo "fd_dev_name=$(disk_of "$i"),fd_dev_size=$disk_size,fd_buffered_io=1" >"$core/control"
		echo 1 >"$core/enable"
		mkdir -p "$tpg/lun/lun_0"
		echo "naa.50014050bec1000$i" >"$tpg/nexus"
		ln -s "$core" "$tpg/lun/lun_0/disk"
	done
}

peers_down() {
	local i tpg
	for i in "${!peers[@]}"; do
		rm -f "$(disk_of "$i")"
		tpg=$targets/vhost/$(wwpn_of "$i")/tpgt_1
		[ -d "$tpg" ] || continue
		rm "$tpg/lun/lun_0/disk"
		rmdir "$tpg/lun/lun_0"
		echo NULL >"$tpg/nexus"
		rmdir "$tpg" "${tpg%/*}" "$targets/core/fileio_77/bench$i"
	done
	rmdir $targets/core/fileio_77
}

devices() {
	add_card "$1" vhost=on
	case ${peers[$1]} in
	kinglet-local) vmm+=(--disk "$(disk_of "$1")") ;;
	kinglet) vmm+=(--scsi "wwpn=$(wwpn_of "$1")") ;;
	*) vmm+=(-device "vhost-scsi-pci,wwpn=$(wwpn_of "$1")") ;;
	esac
}
