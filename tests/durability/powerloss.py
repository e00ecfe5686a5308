"""What a power cut could leave of an SQLite database: records what is written, then builds the disks that could be.

`Recorder` is a `Watcher` (see vfs.py) that notes every change, every sync and, told by `acknowledge`, when a commit was
acknowledged. `disks` goes through the record, event by event, and gives what could be on the disk if the power went
there:

- what a sync wrote that had come to its end is there; a sync counts for what was written before it began,
- of what was not synced anything may be there: nothing; everything; each write without the others and the others
  without it; random mixtures in which each write is there whole, not at all, or by sectors of 512 bytes,
- files appear and go in the order in which they were made and deleted, as a journalling file system does it: any sync
  makes earlier ones safe; of later ones any number of the first may be there.

A disk is judged by who opens it; equal disks are opened once.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vfs import Watcher

SECTOR = 512


class Event(NamedTuple):
    """*what*: there (a file that was safe before: *data*), create, write, truncate, delete, begin (of a sync), end,
    acknowledge. *offset* of begin and end: the thread; of acknowledge: the number."""

    what: str
    path: str = ""
    offset: int = 0
    data: bytes = b""


class Recorder(Watcher):
    """Notes what happens to the files of *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.events: list[Event] = []
        self._known: set[str] = set()

    def before(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        if what == "sync" and path.startswith(self._folder):
            self.events.append(Event("begin", path, threading.get_ident()))

    def after(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        if not path.startswith(self._folder):
            return
        if what == "sync":
            self.events.append(Event("end", path, threading.get_ident()))
        elif what == "open":
            if path not in self._known:
                self._known.add(path)
                self.events.append(Event("there", path, 0, Path(path).read_bytes()))
        else:
            self._known.add(path)
            self.events.append(Event(what, path, offset, data))

    def acknowledge(self, number: int) -> None:
        """Says that who made commit *number* has been told that it is safe."""
        self.events.append(Event("acknowledge", "", number))


@dataclass(eq=False)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)

    def settle(self, count: int) -> None:
        for event in self.pending[:count]:
            _apply(self.safe, event)
        del self.pending[:count]


class Disk(NamedTuple):
    """*files*: by name. *where*: number of the event before which the power went, and what became of the rest."""

    files: dict[str, bytes]
    acknowledged: frozenset[int]
    where: str


def disks(events: list[Event], chance: random.Random, mixtures: int = 2, every: int = 1) -> Iterator[Disk]:
    """Disks that could be left, for a cut before every *every*-th event (and before each that follows an acknowledged
    commit). *mixtures*: how many random ones at each."""
    files: dict[str, _File] = {}  # as the program sees them
    on_disk: dict[str, _File] = {}
    names: list[tuple[str, str, _File]] = []  # made and deleted since the last sync
    begun: dict[tuple[str, int], tuple[_File, int, int]] = {}
    acknowledged: set[int] = set()
    synced_names = 0

    for at, event in enumerate([*events, Event("over")]):
        told = at > 0 and events[at - 1].what == "acknowledge"
        if told or at % every == 0 or event.what == "over":
            yield from _left(
                at, on_disk, names, frozenset(acknowledged), chance, mixtures, event.what in ("end", "over")
            )
        match event.what:
            case "acknowledge":
                acknowledged.add(event.offset)
            case "there":
                files[event.path] = on_disk[event.path] = _File(bytearray(event.data))
            case "create":
                files[event.path] = _File()
                names.append(("create", event.path, files[event.path]))
            case "delete":
                if event.path in files:
                    names.append(("delete", event.path, files.pop(event.path)))
            case "write" | "truncate":
                files[event.path].pending.append(event)
            case "begin":
                begun[event.path, event.offset] = (
                    files[event.path],
                    len(files[event.path].pending),
                    synced_names + len(names),
                )
            case "end":
                file, count, upto = begun.pop((event.path, event.offset))
                # Syncs of one file may overlap; the second then finds fewer left than were there when it began.
                file.settle(min(count, len(file.pending)))
                for other, (seen, pending, n) in begun.items():
                    if seen is file:
                        begun[other] = seen, max(0, pending - count), n
                _name(on_disk, names[: max(0, upto - synced_names)])
                del names[: max(0, upto - synced_names)]
                synced_names = max(synced_names, upto)


def _left(
    at: int,
    on_disk: dict[str, _File],
    names: list[tuple[str, str, _File]],
    acknowledged: frozenset[int],
    chance: random.Random,
    mixtures: int,
    each: bool,
) -> Iterator[Disk]:
    def disk(upto: int, how: str, keep: Callable[[Event], Collection[Event]]) -> Disk:
        there = dict(on_disk)
        _name(there, names[:upto])
        done: dict[str, bytes] = {}
        for path, file in there.items():
            content = bytearray(file.safe)
            for event in file.pending:
                for part in keep(event):
                    _apply(content, part)
            done[Path(path).name] = bytes(content)
        return Disk(done, acknowledged, f"event {at}, {how}")

    def mixed(event: Event) -> Collection[Event]:
        luck = chance.random()
        if luck < 0.4 or (event.what != "write" and luck < 0.7):
            return [event]
        return [] if luck < 0.7 else [part for part in _sectors(event) if chance.random() < 0.5]

    yield disk(0, "nothing of the rest", lambda event: [])
    yield disk(len(names), "all of the rest", lambda event: [event])
    for _ in range(mixtures):
        yield disk(chance.randint(0, len(names)), "some of the rest", mixed)
    if each:
        pending = [event for file in on_disk.values() for event in file.pending]
        for one in pending if len(pending) <= 12 else chance.sample(pending, 12):
            yield disk(len(names), f"only the {one.what} at {one.offset}", lambda e, one=one: [e] if e is one else [])
            yield disk(
                len(names), f"all but the {one.what} at {one.offset}", lambda e, one=one: [] if e is one else [e]
            )


def _apply(content: bytearray, event: Event) -> None:
    end = event.offset + len(event.data)
    if event.what == "truncate":
        del content[event.offset :]
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[event.offset : end] = event.data


def _sectors(event: Event) -> list[Event]:
    """The parts of a write that a disk writes one by one."""
    parts, start, end = [], event.offset, event.offset + len(event.data)
    while start < end:
        upto = min(end, (start // SECTOR + 1) * SECTOR)
        parts.append(event._replace(offset=start, data=event.data[start - event.offset : upto - event.offset]))
        start = upto
    return parts


def _name(there: dict[str, _File], changes: list[tuple[str, str, _File]]) -> None:
    for what, path, file in changes:
        if what == "create":
            there[path] = file
        elif there.get(path) is file:
            del there[path]


@dataclass
class Verdict:
    """*cuts*: how many disks were looked at, *opened*: how many differed. *lost*, *damaged*: what was wrong."""

    cuts: int = 0
    opened: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return self.lost + self.damaged


def judge(left: Iterator[Disk], folder: Path, look: Callable[[Path], set[int]], enough: int = 5) -> Verdict:
    """Opens each disk of *left* in a folder below *folder* by *look*, which gives the commits that it finds and raises
    where one is there in half. Ends after *enough* wrong ones."""
    verdict = Verdict()
    seen: dict[bytes, set[int] | str] = {}
    for disk in left:
        verdict.cuts += 1
        key = hashlib.blake2b(
            repr(sorted((n, hashlib.blake2b(c).digest()) for n, c in disk.files.items())).encode()
        ).digest()
        if key not in seen:
            verdict.opened += 1
            seen[key] = _look(disk, folder / f"cut{verdict.opened}", look)
        found = seen[key]
        if isinstance(found, str):
            verdict.damaged.append(f"{disk.where}: {found}")
        elif missing := disk.acknowledged - found:
            verdict.lost.append(f"{disk.where}: acknowledged and gone: {sorted(missing)[:5]}")
        if len(verdict.wrong) >= enough:
            break
    return verdict


def _look(disk: Disk, folder: Path, look: Callable[[Path], set[int]]) -> set[int] | str:
    folder.mkdir()
    for name, content in disk.files.items():
        (folder / name).write_bytes(content)
    try:
        found = look(folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return found
