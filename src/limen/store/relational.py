"""Records in one store, searched in another.

The records' own store decides and answers all that is asked by key; a copy in the other one (`follow.py`), which has
the models' columns, says which records match an expression. What they say is read where the records are, as of the
snapshot asked for: so an answer is never older or newer than that, whatever the copy has by then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from limen.core.record.port import Answer, Change, Reads, RecordStore, Transaction
from limen.core.record.query import Query

from .follow import BATCH, Follower

WAIT = 10.0
"""Seconds for which a question waits for the copy to reach its snapshot. Then it says so (`exc.Timeout`)."""


class Relational:
    """A `RecordStore`: what *source* has, searched in *target*.

    A question waits until the copy has come as far as its snapshot; it brings it there itself, if nobody else does
    (`follow`, about once a second). Raises `exc.Timeout`, which says how far the copy is, where that takes longer than
    WAIT seconds.

    >>> from limen.core.record.expression import field
    >>> from limen.store.memory import MemDictStore
    >>> records = Relational(MemDictStore().records, MemDictStore().records)
    >>> who = Transaction("localhost", "ada", None, "", "", "", 1.0)
    >>> records.commit(who, [Change("Todo", bytes(16), 0, '{"text":"milk"}')])
    1
    >>> [v.fields for v in records.select("localhost", Query("Todo", None, field("text") == "milk")).versions]
    ['{"text":"milk"}']
    """

    def __init__(self, source: RecordStore, target: RecordStore) -> None:
        self._source, self._target = source, target
        self._follower = Follower(source, target, name="relational")
        self.last, self.read, self.history = source.last, source.read, source.history
        self.transaction, self.at_time, self.changes = source.transaction, source.at_time, source.changes
        self.domains, self.progress, self.prune = source.domains, source.progress, source.prune
        self.forget_user = source.forget_user
        self.wakes = source.wakes

    def select(self, domain: str, query: Query, at: int | None = None) -> Answer:
        at = self._source.last(domain) if at is None else at
        if query.where is None and not query.order:
            return self._source.select(domain, _plain(query), at)
        self._reach(domain, query, at)
        answer = self._target.select(domain, query)
        if not answer.complete and not self._is_ahead(domain, query.model, at):
            found = (self._source.read(domain, query.model, version.uuid, at)[1] for version in answer.versions)
            versions = [version for version in found if version is not None and not version.deleted]
            if len(versions) == len(answer.versions):  # else it has some that were deleted without a trace (keep=0)
                return Answer(at, versions, False, f"{answer.how} (in the relational store)")
        return self._source.select(domain, _plain(query), at)

    def count(self, domain: str, query: Query, at: int | None = None) -> tuple[int, int] | None:
        at = self._source.last(domain) if at is None else at
        self._reach(domain, query, at)
        counted = self._target.count(domain, query)
        if counted is None or self._is_ahead(domain, query.model, at):
            return None
        return at, counted[1]

    def commit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> int:
        return self._source.commit(transaction, self._noted(changes), reads)

    def submit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> Future[int]:
        return self._source.submit(transaction, self._noted(changes), reads)

    def follow(self, seconds: float = WAIT) -> None:
        """Brings the copy of all domains to where the records are. Raises `exc.Timeout` where that takes longer."""
        deadline = time.monotonic() + seconds
        for domain in self._source.domains():
            self._follower.follow(domain, deadline)

    # -- inside ------------------------------------------------------------------------------------
    def _noted(self, changes: Sequence[Change]) -> list[Change]:
        """*changes* for the source, which keeps no columns; what they would be is noted for the copy."""
        for change in changes:
            if change.index is not None:
                self._follower.indexes[change.model] = change.index
        return [change._replace(index=None, values=None) for change in changes]

    def _reach(self, domain: str, query: Query, at: int) -> None:
        if query.index is not None:
            self._follower.indexes[query.model] = query.index
        if self._follower.reached(domain) < at:
            self._follower.follow(domain, time.monotonic() + WAIT)

    def _is_ahead(self, domain: str, model: str, at: int) -> bool:
        """Whether the copy may have records of that model from after *at*. To be asked after it was searched."""
        reached = self._follower.position(domain)
        if reached <= at:
            return False
        lines = self._source.changes(domain, at, BATCH)
        return any(line.model == model and line.txn <= reached for line in lines) or (
            len(lines) >= BATCH and lines[-1].txn < reached
        )


def _plain(query: Query) -> Query:
    return replace(query, index=None)
