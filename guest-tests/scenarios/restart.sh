# --on-reboot restart: the guest boots again, twice, in the same process, with all its devices,
# which leak no descriptor, and all its huge pages, which stay reserved meanwhile.
sysctl -q vm.nr_hugepages=128
trap 'sysctl -q vm.nr_hugepages=0' EXIT
truncate -s 1M disk.img
guest_runs <<'END'
modprobe -a virtio_pci virtio_blk virtio_net virtio_rng virtio_console
boots=$(head -n 1 /dev/vda | tr -d '\0')
boots=$((${boots:-0} + 1))
{ echo $boots; dd if=/dev/zero bs=512 count=1; } | dd of=/dev/vda conv=fsync
ip link set eth0 up
dd if=/dev/hwrng of=/tmp/random bs=64 count=1
echo "scenario: boot $boots"
read -r _
# See guest-init: power_off.
[ $boots -eq 3 ] || { ip link set eth0 down; reboot -f; }
END
vm_start run "$VMLINUX" --initrd initrd --on-reboot restart --disk disk.img --net tap=restart0,create \
	--cpus 2 --memory 256M --hugepages --append "$cmdline"
for boot in 1 2 3; do
	await_output "scenario: boot $boot"
	readlink "/proc/$vm/fd/"* | sort >"descriptors.$boot"
	[ "$(awk '/HugePages_(Free|Rsvd)/ { print $2 }' /proc/meminfo | uniq | wc -l)" -eq 1 ] ||
		fail "huge pages given away: $(grep HugePages /proc/meminfo)"
	echo >&"$keyboard"
done
vm_wait
expect_status 0
expect_same descriptors.1 descriptors.2
expect_same descriptors.1 descriptors.3
