#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_migrate.py CASE FOLDER KINGLET PAYLOAD - moves the payload echo between processes.

Each CASE is a function here; it waits for events and lines, never for a time. FOLDER, empty, becomes
the working folder and the user's runtime folder. Prints what is wrong, and then ends with status 1.
"""
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys

TIMEOUT = 120


def fail(what):
    print(what)
    sys.exit(1)


def run(*arguments, status=0, errors=""):
    done = subprocess.run([kinglet, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode != status or errors not in done.stderr:
        fail(f"kinglet {' '.join(arguments)}: {done.returncode} {done.stderr!r}, "
             f"expected {status} {errors!r}")


class Machine:
    """A guest that echoes, so one knows that it runs."""

    def __init__(self, name, *arguments, **more):
        self.name, self.said = name, ""
        self.process = subprocess.Popen([kinglet, *arguments, "--name", name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, **more)

    def echoes(self, text=b"x"):
        """All of it, however many reads that takes: the guest sends it byte by byte."""
        self.process.stdin.write(text)
        came = b""
        while len(came) < len(text) and (more := self.process.stdout.read(len(text) - len(came))):
            came += more
        if came != text:
            fail(f"{self.name} is gone: {self.process.stderr.read()}")

    def runs(self):
        """Whether it echoes; else it has ended, or stands still, which its message tells."""
        try:
            self.process.stdin.write(b"x")
        except BrokenPipeError:
            return False
        streams = [self.process.stdout, self.process.stderr]
        while True:
            ready = select.select(streams, [], [], TIMEOUT)[0]
            if self.process.stdout in ready:
                return self.process.stdout.read(1) == b"x"
            more = os.read(self.process.stderr.fileno(), 4096) if ready else b""
            self.said += more.decode()
            if not more or "stands still" in self.said:
                return False

    def ended(self, status=0, errors=""):
        said = self.process.communicate(timeout=TIMEOUT)[1].decode()
        if self.process.returncode != status or errors not in said:
            fail(f"{self.name}: {self.process.returncode} {said!r}, expected {status} {errors!r}")


def new(name="m0", *more):
    machine = Machine(name, "run", payload, "--memory", "16M", *more)
    machine.echoes()
    return machine


class Place:
    """A socket that a machine comes to, as fd=N: it is there before its Kinglet is."""

    def __init__(self, name, *more):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{name}.at")
        listener.listen(1)
        self.listener, self.name, self.more = listener, name, more

    def accept(self):
        connection = self.listener.accept()[0]
        self.listener.close()
        os.unlink(f"{self.name}.at")
        return connection

    def machine(self):
        with self.accept() as connection:
            fd = connection.fileno()
            return Machine(self.name, "run", "--incoming", f"fd={fd}", *self.more, pass_fds=[fd])


def migrate(name, place, *more):
    return subprocess.Popen([kinglet, "migrate", name, f"unix:{place.name}.at", *more],
                            stderr=subprocess.PIPE, text=True)


def state(name):
    done = subprocess.run([kinglet, "info", name, "--json"], capture_output=True, timeout=TIMEOUT)
    return json.loads(done.stdout)["state"]


def end(command, status, errors=""):
    said = command.communicate(timeout=TIMEOUT)[1]
    if command.returncode != status or errors not in said:
        fail(f"migrate: {command.returncode} {said!r}, expected {status} {errors!r}")


def moves():
    """Ten times; each machine sends on what came to it. Its snapshot need not have been saved."""
    machine = new("m0", "--snapshot", "snapshot", "--snapshot-on", "never")
    for n in range(1, 11):
        place = Place(f"m{n}")
        command = migrate(machine.name, place)
        target = place.machine()
        end(command, 0, " ms of them standing still")
        machine.ended()
        machine = target
        machine.echoes(b"hello")
    on_terminal(machine)


def on_terminal(machine):
    """One line, which changes."""
    place = Place("last")
    ours, theirs = pty.openpty()
    command = subprocess.Popen([kinglet, "migrate", machine.name, "unix:last.at"], stderr=theirs)
    target = place.machine()
    command.wait(TIMEOUT)
    os.close(theirs)
    said = os.read(ours, 4096).decode().split("\r\n")
    if not (re.fullmatch("(\rround [^\r]*\033\\[K){2,}", said[0]) and "moved to" in said[1]):
        fail(f"on a terminal: {said!r}")
    machine.ended()
    target.process.stdin.write(b"\0")
    target.ended()


def accepts(path):
    """Whether a process listens there: the file is there before it does."""
    with open("/proc/net/unix") as sockets:
        return any(line.split()[3] == "00010000" and line.split()[-1] == path for line in sockets)


def listens():
    """--incoming unix:, and a command as the target, whose guest has no terminal."""
    machine = new("m0", "--explain", "--explain=html", "page.html")
    target = Machine("m1", "run", "--incoming", "unix:m1.at")
    while not accepts("m1.at"):
        if target.process.poll() is not None:
            fail(target.process.stderr.read())
        os.sched_yield()
    run("migrate", "m0", "unix:m1.at")
    machine.ended(errors="migration: the machine runs at unix:m1.at; it stood still for")
    with open("page.html", encoding="utf-8") as page:
        if not re.search("<h2>Migration</h2>.*<td>1</td>.*<td>[0-9]+, standing still</td>.*<p>It stood "
                         "still for [0-9.]+ ms, and then ran at the target", page.read(), re.S):
            fail("its page has not the rounds")
    target.echoes()
    run("migrate", "m1", f"exec:exec {kinglet} run --incoming fd=0 --name m2 2>/dev/null")
    target.ended()
    tcp("m2")


def tcp(name):
    """To the first port that no other program has; none that the kernel gives to clients."""
    for port in range(10000 + os.getpid() % 10000, 32000):
        target = Machine("m3", "run", "--incoming", f"tcp:127.0.0.1:{port}")
        while target.process.poll() is None:
            done = subprocess.run([kinglet, "migrate", name, f"tcp:localhost:{port}"],
                                  capture_output=True, text=True, timeout=TIMEOUT)
            if done.returncode == 0:
                target.echoes()
                target.process.stdin.write(b"\0")
                target.ended()
                return
            if "refused" not in done.stderr:
                fail(done.stderr)
        target.ended(100, "in use")


def stays():
    """After each of these the guest goes on."""
    machine = new()
    frame = struct.pack("<II", 8, 2) + b"no"
    for says, errors in [(b"", "closed the connection"), (b"nonsense" * 9, "protocol"),
                         (frame, "the target: no")]:
        place = Place("m1")
        command = migrate("m0", place)
        with place.accept() as connection:
            connection.recv(1)
            connection.sendall(says)
        end(command, 101, errors)
        machine.echoes()
    run("migrate", "m0", "unix:none", status=101, errors="No such file")
    run("migrate", "m0", "elsewhere", status=100, errors="none of unix:PATH")
    run("pause", "m0")
    place = Place("m1")
    end(migrate("m0", place), 100, "cannot move: it is paused; kinglet resume")
    run("resume", "m0")
    # Nothing is started at the target.
    with open("image", "wb") as file:
        file.truncate(1 << 20)
    copied = new("copied", "--disk", "image,copy")
    run("migrate", "copied", "exec:touch started", status=100,
        errors="cannot move: --disk: a disk that is a copy is gone at the end; leave copy out")
    if os.path.exists("started"):
        fail("the target was told")
    copied.process.stdin.write(b"\0")
    copied.ended()
    debugged = new("debugged", "--gdb", "gdb.sock,nowait")
    run("migrate", "debugged", "exec:touch started", status=100,
        errors="cannot move: --gdb: a debugger's machine stays where that is; leave it out")
    debugged.process.stdin.write(b"\0")
    debugged.ended()
    # What the command line says there does not fit.
    place = Place("m2", "--disk", "none")
    command = migrate("m0", place)
    place.machine().ended(100, "--disk: given 1 times")
    end(command, 101, "the target: --disk: given 1 times; the saved machine has 0")
    machine.echoes()
    half_there()
    machine.echoes()
    panicked()
    machine.process.stdin.write(b"\0")
    machine.ended()


def panicked():
    """The last words of a guest are its own, also where they are those of a machine that moved."""
    listener, place = socket.socket(socket.AF_UNIX), Place("m4")
    listener.bind("panics.sock")
    listener.listen(1)
    command = migrate("./panics.sock", place)
    with listener, place.listener, listener.accept()[0].makefile("rw") as client:
        client.write('{"kinglet":"1","protocol":1}\n')
        client.flush()
        for _ in "info", "events", "migrate":
            request = json.loads(client.readline())
            client.write(json.dumps({"id": request["id"], "ok": {"can_move": True}}) + "\n")
            client.flush()
        client.write('{"event":"ended","outcome":"panic","status":102,"detail":"moved to x"}\n')
        client.flush()
        end(command, 101, "ended before it had moved: moved to x")


def half_there():
    """A machine of which nothing but what it is has come does not run, and says so."""
    place = Place("m3")
    command = migrate("m0", place)
    ours, theirs = socket.socketpair()
    target = Machine("m3", "run", "--incoming", f"fd={theirs.fileno()}",
                     pass_fds=[theirs.fileno()])
    theirs.close()
    with place.accept() as connection, ours:
        header = connection.recv(8, socket.MSG_WAITALL)
        length = struct.unpack("<II", header)[1]
        ours.sendall(header + connection.recv(length, socket.MSG_WAITALL))
        ours.recv(8, socket.MSG_WAITALL)
        if state("m3") != "building":
            fail(f"m3 is {state('m3')}")
        run("pause", "m3", status=100, errors="the machine is being built")
    target.ended(101, "its source: ")
    end(command, 101, "the target closed the connection")


def lock(path):
    """As a Kinglet has that writes to it; None: another has it."""
    file = open(path, "r+b")
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    except BlockingIOError:
        return None
    return file


def read_frame(connection):
    header = connection.recv(8, socket.MSG_WAITALL)
    if len(header) < 8:
        fail("the source is gone")
    kind, length = struct.unpack("<II", header)
    connection.recv(length, socket.MSG_WAITALL)
    return kind


def receive(connection, last):
    """As a target, up to a frame of type `last`."""
    kind = 0
    while kind != last:
        kind = read_frame(connection)
        if kind == 1:
            connection.sendall(struct.pack("<II", 2, 0))


def storage():
    """A disk has one user at each moment. Without it, the machine stands still."""
    with open("disk", "wb") as file:
        file.truncate(1 << 20)
    machine = new("m0", "--disk", "disk")
    for n in range(1, 4):
        place = Place(f"m{n}")
        command = migrate(machine.name, place)
        target = place.machine()
        end(command, 0)
        machine.ended()
        machine = target
        machine.echoes()
        if lock("disk"):
            fail("the disk is not locked")
    # Whether the target keeps it: no; until it has ended; for ever.
    for keeps in "", "until", "ever":
        place = Place("m4")
        command = migrate("m3", place)
        with place.accept() as connection:
            receive(connection, 4)
            held = lock("disk")
            if not held:
                fail("its disk was not let go")
            if not keeps:
                held.close()
        if keeps == "until":
            # The machine's thread does not wait for it.
            run("pause", "m3", status=100, errors="the machine is moving")
            if command.poll() is not None:
                fail("it has not waited for its storage")
            held.close()
        if keeps == "ever":
            end(command, 104, "it stands still here: kinglet resume tries again")
            run("resume", "m3", status=100, errors="another program has its storage")
            held.close()
            run("resume", "m3")
        else:
            end(command, 101, "the target closed the connection")
        machine.echoes()
        if lock("disk"):
            fail("the disk is not locked again")
    machine.process.stdin.write(b"\0")
    machine.ended()


def cancelled():
    """By another command, by Ctrl-C, and too late; and a target that is silent afterwards."""
    machine = new()
    for n in range(2):
        place = Place(f"m{n + 1}")
        command = migrate("m0", place)
        with place.accept() as connection:
            connection.recv(1)
            if n:
                command.send_signal(signal.SIGINT)
            else:
                run("migrate", "m0", "--cancel")
            end(command, 101, "stays here: cancelled")
        machine.echoes()
    run("migrate", "m0", "--cancel", status=100, errors="is not moving")
    run("migrate", "m0", "unix:x", "--cancel", status=100, errors="write kinglet migrate")
    place = Place("m3")
    command = migrate("m0", place, "--downtime", "2s")
    with place.accept() as connection:
        for kind, answer in [(1, 2), (4, 5), (6, 0)]:
            while read_frame(connection) != kind:
                pass
            if state("m0") != ("running" if kind == 1 else "moving"):
                fail(state("m0"))
            if answer:
                connection.sendall(struct.pack("<II", answer, 0))
        run("migrate", "m0", "--cancel", status=100, errors="too late")
        run("resume", "m0", status=100, errors="the machine is moving")
    end(command, 104, "it stands still here: if it does not, kinglet resume")
    if state("m0") != "frozen":
        fail(state("m0"))
    run("resume", "m0")
    machine.echoes()
    machine.process.stdin.write(b"\0")
    machine.ended(errors="it may run there, so it stands still here")


def killed():
    """Either at any moment. Without its source, a target that has not all of the machine ends."""
    for seed in range(20):
        rng = random.Random(seed)
        machine, place = new(f"a{seed}"), Place(f"b{seed}")
        command = migrate(machine.name, place)
        target = place.machine()
        victim, other = (machine, target) if seed % 2 else (target, machine)
        select.select([], [], [], rng.random() * 0.4)
        victim.process.send_signal(signal.SIGKILL)
        victim.process.wait()
        command.communicate(timeout=TIMEOUT)
        if other is machine and command.returncode == 0:
            machine.ended()  # it was gone before
            continue
        if not other.runs():
            if other is target:
                target.process.communicate(timeout=TIMEOUT)
                if target.process.returncode not in (100, 101):
                    fail(f"{target.name}: {target.process.returncode}")
                continue
            if "stands still" not in other.said:
                fail(f"{other.name}: {other.said}")
            run("resume", other.name)
            if other.process.stdout.read(1) != b"x":
                fail(f"{other.name} does not go on")
        other.process.kill()
        other.process.communicate()


case, folder, kinglet, payload = sys.argv[1:]
os.chdir(folder)
os.environ["XDG_RUNTIME_DIR"] = folder
{"moves": moves, "listens": listens, "stays": stays, "storage": storage,
 "cancelled": cancelled, "killed": killed}[case]()
