#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_watch.py trace|page FILE FACT... - is FILE what --trace or --explain=html should have written?

A trace is whole JSON of the Trace Event Format, its spans nest on each thread, and it has an event
"NAME CATEGORY" for each FACT. A page has balanced tags, needs nothing from elsewhere, and shows each
FACT as text. Prints what is wrong, and then ends with status 1.
"""
import html.parser
import json
import sys

VOID = {"meta", "br", "link", "img", "hr"}


def fail(what):
    print(what)
    sys.exit(1)


def check_event(event):
    for field, kinds in (("name", str), ("cat", str), ("ph", str), ("pid", int), ("tid", int),
                         ("ts", (int, float))):
        if not isinstance(event.get(field), kinds):
            fail(f"no {field}: {event}")
    if event["ph"] not in "MXi":
        fail(f"unknown phase of event: {event}")
    if event["ph"] == "X" and not (isinstance(event.get("dur"), float) and event["dur"] >= 0):
        fail(f"no duration: {event}")
    if event["ph"] == "i" and event.get("s") != "t":
        fail(f"no scope: {event}")


def check_nesting(spans):
    """A span lies inside another one of its thread, or outside: nanoseconds, so no rounding."""
    ends = []
    for start, end, event in sorted(((round(1000 * e["ts"]), round(1000 * (e["ts"] + e["dur"])), e)
                                     for e in spans), key=lambda s: (s[0], -s[1])):
        while ends and ends[-1] <= start:
            ends.pop()
        if ends and end > ends[-1]:
            fail(f"reaches out of the span around it: {event}")
        ends.append(end)


def check_trace(path, facts):
    with open(path, encoding="utf-8") as file:
        trace = json.load(file)
    if not trace["otherData"]["producer"].startswith("Kinglet "):
        fail("no producer")
    events = trace["traceEvents"]
    named = {e["tid"] for e in events if e.get("name") == "thread_name" and e["args"]["name"]}
    spans = {}
    for event in events:
        check_event(event)
        if event["tid"] not in named:
            fail(f"a thread without a name: {event}")
        if event["ph"] == "X":
            spans.setdefault(event["tid"], []).append(event)
    for thread in spans.values():
        check_nesting(thread)
    seen = {f'{e["name"]} {e["cat"]}' for e in events}
    for fact in facts:
        if fact not in seen:
            fail(f"no event: {fact}; there are: {sorted(seen)}")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open_tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "link", "img", "iframe", "object", "embed"):
            fail(f"<{tag}> at {self.getpos()}")
        for name, value in attrs:
            if name in ("src", "href", "srcset") or name.startswith("on"):
                fail(f"{name}={value} at {self.getpos()}")
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open_tags or self.open_tags.pop() != tag:
            fail(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        self.text.append(data)


def check_page(path, facts):
    page = Page()
    with open(path, encoding="utf-8") as file:
        source = file.read()
    page.feed(source)
    page.close()
    if page.open_tags:
        fail(f"left open: {page.open_tags}")
    if "url(" in source or "@import" in source:
        fail("the style sheet needs something from elsewhere")
    text = "".join(page.text)
    for fact in facts:
        if fact not in text:
            fail(f"not on the page: {fact}")


{"trace": check_trace, "page": check_page}[sys.argv[1]](sys.argv[2], sys.argv[3:])
