# Commands piped in before the guest starts, and the end of the pipe after them, reach its shell.
status=0
# shellcheck disable=SC2016 # for the guest's shell
printf 'echo $((6 * 7)) is the answer\npoweroff\n' |
	"$KINGLET" run "$BZIMAGE" --initrd "$INITRD" --append 'console=ttyS0 quiet panic=-1' \
		>console 2>messages || status=$?
expect_status 0
expect_output '^42 is the answer'
