#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_snapshot.py CASE FOLDER KINGLET PAYLOAD - saves and restores the payload echo.

Each CASE is a function here; it waits for events and lines, never for a time. FOLDER, empty, becomes
the working folder and the user's runtime folder. Prints what is wrong, and then ends with status 1.
"""
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

MEMORY = "16M"


def fail(what):
    print(what)
    sys.exit(1)


def expect(what, got, wanted):
    if got != wanted:
        fail(f"{what}: {got}, expected {wanted}")


def run(*arguments, given=b"", status=0, output=None, errors=""):
    """To its end. Its messages: one line that has `errors`, or none."""
    done = subprocess.run([kinglet, *arguments], input=given, capture_output=True, timeout=300)
    said = done.stderr.decode()
    what = f"kinglet {' '.join(arguments)}: {said!r}"
    expect(what, done.returncode, status)
    if output is not None:
        expect(what, done.stdout, output)
    if (errors not in said) if errors else said:
        fail(f"{what}: not {errors!r}")
    if errors:
        expect(f"{what}: lines", said.count("\n"), 1)
    return done.stdout


class Machine:
    """A guest that echoes, so one knows that it runs."""

    def __init__(self, *arguments, **more):
        self.process = subprocess.Popen([kinglet, *arguments, "--name", "m"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, **more)

    def put(self, text):
        self.process.stdin.write(text)

    def echoes(self, text):
        self.put(text)
        self.heard(text)

    def heard(self, text):
        got = b""
        while not got.endswith(text):
            byte = self.process.stdout.read(1)
            if not byte:
                fail(f"the guest is gone: {got}, {self.process.stderr.read()}")
            got += byte

    def ended(self, status=0, given=b"\0"):
        output, errors = self.process.communicate(given, timeout=300)
        if self.process.returncode != status:
            fail(f"exit status {self.process.returncode}, expected {status}: {errors}")
        return output, errors.decode()


def new(*more, **options):
    machine = Machine("run", payload, "--memory", MEMORY, *more, **options)
    machine.echoes(b"a")
    return machine


def works(folder):
    """It is a whole snapshot: the guest in it goes on, first with what it had not yet echoed."""
    output = run("restore", folder, given=b"restored\0")
    if not output.endswith(b"restored"):
        fail(f"{folder}: {output}")


def only(*names):
    expect("files", sorted(set(os.listdir(".")) - {"kinglet"}), sorted(names))


def goes_on():
    """By a text and by a client; the restored machine is saved and restored again."""
    machine = new("--snapshot", "one", "--snapshot-on", "save me")
    machine.echoes(b"save me\nand on")
    machine.ended()
    works("one")
    run("restore", "one", "--snapshot", "two", "--snapshot-on", "again", "--snapshot-end",
        given=b"again\n")
    works("two")
    machine = Machine("restore", "two")
    machine.echoes(b"b")
    run("snapshot", "m", "three/")
    machine.echoes(b"c")
    run("snapshot", "m", os.path.abspath("three"))
    run("snapshot", "m", "missing/three", status=100, errors="No such file")
    machine.echoes(b"d")
    _, errors = machine.ended()
    expect("messages", errors.count("\n"), 1)
    works("three")
    only("one", "two", "three")


def explained():
    """What a restore does is told as such."""
    saved("one")
    told = subprocess.run([kinglet, "restore", "one", "--explain"], input=b"\0",
                          capture_output=True, check=True, timeout=300).stderr.decode()
    at = 0
    for line in ("run: the machine is built; now its saved state is loaded  [",
                 "run: restored from one/state  [",
                 "run: first KVM_RUN: the guest goes on  ["):
        at = told.find(line, at)
        if at < 0:
            fail(f"not said, or too early: {line}\n{told}")


def packet(gdb, sent):
    """To a debugger's stub, and its whole answer."""
    heard = b""
    gdb.sendall(sent)
    while heard[-3:-2] != b"#":
        heard += gdb.recv(1)


