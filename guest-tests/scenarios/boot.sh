# Debian's kernel, compressed and not, on each number of vCPUs and with RAM from its minimum to
# beyond 4 GiB and the hole below that: all of it is present and keeps what is written. Devices
# interrupt by MSI, which on arm64 are LPIs from the ITS.
# cases x86_64: bzimage-1-96 vmlinux-1-4608 bzimage-2-1024 vmlinux-2-80 bzimage-4-4608 vmlinux-4-256
# cases aarch64: image-1-96 gzip-1-256 image-2-4608 image-4-256
IFS=- read -r kernel cpus mib <<<"$case"
case $kernel in
bzimage | image) file=$BZIMAGE ;;
vmlinux) file=$VMLINUX ;;
gzip) gzip -1 <"$BZIMAGE" >kernel.gz && file=kernel.gz ;;
esac
case $ARCH in
x86_64) msi=PCI-MSI ;;
aarch64) msi=ITS-MSI ;;
esac

[ "$mib" -gt 96 ] && random data 16M || random data 1M

guest_runs data <<'END'
ram_kib() {
	total=0
	while IFS=' -' read -r start end _ name; do
		[ "$name" != 'System RAM' ] || total=$((total + (0x$end - 0x$start + 1) / 1024))
	done </proc/iomem
	echo $total
}
free_pages_above_4g() {
	awk '$3 == "zone" { zone = $4 } /nr_free_pages/ && zone == "Normal" { print $2 }' \
		/proc/zoneinfo
}

# Missing from the first MiB: a page for the kernel, and the PC's reserved areas.
missing=$((mib * 1024 - $(ram_kib)))
[ $missing -ge 0 ] && [ $missing -le 512 ]
[ "$(nproc)" = "$cpus" ]

# Interrupts of the random number generator's queue, on all CPUs.
interrupts() {
	awk -v msi="$msi" '$0 ~ msi && /virtio[0-9]+-input/ {
		for (i = 2; $i ~ /^[0-9]+$/; i++)
			sum += $i
	} END { print sum + 0 }' /proc/interrupts
}
modprobe -a virtio_pci virtio_rng
dd if=/dev/hwrng of=/dev/null bs=64 count=1
before=$(interrupts)
dd if=/dev/hwrng of=/dev/null bs=64 count=10
[ "$(interrupts)" -gt "$before" ]
cat /proc/interrupts

# The VM generation id is there; this kernel has no driver for it.
case $msi in
PCI-MSI) grep VM_GEN_COUNTER /sys/bus/acpi/devices/*/modalias ;;
ITS-MSI) grep microsoft,vmgenid /proc/device-tree/rng@*/compatible ;;
esac

# Linux allocates memory above 4 GiB first. Twice what must be seen missing: each CPU counts free
# pages separately, and the sum is updated only from time to time.
mount -t tmpfs tmpfs /mnt
before=$(free_pages_above_4g)
cp /data /mnt/1
cp /data /mnt/2
[ $mib -le 4096 ] || [ $((before - $(free_pages_above_4g))) -gt 4096 ]
echo "scenario: $(uname -s) on $(nproc) CPU, $(sha256sum /mnt/1), $(sha256sum /mnt/2)"
END

vm run "$file" --initrd initrd --cpus "$cpus" --memory "$mib" \
	--append "$cmdline mib=$mib cpus=$cpus msi=$msi"
expect_status 0
expect_output "scenario: Linux on $cpus CPU, $(sum data)  /mnt/1, $(sum data)  /mnt/2"
