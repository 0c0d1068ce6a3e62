# Checks the page of the last lesson; check-kvm checks the others, which need no Linux.
LIMIT=240 "$GUEST_TESTS/lesson" --check 10
