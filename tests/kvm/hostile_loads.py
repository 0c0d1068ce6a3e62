#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# hostile_loads.py KINGLET PAYLOAD [TAP]: guests, disks and readers that keep Kinglet busy, and a
# run that must nevertheless end: by its timeout of two seconds and by SIGTERM, with one vCPU and
# with four, while another process keeps a CPU of the host busy. It must end at most three seconds
# later, with the right status. With the name of a tap, the load that needs one is run, too.
#
# One that is late is run once more, up to twice: a host that is busy with other work is late at
# random (in an emulated host with four other jobs for each CPU, six of 44 runs, by up to 4.8 s), a
# Kinglet that its guest can delay is late each time. One that does not end at all has failed.
#
# Prints "ok NAME", or "not ok NAME: " and what was wrong.
import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time

kinglet, payload, *taps = sys.argv[1:]
TIMEOUT, LATE, HANGS, TRIES = 2, 3, 60, 3
work = tempfile.TemporaryDirectory()
disk = os.path.join(work.name, "disk")
with open(disk, "wb") as file:
    file.truncate(5 << 30)


def available():
    """Bytes of RAM that may safely be used."""
    with open("/proc/meminfo") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10


class Load:
    def __init__(self, name, *args, word=None, stalled=""):
        self.name, self.args, self.word, self.stalled = name, args, word or name, stalled


prefault = min(available() // 2, 12 << 30) >> 20
loads = [
    Load("flood"),
    Load("kick", "--console", "null"),
    Load("bar"),
    Load("reset"),
    Load("mask"),
    Load("disk", "--disk", disk),
    Load("disk-reset", "--disk", disk + ",aio=threads"),
    Load("broken ring, nobody reads", word="broken", stalled="out err"),
    Load("explain, nobody reads", "--explain", word="kick", stalled="err"),
    Load("prefault", "--memory", f"{prefault}M", "--prefault", word="kick"),
]
if taps:
    loads.append(Load("pairs", "--net", f"tap={taps[0]},queues=16,vhost=off"))


def full_pipe():
    """Both ends of a full pipe."""
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(writer, bytes(size))
        except BlockingIOError:
            pass
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    return reader, writer


def threads(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as comm:
            yield comm.read().strip()


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def begun(load, run, printed):
    """Whether the load has begun; a stalled reader cannot read that."""
    try:
        if load.name == "prefault":
            return resident(run.pid) > prefault << 18
        return b"go" in printed or (load.stalled and "vcpu-0" in threads(run.pid))
    except FileNotFoundError:
        return True


def keep_reading(pipe, printed):
    while piece := pipe.read1(65536):
        if len(printed) < 4096:
            printed.extend(piece)


def run(load, cpus, end):
    """Returns what was wrong, or "", and how late it was."""
    args = ["--cpus", str(cpus), "--append", f"{load.word} {cpus}", "--serial", "stdio",
            "--timeout", f"{TIMEOUT if end == 'timeout' else 300}s"]
    if "--memory" not in load.args:
        args += ["--memory", "128M"]
    reader, full = full_pipe()
    printed = bytearray()
    messages = tempfile.TemporaryFile()
    start = time.monotonic()
    child = subprocess.Popen([kinglet, "run", payload, *args, *load.args], stdin=subprocess.DEVNULL,
                             stdout=full if "out" in load.stalled else subprocess.PIPE,
                             stderr=full if "err" in load.stalled else messages)
    if child.stdout:
        threading.Thread(target=keep_reading, args=(child.stdout, printed), daemon=True).start()
    due, status = start + TIMEOUT, 124
    if end == "TERM":
        while child.poll() is None and not begun(load, child, printed):
            time.sleep(0.01)  # there is no event to wait for
        child.terminate()
        due, status = time.monotonic(), 128 + 15
    try:
        child.wait(HANGS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    late = time.monotonic() - due
    os.close(reader)
    os.close(full)
    messages.seek(0)
    said = messages.read().decode(errors="replace").strip().splitlines()[-3:]
    if child.returncode != status:
        return f"exit status {child.returncode}, expected {status}: {said}", HANGS
    return f"ended {late:.1f} s late: {said}" if late > LATE else "", late


def run_again_if_late(load, cpus, end):
    for _ in range(TRIES):
        wrong, late = run(load, cpus, end)
        if not LATE < late < HANGS:
            break
        print(f"  {load.name}: {wrong}", file=sys.stderr)
    return wrong


busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    for load in loads:
        for cpus in 1, 4:
            for end in "timeout", "TERM":
                wrong = run_again_if_late(load, cpus, end)
                name = f"{load.name}, {cpus} vCPU{'s' * (cpus > 1)}, {end}"
                print(f"not ok {name}: {wrong}" if wrong else f"ok {name}", flush=True)
finally:
    busy.kill()
