# A folder of the host by virtiofsd: files both ways by checksum, rename; the driver bound again, and
# that what cannot be saved says so. Few files: each takes the emulated host five round trips.
# arch: x86_64
mkdir folder
random folder/pattern 4M
for i in $(seq 50); do echo $i >folder/host.$i; done
/usr/lib/qemu/virtiofsd --socket-path=socket -o source="$PWD/folder" -o sandbox=chroot -o cache=auto &
daemon=$!
await_socket socket

guest_runs <<'END'
modprobe -a virtio_pci virtiofs
mkdir /fs
mount -t virtiofs share /fs
[ "$(sha256sum </fs/pattern)" = "$sum  -" ]
[ "$(cat /fs/host.* | sort -n | tail -n 1)" = 50 ]
echo 'scenario: read'
cp /fs/pattern /fs/copy
mkdir /fs/many
i=0
while [ $i -lt 100 ]; do
	echo $i >/fs/many/$i
	i=$((i + 1))
done
echo 'scenario: written'
mv /fs/many /fs/renamed
rm /fs/renamed/99
umount /fs
cd /sys/bus/virtio/drivers/virtiofs
device=$(echo virtio*)
for _ in 1 2 3; do
	echo $device >unbind
	echo $device >bind
done
mount -t virtiofs share /fs
[ "$(ls /fs/renamed | wc -l)" = 99 ]
echo 'scenario: ready'
read -r _
umount /fs
END
vm_start run "$BZIMAGE" --initrd initrd --control ./ctl --fs share,vhost-user=socket \
	--append "$cmdline sum=$(sum folder/pattern)"
await_output 'scenario: ready'
! "$KINGLET" snapshot ./ctl saved 2>refusal || fail 'it was saved'
grep -q 'a machine with --fs cannot be saved' refusal messages
echo >&"$keyboard"
vm_wait
cat console messages
expect_status 0
expect_same folder/pattern folder/copy
[ "$(ls folder/renamed | wc -l)" -eq 99 ]
[ "$(cat folder/renamed/* | awk '{ sum += $1 } END { print sum }')" -eq $((98 * 99 / 2)) ]
wait $daemon || :
