#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_control.py CASE FOLDER KINGLET run ARGUMENT... - speaks to a machine by its control socket.

The guest is the payload echo. Each CASE is a function here; it waits for events and lines, never for
a time. FOLDER becomes the user's runtime folder. Prints what is wrong, and then ends with status 1.
"""
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading


def fail(what):
    print(what)
    sys.exit(1)


def expect(what, got, wanted):
    if got != wanted:
        fail(f"{what}: {got}, expected {wanted}")


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rwb", buffering=0)
        expect("protocol", self.hear().get("protocol"), 1)

    def hear(self):
        line = self.file.readline()
        return json.loads(line) if line else {}

    def say(self, do, args=None):
        self.file.write(json.dumps({"id": do, "do": do, "args": args or {}}).encode() + b"\n")

    def ask(self, do, args=None):
        self.say(do, args)
        reply = self.hear()
        expect("the id of a reply", reply.get("id"), do)
        return reply.get("ok", reply.get("error", {}).get("code"))


class Machine:
    """A guest that echoes: so it runs."""

    def __init__(self, command, more=(), pass_fds=()):
        self.process = subprocess.Popen([*command, *more], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        pass_fds=pass_fds, bufsize=0)

    def put(self, text):
        self.process.stdin.write(text)

    def echoes(self, text):
        self.put(text)
        self.heard(text)

    def heard(self, text):
        got = b""
        while len(got) < len(text):
            byte = self.process.stdout.read(1)
            if not byte:
                fail(f"the guest is gone: {self.process.stderr.read()}")
            got += byte
        expect("echo", got, text)

    def ended(self, status):
        _, errors = self.process.communicate(timeout=300)
        if self.process.returncode != status:
            fail(f"exit status {self.process.returncode}, expected {status}: {errors}")
        return errors.decode()


def machine_with_client(command, more=()):
    """The client's end is there before the machine is."""
    ours, theirs = socket.socketpair()
    machine = Machine(command, ["--control", f"fd={theirs.fileno()}", *more], [theirs.fileno()])
    theirs.close()
    return machine, Client(ours)


def connect(folder, name):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(f"{folder}/kinglet/{name}.sock")
    return Client(sock)


def requests(_, command):
    """Each request; a paused guest does not echo, and is resumed where it was."""
    machine, client = machine_with_client(command, ["--cpus", "2", "--balloon", "1M"])
    machine.echoes(b"a")
    info = client.ask("info")
    expect("info", (info["state"], info["cpus"], info["pid"]), ("running", 2, machine.process.pid))
    if "virtio-balloon" not in [device["kind"] for device in info["devices"]]:
        fail(f"devices: {info}")
    if not client.ask("stats")["exits"]["all"]:
        fail("a guest that has printed has left KVM_RUN")
    expect("events", client.ask("events"), {})
    client.say("pause")
    expect("event", client.hear(), {"event": "paused"})
    expect("pause", client.hear(), {"id": "pause", "ok": {}})
    exits = client.ask("stats")["exits"]
    machine.put(b"b")
    expect("pause while paused", client.ask("pause"), "bad-state")
    expect("exits while paused", client.ask("stats")["exits"], exits)
    expect("resize", client.ask("resize", {"memory": 2 << 20}), {})
    client.say("resume")
    expect("event", client.hear(), {"event": "resumed"})
    expect("resume", client.hear(), {"id": "resume", "ok": {}})
    machine.heard(b"b")
    machine.put(b"\0")
    ended = client.hear()
    expect("event", (ended.get("event"), ended.get("status")), ("ended", 0))
    expect("after the end", client.hear(), {})
    machine.ended(0)


def stop(folder, command):
    """By its name, also while it is paused; nothing of it is left."""
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"a")
    expect("modes", (os.stat(f"{folder}/kinglet").st_mode & 0o777,
                     os.stat(f"{folder}/kinglet/m.sock").st_mode & 0o777), (0o700, 0o600))
    client, waiting = connect(folder, "m"), connect(folder, "m")
    expect("pause", client.ask("pause"), {})
    waiting.say("wait")
    expect("stop", client.ask("stop", {"now": True}), {})
    expect("wait", waiting.hear()["ok"]["outcome"], "quit")
    machine.ended(0)
    expect("left", os.listdir(f"{folder}/kinglet"), [])


