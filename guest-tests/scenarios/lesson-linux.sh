# The last lesson's page says what happens; the others, which need no Linux, are checked by check-kvm.
LIMIT=240 "$GUEST_TESTS/lesson" --check 10