def paused():
    """What was paused stays so, and what is restored of it runs. A debugger's is not saved."""
    machine = new()
    run("pause", "m")
    run("snapshot", "m", "one")
    run("resume", "m", output=b"")
    machine.echoes(b"b")
    machine.ended()
    works("one")
    machine = new("--gdb", "gdb.sock,nowait")
    gdb = socket.socket(socket.AF_UNIX)
    gdb.connect("gdb.sock")
    packet(gdb, b"+$?#3f")
    run("snapshot", "m", "two", status=100, errors="bad-state")
    packet(gdb, b"+$D#44")
    machine.echoes(b"c")
    _, errors = machine.ended()
    if "a debugger decides" not in errors:
        fail(errors)
    only("one")


def unread(folder, *more):
    """A guest that goes on by itself: it has still to read a text."""
    machine = new(*more)
    run("pause", "m")
    machine.put(b"the rest\0")
    while not os.path.exists(folder) or b"the rest\0" not in state_of(folder):
        run("snapshot", "m", folder)
    run("resume", "m")
    machine.ended(given=b"")


def tests():
    """kinglet test goes on from a snapshot, in copies of it."""
    unread("one")
    with open("list", "w", encoding="ascii") as file:
        for i in range(6):
            file.write(f"t{i} --expect rest\n")
        file.write("bad --expect nonesuch\n")
    output = run("test", "--from", "one", "--list", "list", "-j", "3", "--timeout", "100s", status=1)
    expect("passed", output.count(b"PASS "), 6)
    if b"6 passed, 1 failed" not in output:
        fail(output)
    run("test", "--from", "one", "--expect", "rest")
    run("test", "--from", "one", payload, status=100, errors="has its kernel")
    run("test", "--from", "one", "--", "args", status=100, errors="no port kinglet.snapshot")
    unread("two", "--snapshot-port")
    run("restore", "two", "--", "two", "words", output=b"the rest")
    run("restore", "two", "--", "x" * 5000, status=100, errors="one line of at most")
    run("restore", "two", "--", "a\nb", status=100, errors="one line of at most")
    only("list", "one", "two")


# --- Hostile snapshots ----------------------------------------------------------------------------

def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def sections_of(data):
    at, found = 16, []
    while at < len(data):
        length, _, table, name = struct.unpack_from("<IHBB", data, at + 8)
        end = at + 16 + table + name + length
        found.append(data[at:end])
        at = end
    return found


def file_of(sections):
    """With right checksums."""
    return (b"KINGLET\n" + struct.pack("<II", 1, len(sections)) +
            b"".join(struct.pack("<Q", fnv(s[8:])) + s[8:] for s in sections))


def name_of(section):
    return section[16:16 + section[14] + section[15]]


def write_state(data):
    with open("bad/state", "wb") as file:
        file.write(data)


def state_of(folder):
    with open(f"{folder}/state", "rb") as file:
        return file.read()


def refused(data, what):
    """One line, status 100, no guest, nothing left."""
    write_state(data)
    done = subprocess.run([kinglet, "restore", "bad", "--timeout", "100s"], input=b"\0",
                          capture_output=True, timeout=300)
    if done.returncode != 100 or done.stdout or done.stderr.count(b"\n") != 1 or \
            not done.stderr.startswith(b"kinglet: "):
        fail(f"{what}: status {done.returncode}, {done.stdout}, {done.stderr}")


def taken_or_refused(data, what):
    """A changed value may be right, too; but it is no crash, and refused before there is a guest."""
    write_state(data)
    done = subprocess.run([kinglet, "restore", "bad", "--timeout", "200ms", "--control", "off"],
                          input=b"\0", capture_output=True, timeout=300)
    if done.returncode < 0 or done.returncode not in (0, 100, 101, 103, 104, 124) or \
            (done.returncode == 100 and done.stdout) or b"Sanitizer" in done.stderr:
        fail(f"{what}: status {done.returncode}, {done.stdout}, {done.stderr}")


def saved(folder, *more):
    run("run", payload, "--memory", MEMORY, "--snapshot", folder, "--snapshot-on", "go",
        "--snapshot-end", *more, given=b"go\n", output=b"go\n")


