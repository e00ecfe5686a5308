"""Who reads, and what it has read.

*Who is reading* is found by a context variable: neither another task's reads nor another thread's are taken for it.

*What it has read* is a row of links, in the order in which it read. A function mostly reads what it read the last time,
so it finds each link at its place: `_next` is the one whose turn it is, and nothing is looked up, made or let go of.
When it reads something else, the row is cut there; what came behind is put aside, taken back when it is read after all,
and let go of at the end of the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Link:
    """A source in a row, and the version of it that the consumer saw; -1: none."""

    __slots__ = ("at", "next", "source", "version")

    def __init__(self, source: Any, at: int) -> None:
        self.source = source
        self.at = at  # its place in the row
        self.next = END
        self.version = -1


END: Any = None
END = Link(None, sys.maxsize)
"""What comes behind the last link of each row."""


class Consumer:
    """Who reads: a computed value or an effect. Each sets all of this itself: one more `__init__` takes as long as the
    rest of making one."""

    __slots__ = ("__weakref__", "_aside", "_first", "_last", "_next", "_sources", "_targets", "name")

    name: str
    _sources: dict[Any, Link]  # the row, from `_first` to `_last`
    _first: Link
    _last: Link
    _next: Link  # while it runs: what it will read if it reads as the last time; while it waits: what for
    _aside: dict[Any, Link] | None
    _targets: Any  # its consumers; of an effect True: it is always watched


def append(source: Any, reader: Consumer) -> Link:
    """The link of *source*, at the end of the row."""
    link = reader._aside.pop(source, None) if reader._aside else None
    at = len(reader._sources)
    if link is None:
        link = Link(source, at)
    else:
        link.at = at
    if at:
        reader._last.next = link
    else:
        reader._first = link
    reader._last = reader._sources[source] = link
    return link


def cut(reader: Consumer) -> None:
    """Puts aside what would have come next."""
    link, reader._next = reader._next, END
    row, aside = reader._sources, {}
    while link is not END:
        aside[link.source] = row.pop(link.source)
        link.next, link = END, link.next
    reader._aside = aside
    if row:
        reader._last = row[next(reversed(row))]
        reader._last.next = END
    else:
        reader._first = reader._last = END


class Reading:
    """One stack of functions that read. It is written to while it is *open*; a task that was started meanwhile finds
    it closed, with nobody reading."""

    __slots__ = ("depth", "open", "reader", "waiting")

    def __init__(self, reader: Consumer | None = None, *, open: bool = True) -> None:
        self.reader = reader
        self.open = open
        self.depth = 0  # how many functions of computed values stand in each other
        self.waiting: dict[Any, None] = {}  # those that were too deep, outermost first


NOBODY: Final = Reading(open=False)
CURRENT: ContextVar[Reading] = ContextVar("limen.react.current", default=NOBODY)
current: Final = CURRENT.get
"""The reading of this task and thread. Under a name of its own, for `CURRENT.get` makes a method each time it is said
where CURRENT is imported."""


def opened(function: Callable[[Reading], T]) -> T:
    """Calls *function* with an open reading, in which nobody reads yet."""
    reading = current()
    if reading.open:
        outer, reading.reader = reading.reader, None
        try:
            return function(reading)
        finally:
            reading.reader = outer
    reading = Reading()
    token = CURRENT.set(reading)
    try:
        return function(reading)
    finally:
        CURRENT.reset(token)
        reading.open, reading.reader = False, None


def is_followed() -> bool:
    """Whether what is read now is followed: a computed value or an effect reads."""
    return current().reader is not None


def untracked(function: Callable[[], T]) -> T:
    """What *function* returns; whoever reads does not follow what it read.

    >>> from limen.core.react import Value, effect
    >>> seen = Value(1)
    >>> stop = effect(lambda: print(untracked(lambda: seen.value)))
    1
    >>> seen.value = 2
    """
    token = CURRENT.set(NOBODY)
    try:
        return function()
    finally:
        CURRENT.reset(token)
