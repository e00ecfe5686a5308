"""Finds in a history of versioned writes what no single line of versions allows.

The events are those of the acceptance suite's versions.py; `histories.documents_on` makes them. The versions of a
record are 1, 2, 3 …; each acknowledged write made the version that it was told, from the one before; what was refused
is nowhere; a write of which nobody knows is there or not; what was read is in the history; who reads after a write
was acknowledged reads it or a later one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Event = dict[str, Any]
WRITES = "insert", "update", "delete"


def one_line(history: list[Event]) -> list[str]:
    """What is wrong, in words."""
    of: dict[str, list[Event]] = defaultdict(list)
    for event in history:
        of[event["record"]].append(event)
    return [f"{record}: {text}" for record, events in of.items() for text in _wrong(events)]


def _wrong(events: list[Event]) -> list[str]:
    wrong: list[str] = []
    histories = sorted((e for e in events if e["op"] == "history"), key=lambda e: e["start"])
    if not histories:
        return ["nobody asked for its history"]
    versions = histories[-1]["versions"]
    line = {vsn: value for vsn, value in versions}
    numbers = [vsn for vsn, _ in versions]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong.append(f"its versions are {numbers[:20]}")
    for earlier in histories:
        if earlier["versions"] != versions[: len(earlier["versions"])]:
            wrong.append("a version was rewritten")
    writes = {e["value"]: e for e in events if e["op"] in WRITES}
    for vsn, value in line.items():
        if value not in writes:
            wrong.append(f"version {vsn} holds {value}, which nobody wrote")
        elif writes[value]["status"] in ("stale", "fail"):
            wrong.append(f"version {vsn} holds {value}, which was refused")
    if len(set(line.values())) < len(line):
        wrong.append("a write is there twice")
    for write in writes.values():
        if write["status"] == "ok":
            if line.get(write["version"]) != write["value"]:
                wrong.append(
                    f"{write['value']} was acknowledged as version {write['version']}: {line.get(write['version'])}"
                )
            if write["version"] != write.get("base", 0) + 1:
                wrong.append(f"version {write['version']} was made from {write['base']}")
        elif write["status"] == "stale":
            following = writes.get(line.get(write["base"] + 1))
            if following is None or following["start"] > write["end"]:
                wrong.append(f"a write of version {write['base']} was refused while that was the newest")
    acknowledged = [(e["end"], e["version"]) for e in writes.values() if e["status"] == "ok"]
    for read in (e for e in events if e["op"] == "fetch" and e["status"] == "ok"):
        if line.get(read["version"]) != read["value"]:
            wrong.append(f"version {read['version']} was read as {read['value']}")
        if read["version"] < max((vsn for end, vsn in acknowledged if end < read["start"]), default=0):
            wrong.append(f"version {read['version']} was read after a later one had been acknowledged")
    return wrong
