# Devices are found and interrupt without ACPI (disabled in the kernel, or no tables at all) and
# without MSI. Without ACPI, the guest cannot power off: it reboots.
# arch: x86_64
# cases: nomsi acpi=off no-tables
options=()
case $case in
nomsi) words='pci=nomsi intx=yes' ;;
acpi=off) words='acpi=off reboot=k' ;;
no-tables) words='reboot=k' options=(--acpi off) ;;
esac

random disk.img 1M
ip tuntap add legacy0 mode tap vnet_hdr
ip addr add 10.9.1.1/24 dev legacy0
ip link set legacy0 up
guest_runs <<'END'
modprobe -a virtio_pci virtio_blk virtio_net virtio_rng
[ "$(sha256sum </dev/vda)" = "$sum  -" ]
dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync
ip addr add 10.9.1.2/24 dev eth0
ip link set eth0 up
ping -c 3 -s 1400 10.9.1.1
dd if=/dev/hwrng of=/tmp/random bs=512 count=1
cat /proc/interrupts
if [ "${intx-}" = yes ]; then
	grep -q 'IO-APIC.*virtio' /proc/interrupts
	must_fail grep 'MSI' /proc/interrupts
fi
echo 'scenario: all work'
# See guest-init: power_off.
[ -d /sys/firmware/acpi/tables ] || { ip link set eth0 down; reboot -f; }
END
truncate -s 1M copy.img
vm run "$BZIMAGE" --initrd initrd --disk disk.img,readonly --disk copy.img --net tap=legacy0 \
	"${options[@]}" --append "$cmdline $words sum=$(sum disk.img)"
ip link delete legacy0
expect_status 0
expect_output 'scenario: all work'
expect_same disk.img copy.img
