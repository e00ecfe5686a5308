"""The change log as a program reads it: every commit of a domain, in order, from any position, none twice.

    with storage.changes(after=position) as feed:
        for commit in feed:                     # waits for more; `async for` does, too
            for change in commit.changes:
                ...                             # change.model, .uuid, .vsn, .kind, .fields
            position = commit.number            # keep this, and go on from it after a restart

What has happened is read from the store by position; a wake only says that there is something to read. So nothing is
missed and nothing comes twice, across reconnects, restarts and processes.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import groupby
from types import TracebackType
from typing import NamedTuple
from uuid import UUID

from limen import exc
from limen.core.record.arguments import whole
from limen.core.record.port import DELETE, ERASE, OWN, Committed, RecordStore
from limen.core.record.query import checked_limit

LOOK = 5.0
"""Seconds after which a feed that waits looks by itself: a wake from a process of another user may not get here."""
BATCH = 1000
_KINDS = {DELETE: "delete", ERASE: "erase"}


class RecordChange(NamedTuple):
    """One record in one commit. *kind*: "insert", "update", "delete" or "erase". *fields*: the names of those that an
    update has changed."""

    model: str
    uuid: UUID
    vsn: int
    kind: str
    fields: tuple[str, ...]


class Commit(NamedTuple):
    """What one unit of work has changed. *number*: that of its transaction; the position to go on from."""

    number: int
    changes: tuple[RecordChange, ...]


class Feed:
    """The commits of *domain* after number *after*. A context manager; one reader at a time.

    Raises `HistoryGone` where the store no longer has what came after that position: read the records anew, and go on
    from the number that this error names.
    """

    def __init__(self, records: RecordStore, domain: str, after: int = 0) -> None:
        if type(after) is not int or whole(after) < 0:
            raise exc.InvalidValue(f"after is the number of a transaction, 0 or more, not {after!r:.40}.")
        self.position = after
        """The number of the last transaction that was given out."""
        self._records, self._domain = records, domain
        self._wake = threading.Event()
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        # Also for who never closes it: a feed that is gone is not woken any more.
        self._undo = weakref.finalize(self, records.wakes(_waker(weakref.ref(self))))
        self._undo.atexit = False
        self._closed = False

    def read(self, limit: int = BATCH) -> list[Commit]:
        """What there is after `position`, at most about *limit* changes, without waiting; moves `position`."""
        found: list[Commit] = []
        limit = checked_limit(limit) or BATCH
        while not found:
            rows = self._records.changes(self._domain, self.position, limit)
            if not rows:
                break
            for number, lines in groupby(rows, key=lambda row: row.txn):
                changes = tuple(_change(row) for row in lines if not row.model.startswith(OWN))
                if changes:
                    found.append(Commit(number, changes))
            self.position = rows[-1].txn
        return found

    def wait(self, timeout: float | None = None) -> list[Commit]:
        """Like `read`, but waits until there is something; gives an empty list after *timeout* seconds, and once the
        feed is closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            self._wake.clear()  # before looking: what is committed after the look sets it again
            found = self.read()
            left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
            if found or left <= 0:
                return found
            self._wake.wait(left)
        return []

    async def wait_async(self) -> list[Commit]:
        """Like `wait`, on the event loop; the store is read on a worker thread."""
        event = asyncio.Event()
        self._loops[event] = asyncio.get_running_loop()
        try:
            while not self._closed:
                event.clear()
                found = await asyncio.to_thread(self.read)
                if found:
                    return found
                try:
                    await asyncio.wait_for(event.wait(), LOOK)
                except TimeoutError:
                    continue
            return []
        finally:
            del self._loops[event]

    def __iter__(self) -> Iterator[Commit]:
        """Commit after commit, for ever; ends when the feed is closed."""
        while not self._closed:
            yield from self._one_by_one(self.wait())

    async def __aiter__(self) -> AsyncIterator[Commit]:
        while not self._closed:
            for commit in self._one_by_one(await self.wait_async()):
                yield commit

    def _one_by_one(self, commits: list[Commit]) -> Iterator[Commit]:
        """`position` follows what was given out, not what was read ahead."""
        end = self.position
        for commit in commits:
            self.position = commit.number
            yield commit
        self.position = max(end, self.position)

    def close(self) -> None:
        """Ends the feed and whoever waits for it."""
        self._closed = True
        self._undo()
        self._woken()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _woken(self) -> None:
        """Called from any thread."""
        self._wake.set()
        for event, loop in tuple(self._loops.items()):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # that loop is over
                pass


def _waker(feed: weakref.ref[Feed]) -> Callable[[], None]:
    def wake() -> None:
        there = feed()
        if there is not None:
            there._woken()

    return wake


def _change(row: Committed) -> RecordChange:
    kind = _KINDS.get(row.kind) or ("update" if row.vsn > 1 else "insert")
    return RecordChange(row.model, UUID(bytes=row.uuid), row.vsn, kind, row.fields)