def names(folder, command):
    """A live machine keeps its name, a dead one does not."""
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"a")
    if "another machine has it" not in Machine(command, ["--name", "m"]).ended(100):
        fail("no word of the other machine")
    machine.echoes(b"b")
    machine.process.send_signal(signal.SIGKILL)
    machine.ended(-signal.SIGKILL)
    expect("left", os.listdir(f"{folder}/kinglet"), ["m.sock"])
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"c")
    expect("name", connect(folder, "m").ask("info")["name"], "m")
    machine.put(b"\0")
    machine.ended(0)


class Viewer:
    """kinglet console on a terminal of its own."""

    def __init__(self, kinglet):
        self.terminal, inner = pty.openpty()
        self.inner = inner
        self.before = termios.tcgetattr(inner)
        self.process = subprocess.Popen([kinglet, "console", "m"], stdin=inner, stdout=inner,
                                        stderr=inner)
        self.seen = b""
        self.sees(b"Ctrl-A x leaves the console")

    def sees(self, text):
        while text not in self.seen:
            self.seen += os.read(self.terminal, 1024)
        self.seen = self.seen.partition(text)[2]

    def left(self, status):
        expect("status of kinglet console", self.process.wait(), status)
        expect("terminal", termios.tcgetattr(self.inner), self.before)
        os.close(self.terminal)
        os.close(self.inner)


def console(folder, command):
    """Two terminals of one console; the machine outlives what leaves, and its end is theirs."""
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"before\n")
    viewers = [Viewer(command[0]) for _ in range(3)]
    for viewer in viewers:
        viewer.sees(b"before")
    os.write(viewers[0].terminal, b"ab\x01\x01")
    machine.heard(b"ab\x01")
    for viewer in viewers:
        viewer.sees(b"ab\x01")
    os.write(viewers[0].terminal, b"\x01x")
    viewers[0].left(0)
    viewers[1].process.send_signal(signal.SIGTERM)
    viewers[1].left(128 + signal.SIGTERM)
    machine.echoes(b"still here\n")
    viewers[2].sees(b"still here")
    client = connect(folder, "m")
    expect("console", client.ask("console"), {})
    keys = bytes(1 + i % 255 for i in range(5000))
    threading.Thread(target=client.sock.sendall, args=(keys,)).start()
    machine.heard(keys)
    machine.put(b"\0")
    viewers[2].left(0)
    machine.ended(0)


def sleeps(process):
    """Waits until it does; one that spins never does."""
    state = "R"
    while state != "S":
        os.sched_yield()
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            state = file.read().rpartition(")")[2].split()[0]


def stopped(folder, command):
    """The machine ends while a terminal is stopped, which then gets what has come."""
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"before\n")
    viewer = Viewer(command[0])
    termios.tcflow(viewer.inner, termios.TCOOFF)
    for _ in range(20):  # more than waits for a terminal
        machine.echoes(b"x" * 999 + b"\n")
    machine.put(b"\0")
    machine.ended(0)
    sleeps(viewer.process)
    termios.tcflow(viewer.inner, termios.TCOON)
    viewer.sees(b"x" * 999)
    gone = os.pidfd_open(viewer.process.pid)
    while gone not in select.select([viewer.terminal, gone], [], [])[0]:
        os.read(viewer.terminal, 65536)
    viewer.left(0)


def flood(folder, command):
    """Clients that flood, stall and say nonsense: the guest echoes, and a signal ends the run."""
    machine = Machine(command, ["--name", "m"])
    machine.echoes(b"a")
    clients = [connect(folder, "m") for _ in range(15)]
    for client in clients:
        client.sock.setblocking(False)
        try:
            while True:
                client.sock.send(b'{"do":"info"}\n{"do":\n' * 1000)
        except (BlockingIOError, ConnectionError):
            pass
    machine.echoes(b"b")
    expect("info", connect(folder, "m").ask("info")["state"], "running")
    machine.process.send_signal(signal.SIGTERM)
    machine.ended(128 + signal.SIGTERM)
    expect("left", os.listdir(f"{folder}/kinglet"), [])


def main():
    case, folder, *command = sys.argv[1:]
    os.environ["XDG_RUNTIME_DIR"] = folder
    {f.__name__: f for f in (requests, stop, names, console, stopped, flood)}[case](folder, command)


main()