def hostile():
    saved("good")
    shutil.copytree("good", "bad")
    good, chance = state_of("good"), random.Random(1)
    sections = sections_of(good)
    expect("the checksums", file_of(sections), good)
    for length in [0, 1, 15, 16, len(good) - 1, *chance.sample(range(len(good)), 15)]:
        refused(good[:length], f"cut to {length}")
    refused(good + b"\0", "a byte more")
    for section in sections[::3]:
        at = good.index(section) + chance.randrange(len(section))
        refused(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], f"byte {at}")
    for i, section in enumerate(sections[::4]):
        refused(file_of([s for s in sections if s is not section]), f"without {name_of(section)}")
        refused(file_of(sections[:4 * i] + [section] + sections[4 * i:]),
                f"{name_of(section)} twice")
    for i in range(0, len(sections) - 1, 4):
        refused(file_of(sections[:i] + [sections[i + 1], sections[i]] + sections[i + 2:]),
                f"{name_of(sections[i])} late")
    refused(file_of(sections + [sections[0]]), "one more at the end")
    for words in (b"--nonsense", b"--cpus=x", b"--cpus", b"nonsense"):
        options = sections[1][:16 + len(name_of(sections[1]))] + words + b"\0"
        options = options[:8] + struct.pack("<I", len(words) + 1) + options[12:]
        refused(file_of(sections[:1] + [options] + sections[2:]), f"options {words}")
    for i, section in enumerate(sections):
        data = len(section) - 1 - chance.randrange(max(1, len(section) - 16 - len(name_of(section))))
        changed = section[:data] + bytes([section[data] ^ 1 << chance.randrange(8)]) + \
            section[data + 1:]
        taken_or_refused(file_of(sections[:i] + [changed] + sections[i + 1:]),
                         f"{name_of(section)} byte {data}")
        newer = section[:12] + struct.pack("<H", 99) + section[14:]
        if not i % 4:
            refused(file_of(sections[:i] + [newer] + sections[i + 1:]),
                    f"{name_of(section)} of version 99")
    only("bad", "good")


def foreign():
    """States of other machines beside the options of this one, and memory of other sizes."""
    saved("good")
    good = sections_of(state_of("good"))
    for more in (["--cpus", "2"], ["--balloon", "1M"], ["--rng", "off"]):
        saved("other", *more)
        other = sections_of(state_of("other"))
        shutil.rmtree("bad", ignore_errors=True)
        shutil.copytree("good", "bad")
        refused(file_of(good[:2] + other[2:]), f"state with {more}")
        refused(file_of(other[:2] + good[2:]), f"options {more}")
        refused(file_of(good[:1] + other[1:2] + good[2:]), f"only the words {more}")
        shutil.rmtree("other")
    for size in (0, 1 << 20, (16 << 20) + 4096):
        os.truncate("bad/memory", size)
        refused(file_of(good), f"memory of {size} bytes")


def with_leaf(sections, function, register, change):
    """Another value of a register (EAX is 0) of a leaf's first subleaf, for each vCPU."""
    changed = []
    for section in sections:
        if name_of(section).startswith(b"cpuid"):
            begin, section = 16 + len(name_of(section)), bytearray(section)
            for at in range(begin, len(section), 28):
                if struct.unpack_from("<II", section, at) == (function, 0):
                    value = struct.unpack_from("<I", section, at + 12 + 4 * register)[0]
                    struct.pack_into("<I", section, at + 12 + 4 * register, change(value))
        changed.append(bytes(section))
    return changed


def other_cpus():
    """A host has more than the guest was told of, or less: CPUID's CX16 and, never there, PCOMMIT."""
    saved("good", "--cpus", "2")
    good = sections_of(state_of("good"))
    shutil.copytree("good", "bad")
    if with_leaf(good, 1, 0, lambda value: 0) == good:
        return  # not x86_64
    less = with_leaf(good, 1, 2, lambda value: value & ~(1 << 13))
    expect("CX16", less == good, False)
    write_state(file_of(less))
    run("restore", "bad", "--snapshot", "again", "--snapshot-on", "go", "--snapshot-end",
        given=b"go\n", output=b"go\n")
    again = {name_of(s): s[8:] for s in sections_of(state_of("again"))}
    for section in less:
        if name_of(section).startswith(b"cpuid") and again[name_of(section)] != section[8:]:
            fail(f"{name_of(section)} is not what it was")
    works("again")
    write_state(file_of(with_leaf(good, 7, 1, lambda value: value | 1 << 22)))
    run("restore", "bad", status=100, errors="the guest has pcommit, and this host has not")


