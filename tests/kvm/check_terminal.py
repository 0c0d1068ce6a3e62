#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# check_terminal.py COMMAND...: runs COMMAND, a Kinglet whose guest echoes its input, on a separate
# terminal, like a user: waits for the line that explains how to quit, types abc, stops it a few
# times, and quits. Prints what was wrong.
import os
import pty
import select
import signal
import sys
import termios
import time


def read_until(fd, seen, wanted):
    while wanted not in seen:
        if not select.select([fd], [], [], 60)[0]:
            sys.exit(f"no {wanted!r} in: {seen!r}")
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the terminal has hung up
            piece = b""
        if not piece:
            return seen
        seen += piece
    return seen


def cooked(fd):
    return termios.tcgetattr(fd)[3] & termios.ICANON


pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
seen = read_until(fd, b"", b"kinglet: Ctrl-A x ends the run, Ctrl-A h lists the keys\r\n")
os.write(fd, b"abc")
seen = read_until(fd, seen, b"abc")
for key in b"0123456789":
    os.kill(pid, signal.SIGTSTP)
    if not os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
        sys.exit("SIGTSTP did not stop it")
    if not cooked(fd):
        print("stopped with the terminal raw")
    os.kill(pid, signal.SIGCONT)
    while cooked(fd):  # otherwise the terminal would echo the key itself
        time.sleep(0.01)
    os.write(fd, bytes([key]))
    seen = read_until(fd, seen, bytes([key]))
os.write(fd, b"\x01x")
seen = read_until(fd, seen, b"(never printed)")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if status:
    print(f"exit status {status}: {seen!r}")
if not seen.endswith(b"9\r\n"):
    print(f"no line of its own for what comes next: {seen!r}")
