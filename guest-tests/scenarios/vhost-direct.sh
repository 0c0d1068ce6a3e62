# vhost needs no KVM: a process with its own virtio driver passes frames, and commands to a disk.
# Which also sees every page that vhost writes: vhost-net's write log has exactly these, and stays
# right when it is turned on and off under load; those of vhost-scsi and vhost-vsock lack the data.
direct=$(dirname "$TOOLS")/vhost-direct
mv /dev/kvm /dev/hidden
trap 'mv /dev/hidden /dev/kvm; ip link delete direct0' EXIT

ip tuntap add dev direct0 mode tap vnet_hdr
echo 1 >/proc/sys/net/ipv6/conf/direct0/disable_ipv6 # or the host sends frames of its own
ip link set direct0 up
"$direct" net direct0 | tee net
"$direct" net-log direct0 | tee log
"$direct" net-switch direct0 1000 | tee -a log
grep -q '^net: 2000 frames out and 2000 in' net

"$direct" vsock-log 77 | tee -a log

head -c 8M /dev/urandom >data
truncate -s 8M disk
C=/sys/kernel/config/target W=naa.5001405000000d1a N=naa.5001405000000d1b
mkdir -p $C/core/fileio_7/direct
echo "fd_dev_name=$PWD/disk,fd_dev_size=8388608" >$C/core/fileio_7/direct/control
echo 1 >$C/core/fileio_7/direct/enable
mkdir -p $C/vhost/$W/tpgt_1
echo $N >$C/vhost/$W/tpgt_1/nexus
mkdir -p $C/vhost/$W/tpgt_1/lun/lun_0
ln -s $C/core/fileio_7/direct $C/vhost/$W/tpgt_1/lun/lun_0/disk
"$direct" scsi $W <data | tee scsi
"$direct" scsi-log $W | tee -a log
rm $C/vhost/$W/tpgt_1/lun/lun_0/disk
rmdir $C/vhost/$W/tpgt_1/lun/lun_0
echo NULL >$C/vhost/$W/tpgt_1/nexus
rmdir $C/vhost/$W/tpgt_1 $C/vhost/$W $C/core/fileio_7/direct $C/core/fileio_7 $C/vhost
grep -q '^scsi: 16384 blocks written and read back' scsi
cmp data disk

diff <(sed -n '/^[a-z ]*: .*log/p' log) - <<END
net: plain: 53 pages written, the same in the log
net: event index: 56 pages written, the same in the log
net: mergeable buffers: 53 pages written, the same in the log
net: memory added, then removed: 12 pages written, the same in the log
net: log off: nothing written where it was
net: log on and off 1000 times, 15000 frames each way, each as it was sent
vsock used ring: 1 written, 1 in the log, 1 in both
vsock packet: 1 written, 0 in the log, 0 in both
vsock: 2 written, 1 in the log, 1 in both
scsi used ring: 1 written, 1 in the log, 1 in both
scsi response: 1 written, 0 in the log, 0 in both
scsi data: 16 written, 0 in the log, 0 in both
scsi: 18 written, 1 in the log, 1 in both
END
