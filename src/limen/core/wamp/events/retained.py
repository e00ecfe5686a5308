"""Retained events: the last one of a topic that its publisher wants newcomers to have (section "Event Retention").

Of one topic more than one is kept where the last is not for everyone: a newcomer gets the newest that it would have
got, had it been there. Where the realm has no more room, what was published longest ago goes.

    >>> retained = Retained(100, 100_000)
    >>> retained.put(Kept.of("todo.changed", 7, {}, {}, 0, [1], None))
    >>> [kept.publication for kept in retained.of("todo.", "prefix", Session(1))]
    [7]
"""

from __future__ import annotations

from typing import Final

from limen.core.wamp.events.kept import Kept
from limen.core.wamp.passthru import SCHEME
from limen.core.wamp.session import Session
from limen.core.wamp.uris import EXACT, is_reserved, matches

MOST_OF_TOPIC: Final = 8


class Retained:
    """*most*, *most_bytes*: of the realm, events and their bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._topics: dict[str, list[Kept]] = {}
        """By topic, the newest of each first; the topic that was published to last is the last."""
        self.count = self.bytes = 0

    def put(self, kept: Kept) -> None:
        older = self._drop(kept.uri)
        if kept.size > self._most_bytes:
            return  # and what it would have replaced is not the newest any more
        mine = [kept]
        for old in older:
            if len(mine) < MOST_OF_TOPIC and _is_wanted(old, mine):
                mine.append(old)
        self._topics[kept.uri] = mine
        self._count(mine, 1)
        while self.count > self._most or self.bytes > self._most_bytes:
            first = next(iter(self._topics))
            if first == kept.uri and len(mine) > 1:
                self._count([mine.pop()], -1)
            else:
                self._drop(first)

    def of(self, pattern: str, match: str, session: Session) -> list[Kept]:
        """Of each topic that *pattern* stands for, what *session* gets; in the order in which it was published."""
        if match == EXACT:
            topics = [self._topics[pattern]] if pattern in self._topics else []
        else:
            hidden = not is_reserved(pattern)
            topics = [
                events
                for uri, events in self._topics.items()
                if matches(pattern, match, uri) and not (hidden and is_reserved(uri))
            ]
        found = (
            next((kept for kept in events if kept.excluded != session.id and kept.is_for(session)), None)
            for events in topics
        )
        return [kept for kept in found if kept is not None]

    def all(self) -> list[Kept]:
        """All that is kept, the oldest of each topic first: put elsewhere in this order it is the same there."""
        return [kept for events in self._topics.values() for kept in reversed(events)]

    def _drop(self, uri: str) -> list[Kept]:
        events = self._topics.pop(uri, [])
        self._count(events, -1)
        return events

    def _count(self, events: list[Kept], sign: int) -> None:
        self.count += sign * len(events)
        self.bytes += sign * sum(kept.size for kept in events)


def _is_wanted(old: Kept, newer: list[Kept]) -> bool:
    """Whether somebody may get *old*, and none of *newer*. One that has no lists is for all but its publisher."""
    but = {kept.excluded for kept in newer if not kept.lists and SCHEME not in kept.details}
    if not but:
        return True
    return len(but) == 1 and old.excluded not in but and 0 not in but
