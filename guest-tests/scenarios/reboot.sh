# A reboot ends the run, or starts the guest again in the same process, however the guest requests
# it: by default, through ACPI, the keyboard controller, a triple fault.
# cases: default
# cases x86_64: acpi kbd
[ "$case" = default ] && words='' || words="reboot=$case"
guest_runs <<'END'
reboot -f
END
vm run "$VMLINUX" --initrd initrd --append "$cmdline $words"
expect_status 0
