# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: reads and writes of a disk in the host's memory: a virtio disk of the VMM, or one of
# qemu-storage-daemon by vhost-user, like for like; and vhost-scsi beside them.

# shellcheck source=guest-tests/bench.d/scsi.sh
. "$here/bench.d/scsi.sh"

group_title='Disk: medians; requests served by the VMM, by qemu-storage-daemon, or by vhost-scsi'
peers=(kinglet kinglet-user kinglet-scsi microvm microvm-user)
by_scsi=(kinglet-scsi)
pairs=(kinglet:microvm kinglet-user:microvm-user)
counted=(read-latency read-random)
label[kinglet]=--disk

# daemon_up INDEX: the disk at /tmp/disk-INDEX.
daemon_up() {
	local socket=/tmp/disk-$1
	rm -f "$socket"
	qemu-storage-daemon --daemonize --blockdev "file,node-name=f,filename=$(disk_of "$1"),aio=io_uring" \
		--export "vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$socket,writable=on"
}

devices() {
	local disk
	disk=$(disk_of "$1")
	add_card "$1" vhost=on
	case ${peers[$1]} in
	*-user) daemon_up "$1" ;;
	esac
	case ${peers[$1]} in
	kinglet) vmm+=(--disk "$disk") ;;
	kinglet-user) vmm+=(--disk "vhost-user=/tmp/disk-$1") ;;
	kinglet-scsi) vmm+=(--scsi "wwpn=$(wwpn_of "$1")") ;;
	microvm)
		vmm+=(-object 'iothread,id=io'
			-drive "if=none,id=disk,format=raw,file=$disk,aio=io_uring"
			-device 'virtio-blk-pci,drive=disk,iothread=io')
		;;
	microvm-user)
		vmm+=(-chardev "socket,id=disk,path=/tmp/disk-$1"
			-device 'vhost-user-blk-pci,chardev=disk')
		;;
	esac
}
