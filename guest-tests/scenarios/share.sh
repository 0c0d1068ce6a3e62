# A folder of the host by a virtiofsd of Kinglet's own, for user 1000: written, and read-only; both
# ends of it, and that of one virtiofsd alone. No process stays.
# arch: x86_64
chmod 666 /dev/kvm
chmod 755 .
trap 'chmod 600 /dev/kvm' EXIT
cat >user-kinglet <<END
#!/bin/sh
exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs $PWD/kinglet "\$@"
END
cp "$KINGLET" kinglet
cp "$BZIMAGE" kernel
chmod 755 user-kinglet kinglet
chmod 644 kernel
KINGLET=$PWD/user-kinglet BZIMAGE=$PWD/kernel
mkdir folder
random folder/pattern 4M
chown -R 1000:1000 folder

guest_runs <<'END'
modprobe -a virtio_pci virtiofs
mkdir /fs /ro
mount -t virtiofs share /fs
mount -t virtiofs same /ro
cp /fs/pattern /fs/copy
cmp /fs/copy /ro/pattern
must_fail touch /ro/new
echo 'scenario: ready'
read -r word
if [ $word = killed ]; then
	(
		cat /fs/pattern >/dev/null || :
		echo 'scenario: answered'
	) &
	cmp /ro/copy /ro/pattern
	echo 'scenario: goes on'
	read -r word
fi
umount /fs
END
vm_start run "$BZIMAGE" --initrd initrd --share folder --share folder,tag=same,readonly \
	--append "$cmdline"
await_output 'scenario: ready'
echo end >&"$keyboard"
vm_wait
cat console messages
expect_status 0
expect_same folder/pattern folder/copy
[ "$(stat -c %u folder/copy)" = 1000 ]
! pgrep virtiofsd || fail 'virtiofsd still runs'

vm_start run "$BZIMAGE" --initrd initrd --share folder --share folder,tag=same,readonly \
	--append "$cmdline"
await_output 'scenario: ready'
pkill -KILL -f 'virtiofsd.* source=/.*/folder '
await_message() {
	timeout 60 bash -c 'until grep -q -- "$0" messages; do sleep 0.1; done' "$1" ||
		fail "no '$1' on standard error"
}
await_message "^kinglet: share $PWD/folder: virtiofsd has ended (killed by SIGKILL)$"
await_message '^kinglet: virtio-fs 0: its virtiofsd has ended (needs a reset)$'
echo killed >&"$keyboard"
await_output 'scenario: goes on'
cat console messages
must_fail grep answered console
pkill -KILL kinglet
vm_wait
timeout 20 bash -c 'while pgrep virtiofsd; do sleep 0.1; done' || fail 'virtiofsd still runs'
