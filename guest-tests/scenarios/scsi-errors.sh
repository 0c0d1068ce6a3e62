# What the host lacks for a SCSI disk is reported in one line, with status 101; an unsuitable file
# has status 100.
# arch: x86_64
truncate -s 1M disk.img
truncate -s 1000 odd.img
chmod 755 .
chmod 666 disk.img /dev/kvm
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# refused STATUS REGEX [COMMAND...] -- ARGUMENT...
refused() {
	local wanted=$1 regex=$2 wrapper=()
	shift 2
	while [ "$1" != -- ]; do
		wrapper+=("$1")
		shift
	done
	shift
	echo "+ ${wrapper[*]} kinglet run $*"
	status=0
	"${wrapper[@]}" "$KINGLET" run "$BZIMAGE" "$@" --timeout 20 </dev/null >console 2>messages ||
		status=$?
	cat messages
	expect_status "$wanted"
	expect_message "$regex"
	[ "$(wc -l <messages)" -eq 1 ] || fail "more than one line"
}
without_configfs() {
	# shellcheck disable=SC2016 # for the inner shell
	refused "$1" "$2" unshare -m sh -c 'umount /sys/kernel/config && exec "$@"' sh "${@:3}"
}

refused 100 'scsi nowhere: open: No such file' -- --scsi path=nowhere
refused 100 'scsi odd.img: size: 1000 bytes are not a multiple of 512' -- --scsi path=odd.img
refused 100 'scsi /: is a directory' -- --scsi path=/
ln disk.img link.img
refused 100 'scsi link.img: is --scsi disk.img, too' -- \
	--scsi path=disk.img --scsi path=link.img,readonly
refused 100 'scsi link.img: is --disk disk.img, too' -- --scsi path=link.img --disk disk.img
refused 101 'scsi naa.5001405000000009: no such target' -- --scsi wwpn=naa.5001405000000009
without_configfs 101 'configfs is not mounted \(mount' -- --scsi path=disk.img
refused 101 '/fileio_18763: Permission denied \(making a target takes root' "${as_nobody[@]}" -- \
	--scsi path=disk.img

# The device node of vhost-scsi.
mv /dev/vhost-scsi node
refused 101 '/dev/vhost-scsi: No such file or directory \(the module is loaded, but' -- \
	--scsi path=disk.img
mv node /dev/vhost-scsi
without_configfs 101 '/dev/vhost-scsi: Permission denied' "${as_nobody[@]}" -- --scsi wwpn=naa.1

# The module.
rmmod vhost_scsi
refused 101 '/vhost: Invalid argument \(modprobe vhost_scsi\)' -- --scsi path=disk.img
modprobe vhost_scsi
