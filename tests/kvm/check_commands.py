#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_commands.py FOLDER KINGLET ARGUMENT... - `KINGLET run ARGUMENT...`, a guest with a balloon that
runs until it is stopped, is spoken to by `kinglet list` and its like. FOLDER becomes the user's
runtime folder. Prints what is wrong."""
import json
import os
import re
import subprocess
import sys
import threading

os.environ["XDG_RUNTIME_DIR"], kinglet, *arguments = sys.argv[1:]
path = os.environ["XDG_RUNTIME_DIR"] + "/kinglet/demo.sock"


def ask(*command, status=0, says=""):
    done = subprocess.run([kinglet, *command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    text = done.stdout + done.stderr
    if done.returncode != status or not re.search(says, text, re.MULTILINE):
        print(f"kinglet {' '.join(command)}: status {done.returncode}: {text!r}, "
              f"expected {status}: {says!r}")
    return done.stdout


def check_orders():
    ask("info", "demo", says=f"^pid +{machine.pid}$")
    ask("pause", "demo")
    ask("list", says=f"^demo +{machine.pid} +paused ")
    ask("pause", path, status=100, says="paused already")
    ask("resume", path)
    ask("resume", "demo", status=100, says="not paused")
    ask("resize", "demo", "2M")
    ask("resize", "demo", "4T", status=100, says="bad-request")
    ask("stats", "demo", says="^exits\n(.*\n)*  all +[0-9]+$")
    if "exits" not in json.loads(ask("stats", "demo", "--json")):
        print("no exits in the JSON of stats")
    ask("run", *arguments, "--name", "demo", status=100, says="another machine")


def check_events():
    """Those of the last pause at the latest, when the command has begun to listen."""
    events = subprocess.Popen([kinglet, "events", "demo"], stdout=subprocess.PIPE, text=True)
    heard = threading.Event()

    def pause_until_heard():
        while not heard.is_set():
            ask("pause", "demo")
            ask("resume", "demo")
        ask("stop", "demo", "--now")

    pausing = threading.Thread(target=pause_until_heard)
    pausing.start()
    first = json.loads(events.stdout.readline())
    heard.set()
    pausing.join()
    last = json.loads(events.stdout.readlines()[-1])
    if first["event"] not in ("paused", "resumed") or last["outcome"] != "quit" or events.wait():
        print(f"events: {first}, {last}, status {events.wait()}")


machine = subprocess.Popen([kinglet, "run", *arguments, "--name", "demo"], stdin=subprocess.DEVNULL)
while machine.poll() is None and not re.search("^demo .* running ", ask("list"), re.MULTILINE):
    pass
check_orders()
check_events()
if machine.wait():
    print(f"exit status {machine.wait()}")
ask("stop", "demo", status=100, says="no such machine")
