# Folders of the host by two virtiofsd, QEMU's and the Rust one: files both ways by checksum, rename;
# the driver bound $times times, and that what cannot be saved says so. Few files: each takes the emulated
# host five round trips.
# arch: x86_64
for tag in c rust; do
	mkdir $tag
	random $tag/pattern 4M
	for i in $(seq 50); do echo $i >$tag/host.$i; done
done
/usr/lib/qemu/virtiofsd --socket-path=c.sock -o source="$PWD/c" -o sandbox=chroot -o cache=auto &
newer usr/libexec/virtiofsd --socket-path rust.sock --shared-dir "$PWD/rust" --sandbox chroot &
await_socket c.sock
await_socket rust.sock

guest_runs <<'END'
modprobe -a virtio_pci virtiofs
mkdir /c /rust
check() {
	mount -t virtiofs $1 /$1
	[ "$(sha256sum </$1/pattern)" = "$2  -" ]
	[ "$(cat /$1/host.* | sort -n | tail -n 1)" = 50 ]
	cp /$1/pattern /$1/copy
	mkdir /$1/many
	i=0
	while [ $i -lt 100 ]; do
		echo $i >/$1/many/$i
		i=$((i + 1))
	done
	mv /$1/many /$1/renamed
	rm /$1/renamed/99
	umount /$1
	echo "scenario: $1 is right"
}
check rust $rust
check c $c
cd /sys/bus/virtio/drivers/virtiofs
for _ in $(seq $times); do
	for device in virtio*; do
		echo $device >unbind
		echo $device >bind
	done
	for tag in c rust; do
		mount -t virtiofs $tag /$tag
		[ -e /$tag/renamed/1 ]
		umount /$tag
	done
done
for tag in c rust; do
	mount -t virtiofs $tag /$tag
	[ "$(ls /$tag/renamed | wc -l)" = 99 ]
done
echo 'scenario: ready'
read -r _
umount /c /rust
END
vm_start run "$BZIMAGE" --initrd initrd --control ./ctl --fs c,vhost-user=c.sock \
	--fs rust,vhost-user=rust.sock --append "$cmdline c=$(sum c/pattern) rust=$(sum rust/pattern)"
await_output 'scenario: ready'
must_fail "$KINGLET" snapshot ./ctl saved 2>refusal
grep -q 'a machine with --fs cannot be saved' refusal messages
echo >&"$keyboard"
vm_wait
cat console messages
expect_status 0
for tag in c rust; do
	expect_same $tag/pattern $tag/copy
	[ "$(ls $tag/renamed | wc -l)" -eq 99 ]
	[ "$(cat $tag/renamed/* | awk '{ sum += $1 } END { print sum }')" -eq $((98 * 99 / 2)) ]
done
# Each ends with its connection.
wait
