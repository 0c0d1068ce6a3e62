# All state that KVM reports of a machine is the same in one that was saved and loaded.
# (tests/kvm/run shows it on KVMs without hardware, and on arm64.)
# arch: x86_64
"$(dirname "$TOOLS")/tests/kvm/saved"
