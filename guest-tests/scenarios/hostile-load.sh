# shellcheck shell=bash
# A load that keeps Kinglet busy does not delay its timeout, on a KVM that runs its guest natively,
# and with a card whose number of queues changes all the time.
# arch: x86_64
ip tuntap add load0 mode tap vnet_hdr multi_queue
trap 'ip link delete load0' EXIT
"$GUEST_TESTS/../tests/kvm/hostile_loads.py" "$KINGLET" "$(dirname "$TOOLS")/payloads/hostile-load.elf" \
	load0 | tee loads
must_fail grep -v '^ok ' loads
[ "$(wc -l <loads)" -eq 44 ]
