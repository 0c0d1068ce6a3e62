# kinglet exec in a folder of the host that is not copied: a program of user 1000 reads the folder's
# files, and its changes are lost; a program of this host in this host's own root.
# arch: x86_64
exec_live() { # KINGLET FOLDER PROGRAM ARGUMENT...
	echo "+ kinglet exec --root $2,live -- ${*:3}"
	status=0
	"$1" exec kernel --modules modules --timeout 120s --root "$2,live" -- "${@:3}" \
		>console 2>messages </dev/null || status=$?
	cat console messages
	! pgrep virtiofsd || fail 'virtiofsd still runs'
}

chmod 666 /dev/kvm
chmod 755 .
mkdir modules
mount --bind "${BZIMAGE%/*}" modules
trap 'chmod 600 /dev/kvm; umount modules' EXIT
cp "$KINGLET" kinglet
cp "$BZIMAGE" kernel
printf '#!/bin/sh\nexec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs %s "$@"\n' \
	"$PWD/kinglet" >user-kinglet
chmod 755 user-kinglet kinglet
chmod 644 kernel

mkdir -p root/bin root/sub
cp "$BUSYBOX" root/bin/busybox
chmod 755 root/bin/busybox
ln -s busybox root/bin/sh
random root/sub/pattern 2M
cp root/sub/pattern pattern
cat >root/script <<'END'
set -eu
cd /sub
busybox sha256sum pattern
echo changed >pattern
[ "$(busybox cat pattern)" = changed ]
busybox mv pattern moved
echo new >/new
[ ! -e /.kinglet ]
[ -c /dev/null ] && [ -d /proc/self ] && [ -d /sys/kernel ]
exit 7
END
chown -R 1000:1000 root
ls -R root >before
exec_live ./user-kinglet root sh /script
expect_status 7
expect_output "^$(sum pattern)  pattern"
[ ! -s messages ] || fail 'on standard error'
ls -R root | cmp - before
expect_same root/sub/pattern pattern

exec_live "$KINGLET" / bash -c 'echo "$BASH_VERSION under $(uname -r)"; touch /new'
expect_status 0
expect_output "^${BASH_VERSION//[()]/.} under $(ls modules/lib/modules)$"
[ ! -e /new ]