# --- Killed, and no room --------------------------------------------------------------------------

def in_small_place():
    """The rest runs in a file system in memory, which no other process sees."""
    if "SMALL_PLACE" not in os.environ:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.environ["SMALL_PLACE"] = "1"
        os.execvp("unshare", ["unshare", *user, "--mount", sys.executable, __file__,
                             *sys.argv[1:]])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M,mode=700", "none", place], check=True)
    os.chdir(place)


def leave(free):
    """So many bytes of room, whole pages."""
    used = os.statvfs(".")
    size = (used.f_blocks - used.f_bfree) * used.f_bsize + free
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


def killed():
    """At 50 moments of saves, one after the other: the folder is always a whole snapshot."""
    in_small_place()
    chance, inside = random.Random(2), 0
    saved("s")
    for _ in range(50):
        machine = Machine("restore", "s")
        machine.echoes(b"x")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("kinglet/m.sock")
            replies = client.makefile("rb")
            replies.readline()
            client.sendall(f'{{"do":"snapshot","args":{{"dir":"{place}/s"}}}}\n'.encode() * 50)
            begun = time.monotonic()
            expect("reply", replies.readline(), b'{"id":null,"ok":{}}\n')
            time.sleep((time.monotonic() - begun) * 2 * chance.random())
            machine.process.send_signal(signal.SIGKILL)
            machine.process.communicate()
        inside += os.path.exists(".s.kinglet-new")
        if not os.path.isfile("s/state"):
            fail("no snapshot")
    if inside < 5:
        fail(f"only {inside} were killed in the middle")
    works("s")
    machine = new()
    run("snapshot", "m", "s")
    machine.ended()
    works("s")
    only("s")


def full():
    """The disk is full after 0, 1, 2 and more pages of a save, until there is room for all: the guest
    runs on, the old snapshot is whole; and a run fails that was to save."""
    in_small_place()
    saved("s")
    before = state_of("s")
    machine = new("--snapshot", "s", "--snapshot-on", "go")
    leave(0)
    machine.echoes(b"go\nand on")
    pages = 0
    while subprocess.run([kinglet, "snapshot", "m", "s"], capture_output=True,
                         check=False).returncode == 101:
        expect("the old state", state_of("s"), before)
        only("s")
        machine.echoes(b"still")
        pages += 1
        leave(4096 * pages)
    machine.echoes(b"at last")
    _, errors = machine.ended(101)
    expect("messages", errors.count("No space left on device"), pages + 1)
    if pages < 10 or "the snapshot could not be saved" not in errors:
        fail(f"after {pages} pages: {errors}")
    works("s")
    only("s")


def rounds():
    """One machine is saved and restored 200 times, and is the same then but for what moves."""
    in_small_place()
    saved("0")
    size, blocks = len(state_of("0")), os.stat("0/memory").st_blocks
    for i in range(200):
        text = b"round %d\n" % i
        run("restore", str(i), "--snapshot", str(i + 1), "--snapshot-on", "round", "--snapshot-end",
            given=text, output=text)
        shutil.rmtree(str(i))
    expect("bytes of its state", len(state_of("200")), size)
    expect("blocks of its memory", os.stat("200/memory").st_blocks, blocks)
    works("200")
    only("200")


CASES = (goes_on, explained, paused, tests, hostile, foreign, other_cpus, killed, full, rounds)

case, place, kinglet, payload = sys.argv[1:]
os.environ["XDG_RUNTIME_DIR"] = place
os.chdir(place)
{f.__name__: f for f in CASES}[case]()
