"""What a realm keeps for its sessions, and how much of it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from limen.core.wamp.events.history import History


class Keeping(Struct, frozen=True):
    """*retained*, *retained_bytes*: events that newcomers get, of the realm. *history*: of which topics events are
    kept; *history_bytes*: of all of them. *testaments*, *testament_bytes*: of each session.

    >>> Keeping(history=(History("todo.", "prefix", 100),)).retained
    4096
    """

    retained: int = 4096
    retained_bytes: int = 16 << 20
    history: tuple[History, ...] = ()
    history_bytes: int = 16 << 20
    testaments: int = 64
    testament_bytes: int = 64 << 10


USUAL: Final = Keeping()
