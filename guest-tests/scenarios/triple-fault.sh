# A triple fault is told apart from other ends. Linux causes one with reboot=triple.
# arch: x86_64
guest_runs <<'END'
reboot -f
END
vm run "$VMLINUX" --initrd initrd --append "$cmdline reboot=triple"
expect_status 103
