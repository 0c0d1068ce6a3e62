# A panic is told apart from other ends, whether the guest then reboots, hangs, or prints nothing on
# a console that Kinglet sees.
# cases: reboots hangs
# cases x86_64: init-ends unseen
modules=
case $case in
reboots) words='panic=-1' ;;
hangs | init-ends) words='panic=0' ;;
unseen) words='panic=0 loglevel=0' modules='pvpanic_mmio pvpanic_pci' ;;
esac
guest_runs <<END
modprobe -a virtio_pci $modules
[ $case != init-ends ] || kill -KILL 1
echo c >/proc/sysrq-trigger
END
vm run "$VMLINUX" --initrd initrd --append "console=ttyS0 quiet $words"
expect_status 102
