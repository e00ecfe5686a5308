"""Event history: what was published where the realm is set to keep it (section "Event History"), and
`wamp.subscription.get_events`, by which a subscriber catches up.

Publications that choose their receivers by session id are not kept, as the specification has it: these ids mean nothing
later. For the same reason a publisher gets its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import merge
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from limen.core.wamp.effects import MetaError, Told
from limen.core.wamp.events.kept import Kept
from limen.core.wamp.messages import integer
from limen.core.wamp.patterns import Patterns
from limen.core.wamp.session import Session
from limen.core.wamp.times import iso, microseconds
from limen.core.wamp.uris import EXACT, MATCHES, is_pattern, is_reserved, matches

if TYPE_CHECKING:
    from limen.core.wamp.events.subscriptions import Subscription

MOST_ANSWERED: Final = 1 << 20
"""Bytes of events in one answer; where it is more, the answer says `more`, and its last event is where to go on."""

INVALID: Final = "wamp.error.invalid_argument"
_TIMES: Final = ("from_time", "after_time", "before_time", "until_time")
_PUBLICATIONS: Final = ("from_publication", "after_publication", "before_publication", "until_publication")


class History(Struct, frozen=True):
    """Keeps the last *limit* events of the topics that *uri* stands for, meant as *match*.

    >>> History("todo.", "prefix", 100).limit
    100
    """

    uri: str
    match: str = EXACT
    limit: int = 1000

    def __post_init__(self) -> None:
        if self.match not in MATCHES or not is_pattern(self.uri, self.match):
            raise ValueError(f"{self.uri!r} can't be matched as {self.match!r}")
        if self.limit < 1:
            raise ValueError("a history has a limit of 1 or more events")


class Events:
    """What is kept of one realm: *rules* say of which topics, of several the one that a call would go to. All together
    have at most *most_bytes*; where there is no more room, the oldest event goes."""

    def __init__(self, rules: Iterable[History], most_bytes: int) -> None:
        self.rules = tuple(rules)
        self._most_bytes = most_bytes
        self._logs: list[deque[tuple[int, Kept]]] = []
        self._by_pattern: Patterns[deque[tuple[int, Kept]]] = Patterns()
        for rule in self.rules:
            log: deque[tuple[int, Kept]] = deque(maxlen=rule.limit)
            self._by_pattern.put(rule.match, rule.uri, log)
            self._logs.append(log)
        self._numbers = count()
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._logs))

    def wants(self, uri: str, options: Mapping[str, Any]) -> bool:
        """Whether a publication to *uri* with these *options* is to be kept."""
        if not self._logs or options.get("exclude") is not None or options.get("eligible") is not None:
            return False
        return self._by_pattern.best(uri) is not None and not is_reserved(uri)

    def put(self, kept: Kept) -> None:
        """Keeps what `wants` said to."""
        log = self._by_pattern.best(kept.uri)
        assert log is not None
        if kept.size > self._most_bytes:
            return
        if len(log) == log.maxlen:
            self._shorten(log)
        log.append((next(self._numbers), kept))
        self.bytes += kept.size
        while self.bytes > self._most_bytes:
            self._shorten(min((log for log in self._logs if log), key=lambda log: log[0][0]))

    def _shorten(self, log: deque[tuple[int, Kept]]) -> None:
        self.bytes -= log.popleft()[1].size

    def all(self) -> list[Kept]:
        """All that is kept, in the order in which it came."""
        return [kept for _, kept in merge(*self._logs, key=lambda row: row[0])]

    def of(self, pattern: str, match: str) -> list[Kept]:
        """Of it, that of the topics that *pattern* stands for."""
        return [kept for kept in self.all() if matches(pattern, match, kept.uri)]

    def answer(self, session: Session, subscription: Subscription, wanted: Mapping[str, Any]) -> Told:
        """RESULT of `wamp.subscription.get_events`; *wanted*: its keyword arguments."""
        rows = self.of(subscription.uri, subscription.match)
        rows = _between(rows, wanted)
        topic, limit = wanted.get("topic"), wanted.get("limit")
        if limit is not None and ((limit := integer(limit)) is None or limit < 1):
            raise MetaError(INVALID, "limit is a positive integer")
        if topic is not None and type(topic) is not str:
            raise MetaError(INVALID, "topic is a URI.")
        tests = _tests(wanted)
        if wanted.get("reverse") is True:
            rows.reverse()
        events: list[dict[str, Any]] = []
        size = 0
        for kept in rows:
            if (topic is None or kept.uri == topic) and all(test(kept.time * 1000) for test in tests):
                if not kept.is_for(session):
                    continue
                if limit is not None and len(events) == limit:
                    break
                size += kept.size
                if events and size > MOST_ANSWERED:
                    return Told(events, kwargs={"more": True})
                events.append(_event(kept, subscription))
        return Told(events)


def _event(kept: Kept, subscription: Subscription) -> dict[str, Any]:
    args, kwargs = kept.payload()
    event: dict[str, Any] = {
        "timestamp": iso(kept.time / 1000),
        "subscription": subscription.id,
        "publication": kept.publication,
        "details": {**kept.details} if subscription.match == EXACT else {**kept.details, "topic": kept.uri},
    }
    if args is not None:
        event["args"] = args
    if kwargs is not None:
        event["kwargs"] = kwargs
    return event


def _between(rows: list[Kept], wanted: Mapping[str, Any]) -> list[Kept]:
    """*rows* from or after, up to or before the publications that are named; none, where one is not among them."""
    for name in _PUBLICATIONS:
        id = wanted.get(name)
        if id is None:
            continue
        if (id := integer(id)) is None or id < 1:
            raise MetaError(INVALID, f"{name} is the id of a publication")
        at = next((i for i, kept in enumerate(rows) if kept.publication == id), None)
        if at is None:
            return []
        where = {
            "from_publication": slice(at, None),
            "after_publication": slice(at + 1, None),
            "before_publication": slice(at),
            "until_publication": slice(at + 1),
        }
        rows = rows[where[name]]
    return rows


def _tests(wanted: Mapping[str, Any]) -> list[Any]:
    """What the time of an event, in microseconds, must pass."""
    tests = []
    for name in _TIMES:
        text = wanted.get(name)
        if text is not None:
            try:
                tests.append(_test(name, microseconds(text)))
            except ValueError:
                raise MetaError(INVALID, f"{name} is a time by RFC 3339, with its zone.") from None
    return tests


def _test(name: str, limit: int) -> Any:
    if name == "from_time":
        return lambda time: time >= limit
    if name == "after_time":
        return lambda time: time > limit
    return (lambda time: time < limit) if name == "before_time" else (lambda time: time <= limit)
