# All state that KVM reports of a machine is the same after power-on and after a reset.
# (tests/kvm/run shows it on KVMs without hardware, and on arm64.)
# arch: x86_64
"$(dirname "$TOOLS")/tests/kvm/reset"
