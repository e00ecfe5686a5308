"""What is counted, and the one picture of it.

What always counts is an integer that is added to: in the realm (`Realm.counted`), in each connection, and here. All
else is looked up when somebody asks (`picture`), so that who does not ask pays nothing. What a call or an event at an
address costs is measured while somebody watches (`times.py`).

    {"connections": 3, "calls_routed": 91, …, "sessions": [["a.example", "user", "websocket", 2], …]}

A picture is plain data: numbers, and tables whose rows begin with what they are about. Those of several processes make
one (`together`). docs/how-to/observe.md says what each is.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from limen.core.wamp.messages import MAX_ID

from .times import OTHER, added

if TYPE_CHECKING:
    from limen import exc
    from limen.core.wamp.session import Session

    from .hub import Hub
    from .times import Times

MOST_ROWS: Final = 200
"""Rows of a table that a picture shows by name; what is beyond is added up as "other"."""
LONG: Final = 200
"""Characters of an address or a role that are shown."""

Picture = dict[str, Any]

TABLES: Final[Mapping[str, int]] = {"sessions": 3, "denied": 1, "refused": 1, "addresses": 1, "topics": 1, "buckets": 1}
"""Table to how many of its columns say what a row is about; the others are numbers."""
_LARGEST: Final = frozenset({"queue_largest"})
"""Numbers of which the largest stands for all processes; the others are added up."""
_EARLIEST: Final = "started"


class Counts:
    """The integers of one process that belong to no realm and no connection that is open.

    *opened*: connections, ever. *refused*: those that were turned away before they were a session, by reason.
    *entered*: sessions, ever. *denied*: what sessions may not do, by action. *violations*: of the protocol.
    *calls*, *failed*: of local services, by any way. *times*: what addresses cost, while somebody watches.
    """

    __slots__ = (
        "bytes_in", "bytes_out", "calls", "denied", "entered", "failed", "messages_in", "messages_out",
        "opened", "refused", "started", "times", "violations",
    )  # fmt: skip

    def __init__(self) -> None:
        self.opened = self.entered = self.violations = self.calls = self.failed = 0
        self.bytes_in = self.bytes_out = self.messages_in = self.messages_out = 0
        """Of connections that are gone."""
        self.denied: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.started = time.time()
        self.times: Times | None = None

    def gone(self, connection: Any) -> None:
        """A connection is over: what it counted is kept."""
        self.bytes_in += connection.bytes_in
        self.bytes_out += connection.bytes_out
        self.messages_in += connection.messages_in
        self.messages_out += connection.messages_out

    def called(self, domain: str, uri: str, seconds: float, error: exc.Error | None) -> None:
        """A local service was called, or refused to be."""
        self.calls += 1
        if error is not None:
            self.failed += 1
        if self.times is not None:
            self.times.call(domain, uri, seconds, error is not None)


def picture(hub: Hub) -> Picture:
    """What there is in this process, and what there was since it began. On the loop; it looks at every session."""
    counts, connections = hub.counts, hub.connections
    queues = [connection.queued for connection in connections]
    told = [session for realm in hub.realms for session in realm.sessions.values() if session.id <= MAX_ID]
    counted: Counter[str] = Counter()
    for realm in hub.realms:
        counted.update(realm.counted())
    rows = Counter((one.principal.domain if one.principal else "", *_kind(one)) for one in told)
    times = counts.times
    return {
        "processes": 1,
        "started": counts.started,
        "memory": memory(),
        "connections": len(connections),
        "connections_opened": counts.opened,
        "sessions_opened": counts.entered,
        "sessions_closed": max(0, counts.entered - len(told)),
        "pending": sum(len(session.calls) for session in told),
        "registrations": sum(len(session.registrations) for session in told),
        "subscriptions": sum(len(session.subscriptions) for session in told),
        "calls_local": counts.calls,
        "calls_local_failed": counts.failed,
        "calls_routed": counted["calls"],
        "calls_routed_answered": counted["answered"],
        "calls_routed_failed": counted["failed"],
        "published": counted["published"],
        "delivered": counted["delivered"],
        "retained": counted["retained"],
        "bytes_in": counts.bytes_in + sum(connection.bytes_in for connection in connections),
        "bytes_out": counts.bytes_out + sum(connection.bytes_out for connection in connections),
        "messages_in": counts.messages_in + sum(connection.messages_in for connection in connections),
        "messages_out": counts.messages_out + sum(connection.messages_out for connection in connections),
        "queue": sum(queues),
        "queue_largest": max(queues, default=0),
        "violations": counts.violations,
        "sessions": _bounded([[*about, number] for about, number in rows.items()], 3),
        "denied": _bounded([[action, number] for action, number in counts.denied.items()], 1),
        "refused": _bounded([[reason, number] for reason, number in counts.refused.items()], 1),
        "watched": times is not None,
        "duration": times.seconds if times is not None else 0.0,
        "buckets": times.buckets() if times is not None else [],
        "addresses": _bounded(times.addresses(), 1) if times is not None else [],
        "topics": _bounded(times.topics(), 1) if times is not None else [],
    }


def together(pictures: Iterable[Picture]) -> Picture:
    """One picture of several processes.

    >>> one = {"processes": 1, "started": 7.0, "queue_largest": 3, "sessions": [["a.example", "user", "lane", 2]]}
    >>> together([one, {**one, "started": 5.0, "sessions": [["a.example", "user", "lane", 1]]}])
    {'processes': 2, 'started': 5.0, 'queue_largest': 3, 'sessions': [['a.example', 'user', 'lane', 3]]}
    """
    whole: Picture = {}
    for one in pictures:
        for name, value in one.items():
            if name not in whole:
                whole[name] = value
            elif name in TABLES:
                whole[name] = _joined(name, whole[name], value)
            elif name in _LARGEST or value is True:
                whole[name] = max(whole[name], value)
            elif name == _EARLIEST:
                whole[name] = min(whole[name], value)
            elif value is not False:
                whole[name] += value
    return whole


def _joined(name: str, rows: list[list[Any]], more: list[list[Any]]) -> list[list[Any]]:
    width = TABLES[name]
    found = {tuple(row[:width]): row for row in rows}
    for row in more:
        about = tuple(row[:width])
        found[about] = [*about, *added(found[about][width:], row[width:])] if about in found else row
    return list(found.values())


def _bounded(rows: list[list[Any]], width: int) -> list[list[Any]]:
    """At most `MOST_ROWS` by name, those that count most; the rest as one."""
    if len(rows) <= MOST_ROWS:
        return rows
    rows = sorted(rows, key=lambda row: row[width], reverse=True)
    rest = [0] * (len(rows[0]) - width)
    for row in rows[MOST_ROWS:]:
        rest = added(rest, row[width:])
    return [*rows[:MOST_ROWS], [OTHER] * width + rest]


def _kind(session: Session) -> tuple[str, str]:
    """Role and transport."""
    return session.authrole[:LONG], transport_of(session)


def transport_of(session: Session) -> str:
    """By what a session comes in: "websocket", "rawsocket", "lane" (the sealed HTTP lane), "http" (bridge, events)."""
    return str(getattr(session.peer, "transport", "internal"))


def memory() -> int:
    """Bytes of this process that are in memory; where the system does not say, the most that there ever were."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
