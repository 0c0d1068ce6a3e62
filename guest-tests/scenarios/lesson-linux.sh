# The last lesson's page says what happens; the others, which need no Linux, are checked by check-kvm.
# arch: x86_64
LIMIT=240 O=$(dirname "$KINGLET") "$GUEST_TESTS/lesson" --check 10
