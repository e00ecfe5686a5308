"""What calls and events cost, by address, while somebody watches: `limen top`, Prometheus, the devtools.

`Hub.watcher` is asked for each message that the hub sends; nobody watches: it is None, and that is all it costs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from limen.core.wamp.messages import CALL, Error, Event, Invocation, Message, Result

from .underway import UnderWay

if TYPE_CHECKING:
    from limen.core.wamp.session import Session

MOST: Final = 2000
"""Addresses that are kept apart."""
LONG: Final = 200
"""Characters of an address that are shown."""
OTHER: Final = "other"
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds up to which a call belongs in a bucket."""
LONGEST: Final = 3
"""Which number of an address is its longest call."""


class Watcher(Protocol):
    """Sees what the hub is about to send. It may add to the details of an INVOCATION or EVENT, which are fresh."""

    def sending(self, session: Session, message: Message) -> None: ...

    def broadcasting(self, sessions: list[Session], message: Event) -> None: ...


class Times:
    """By address: calls, those that failed, seconds, and the longest; by topic: events, and how often one was
    delivered.

    >>> times = Times()
    >>> times.call("a.example", "todo.add", 0.25, failed=False)
    >>> times.call("a.example", "todo.add", 0.5, failed=True)
    >>> times.addresses()
    [['todo.add', 2, 1, 0.75, 0.5]]
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.seconds = 0.0
        """Of all calls."""
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._addresses: dict[tuple[str, str], list[Any]] = {}
        self._topics: dict[tuple[str, str], list[Any]] = {}
        """By domain and address."""
        self._begun: UnderWay[tuple[str, float]] = UnderWay(lambda begun: None)

    def call(self, domain: str, address: str, seconds: float, failed: bool) -> None:
        """A call has ended."""
        key = domain, address
        row = self._addresses.get(key) or self._row(self._addresses, key, [0, 0, 0.0, 0.0])
        row[0] += 1
        row[1] += failed
        row[2] += seconds
        if seconds > row[3]:
            row[3] = seconds
        self.seconds += seconds
        self._buckets[bisect_left(BOUNDS, seconds)] += 1

    # -- what the hub sends -------------------------------------------------------------------------------------
    def sending(self, session: Session, message: Message) -> None:
        match message:
            case Invocation():
                self._begun.begin(session, message, lambda call, uri: (uri, self._clock()))
            case Result() if not message.details.get("progress"):
                self._end(session, message.request, failed=False)
            case Error() if message.kind == CALL:
                self._end(session, message.request, failed=True)

    def _end(self, caller: Session, request: int, *, failed: bool) -> None:
        begun = self._begun.end(caller, request)
        if begun is not None:
            address, since = begun
            self.call(_domain(caller), address, self._clock() - since, failed)

    def broadcasting(self, sessions: list[Session], message: Event) -> None:
        subscription = sessions[0].subscriptions.get(message.subscription)
        if subscription is not None:
            key = _domain(sessions[0]), subscription.uri
            row = self._topics.get(key) or self._row(self._topics, key, [0, 0])
            row[0] += 1
            row[1] += len(sessions)

    def _row(self, table: dict[tuple[str, str], list[Any]], key: tuple[str, str], row: list[Any]) -> list[Any]:
        if len(table) >= MOST:
            return table.setdefault(("", OTHER), row)
        table[key] = row
        return row

    # -- what is seen -------------------------------------------------------------------------------------------
    def addresses(self, domain: str | None = None) -> list[list[Any]]:
        """Rows: address, calls, failed, seconds, longest; of *domain*, or of all together."""
        return _rows(self._addresses, domain)

    def topics(self, domain: str | None = None) -> list[list[Any]]:
        """Rows: topic, events, deliveries."""
        return _rows(self._topics, domain)

    def buckets(self) -> list[list[Any]]:
        """Rows: seconds up to which a call is counted there, as text, and how many of this bucket alone."""
        bounds = [*map(str, BOUNDS), "+Inf"]
        return [[bound, number] for bound, number in zip(bounds, self._buckets, strict=True)]


def _domain(session: Session) -> str:
    return "" if session.principal is None else session.principal.domain


def _rows(table: dict[tuple[str, str], list[Any]], domain: str | None) -> list[list[Any]]:
    found: dict[str, list[Any]] = {}
    for (of, address), row in table.items():
        if domain not in (None, of):
            continue
        shown = address[:LONG]  # two that begin alike are one row: labels come once
        known = found.get(shown)
        found[shown] = row if known is None else added(known, row)
    return [[shown, *row] for shown, row in found.items()]


def added(row: list[Any], other: list[Any]) -> list[Any]:
    """The numbers of two rows about one thing; the fourth, the longest call, is not added up."""
    numbers = [a + b for a, b in zip(row, other, strict=True)]
    if len(numbers) > LONGEST:
        numbers[LONGEST] = max(row[LONGEST], other[LONGEST])
    return numbers
