# A folder of the host is the root: Debian's programs boot from it to a login prompt. There root
# makes files, renames half of them and writes one by a shared mapping; the host has all.
# arch: x86_64
cp --sparse=always "$DEBIAN" root.img
mkdir debian expected
mount -o loop root.img debian
trap 'umount -l debian' EXIT
cp "$TOOLS/many-files" debian/usr/bin
mkdir debian/work
random debian/work/pattern 1M
cp debian/work/pattern expected
(cd expected && ../debian/usr/bin/many-files 200)
cat >debian/sbin/begin <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
hostname debian
exec agetty "$@"
END
chmod 755 debian/sbin/begin

vm_start run "$BZIMAGE" --root "debian,modules=${BZIMAGE%/*}" \
	--append 'console=ttyS0 quiet panic=-1 init=/sbin/begin' -- -L ttyS0 115200 vt100
await_output 'debian login:'
printf 'root\r' >&"$keyboard"
await_output 'root@debian'
printf 'cd /work && many-files 200; echo "status: <$?>"\r' >&"$keyboard"
await_output 'status: <0>'
printf 'findmnt -no FSTYPE,OPTIONS /; poweroff -f\r' >&"$keyboard"
vm_wait
cat console messages
expect_status 0
expect_output 'virtiofs rw,'
contents() {
	find "$1" -type f -printf '%P\n' | sort | (cd "$1" && xargs sha256sum)
}
contents debian/work | cmp - <(contents expected)
[ "$(find debian/work/made -type f | wc -l)" -eq 100 ]

# Read-only, and an init with arguments.
cat >debian/sbin/look <<'END'
#!/bin/sh
mount -t proc proc /proc
grep ' / ' /proc/mounts
touch /new || echo "$*"
exec poweroff -f
END
chmod 755 debian/sbin/look
vm run "$BZIMAGE" --root "debian,readonly,modules=${BZIMAGE%/*}" \
	--append 'console=ttyS0 quiet panic=-1 init=/sbin/look' -- 'it is' refused
cat console messages
expect_status 0
expect_output '^kinglet-root / virtiofs ro'
expect_output '^it is refused'
[ ! -e debian/new ]
