# vhost needs no KVM: a process with its own virtio driver passes frames, and commands to a disk.
direct=$(dirname "$TOOLS")/vhost-direct
mv /dev/kvm /dev/hidden
trap 'mv /dev/hidden /dev/kvm' EXIT

ip tuntap add dev direct0 mode tap vnet_hdr
ip link set direct0 up
"$direct" net direct0 | tee net
ip tuntap del dev direct0 mode tap
grep -q '^net: 2000 frames out and 2000 in' net

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
rm $C/vhost/$W/tpgt_1/lun/lun_0/disk
rmdir $C/vhost/$W/tpgt_1/lun/lun_0
echo NULL >$C/vhost/$W/tpgt_1/nexus
rmdir $C/vhost/$W/tpgt_1 $C/vhost/$W $C/core/fileio_7/direct $C/core/fileio_7 $C/vhost
grep -q '^scsi: 16384 blocks written and read back' scsi
cmp data disk
