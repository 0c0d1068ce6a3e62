# A host with everything passes. What is removed is reported, and the command that doctor suggests
# restores it.
# arch: x86_64
trap 'sysctl -q vm.nr_hugepages=0' EXIT

# expect_missed ROWS: these and no others; Debian's kernel has no vDPA.
expect_missed() {
	local rows
	rows=$(sed -nE 's/^(missing|degraded) +([^ ]+) .*/\2/p' console | xargs)
	[ "$rows" = "$1" ] || fail "missed: $rows"
}

# doctor STATUS
doctor() {
	status=0
	"$KINGLET" doctor >console 2>messages || status=$?
	cat console messages
	expect_status "$1"
}

# fix CHECK: runs the command that doctor suggested.
fix() {
	local command
	command=$(sed -n "/^[a-z]*  *$1 /{n;s/^ *for [^:]*: //p}" console)
	[ -n "$command" ] || fail "no command for $1"
	echo "+ $command"
	eval "$command"
}

sysctl -q vm.nr_hugepages=0
doctor 0
expect_output '^ok +kvm-capabilities '
expect_output '^ok +guest-modes +16-bit, 32-bit, 64-bit: native$'
expect_output '^ok +guest-linux '
expect_output '^ok +nested +kvm_amd '
expect_output '^degraded +hugepages '
expect_missed 'vhost-vdpa hugepages'

fix hugepages
rm /dev/vhost-net
umount /sys/kernel/config
doctor 0
expect_output '^ok +hugepages +1024 MiB'
expect_output '^missing +vhost-net +vhost_net is loaded, but /dev/vhost-net: No such file'
expect_output '^missing +lio '
fix vhost-net
fix lio

mv /dev/kvm /dev/hidden
doctor 101
expect_output '^missing +kvm '
expect_output '^missing +guest-linux '
expect_message 'cannot run a Linux guest'
mv /dev/hidden /dev/kvm

doctor 0
expect_missed vhost-vdpa
"$KINGLET" doctor --json >report
grep -q '"linux":.*true' report || fail 'no JSON'
