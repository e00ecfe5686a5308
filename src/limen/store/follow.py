"""A copy that follows: records of one store brought to another, after each commit, after a crash, after a restore.

The source decides. What it has committed is its change log, transaction by transaction; the follower writes what
these changed to the target, and how far it has come in the same transaction there. So a machine may stop at any
moment: what was not written is written later, what was is not written twice.

Invariants:

- The target has, at each moment, the followed records of a domain as they were at its position in the source (but for
  models without history, of which it may have newer ones, and some that were deleted: their deletions leave no trace).
  Of their history it keeps nothing: that is the source's.
- A position is only ever moved together with what it stands for.
- A source that is not the one the position is of (another database, or one put back from a backup) is followed from its
  beginning, after what it does not have was removed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import msgspec

from limen import exc
from limen.core.record.port import OWN, Change, Index, RecordStore, Version
from limen.core.record.record import decode_fields

from .rows import Edit, alive, drop, key, own, put, until_fresh
from .settings import Settings

FOLLOW = "limen.follow"
"""The follower's positions, in the target: one for each domain and name."""
BATCH = 500
"""Lines of the log for each transaction of the target, about."""


class _Position(msgspec.Struct):
    name: str
    source: str
    """The id of the source's database."""
    at: int
    """The number of the source's transaction."""
    proof: tuple[int, float] | None
    """Number and time of a transaction that was followed: what tells the source from one that was put back from a
    backup and has come to the same numbers with other contents."""


_decode = msgspec.json.Decoder(_Position).decode


class Follower:
    """Copies *models* (None: all of the programs') from *source* to *target*. *name*: tells followers of one target
    apart. Any thread may call; several processes may follow at once, and share the work.

    >>> from limen.core.record.port import Change
    >>> from limen.store.memory import MemDictStore
    >>> source, target = MemDictStore().records, MemDictStore().records
    >>> follower = Follower(source, target)
    >>> source.commit(own("localhost"), [Change("Todo", bytes(16), 0, '{"text":"milk"}')])
    1
    >>> follower.follow("localhost"), target.read("localhost", "Todo", bytes(16))[1].fields
    (1, '{"text":"milk"}')
    """

    def __init__(
        self, source: RecordStore, target: RecordStore, models: Collection[str] | None = None, *, name: str = "copy"
    ) -> None:
        self._source, self._target, self._models, self._name = source, target, models, name
        self._reached: dict[str, int] = {}
        """Domains that were looked at since this began, and how far the target is known to be."""
        self._id: str | None = None
        self.indexes: dict[str, Index] = {}
        """What of a model is to be searched by in the target, where that is known."""

    def follow(self, domain: str, deadline: float | None = None) -> int:
        """Brings *domain* to where the source is now; gives the number of the source's transaction.

        Raises `exc.Timeout`, which says how far it has come, where that is not done at *deadline* (of
        `time.monotonic()`); and whatever the stores raise. Calling again goes on.
        """
        goal = self._source.last(domain)
        if domain not in self._reached:
            self._reached[domain] = until_fresh(partial(self._begin, domain))
        while (reached := self._reached[domain]) < goal:
            if deadline is not None and time.monotonic() >= deadline:
                raise exc.Timeout(
                    f"The copy of the records in another store has come to transaction {reached} of {goal}; try again."
                )
            self._reached[domain] = max(reached, until_fresh(partial(self._step, domain)))
        return reached

    def reached(self, domain: str) -> int:
        """How far the target is, as far as this follower knows."""
        return self._reached.get(domain, 0)

    def position(self, domain: str) -> int:
        """How far the target is, whoever brought it there."""
        there = _position(self._target.read(domain, FOLLOW, key(self._name))[1])
        return max(self.reached(domain), there.at if there is not None else 0)

    # -- inside ------------------------------------------------------------------------------------
    def _begin(self, domain: str) -> int:
        """Where to go on, once it is sure that it is this source that was followed."""
        there = _position(self._target.read(domain, FOLLOW, key(self._name))[1])
        if there is None:
            return 0
        if there.source == self._source_id() and there.at <= self._source.last(domain):
            by = None if there.proof is None else self._source.transaction(domain, there.proof[0])
            if there.proof is None or (by is not None and by.time == there.proof[1]):
                return there.at
        self._remove_strays(domain)
        edit = Edit(self._target, domain)
        self._write(edit, edit.read(FOLLOW, key(self._name)), 0, None, [])
        return 0

    def _step(self, domain: str) -> int:
        """One batch of the log; gives how far the target is now."""
        edit = Edit(self._target, domain)
        before = edit.read(FOLLOW, key(self._name))
        there = _position(before)
        at = max(self._reached[domain], there.at if there is not None else 0)
        last = self._source.last(domain)
        lines = self._source.changes(domain, at, BATCH)
        to = lines[-1].txn if len(lines) >= BATCH else max(last, lines[-1].txn if lines else 0)
        ours = [line for line in lines if self._follows(line.model)]
        found = (self._change(edit, model, uuid, to) for model, uuid in sorted({line[1:3] for line in ours}))
        changes = [change for change in found if change is not None]
        if changes or to - at >= BATCH:  # else it costs less to look again than to write that it was looked at
            by = self._source.transaction(domain, ours[-1].txn) if ours else None
            proof = (ours[-1].txn, by.time) if by is not None else there.proof if there is not None else None
            self._write(edit, before, to, proof, changes)
        return to

    def _change(self, edit: Edit, model: str, uuid: bytes, at: int) -> Change | None:
        """What makes the target's record what the source's was at *at*; None where it is that."""
        try:
            _, version = self._source.read(edit.domain, model, uuid, at)
        except exc.HistoryGone:  # it was changed again, and of its model no history is kept
            _, version = self._source.read(edit.domain, model, uuid)
        before = edit.read(model, uuid)
        version = alive(version)
        if version is None:
            return None if alive(before) is None or before is None else drop(model, before, keep=0)
        if before is not None and before.fields == version.fields:
            return None
        change, index = put(model, uuid, before, version.fields, keep=0), self.indexes.get(model)
        if index is None:
            return change
        fields: Mapping[str, Any] = decode_fields(version.fields)
        if index.computed and index.compute is not None:
            try:
                fields = {**fields, **index.compute(uuid, fields)}
            except Exception:  # the program's own: the copy's index has to be built again, and says so
                return change
        return change._replace(index=index, values={name: fields.get(name) for name, _ in index.columns})

    def _write(
        self, edit: Edit, before: Version | None, at: int, proof: tuple[int, float] | None, changes: list[Change]
    ) -> None:
        fields = msgspec.json.encode(_Position(self._name, self._source_id(), at, proof)).decode()
        edit.commit(own(edit.domain), [*changes, put(FOLLOW, key(self._name), before, fields, keep=0)])

    def _remove_strays(self, domain: str) -> None:
        """Removes from the target what the source does not have."""
        after = 0
        while lines := self._target.changes(domain, after, BATCH):
            after = lines[-1].txn
            edit = Edit(self._target, domain)
            strays = [
                drop(line.model, there, keep=0)
                for line in lines
                if self._follows(line.model)
                and alive(self._source.read(domain, line.model, line.uuid)[1]) is None
                and (there := alive(edit.read(line.model, line.uuid))) is not None
            ]
            if strays:
                edit.commit(own(domain), strays)

    def _follows(self, model: str) -> bool:
        return not model.startswith(OWN) if self._models is None else model in self._models

    def _source_id(self) -> str:
        self._id = self._id or Settings(self._source).database_id
        return self._id


def _position(version: Version | None) -> _Position | None:
    there = alive(version)
    return None if there is None else _decode(there.fields)
