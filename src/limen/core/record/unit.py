"""The unit of work: reads, and writes that are kept back until all of them can be done at once.

Invariants, besides those of `reader.py`:

- Nothing reaches the store before `commit`; then all of it does, as one transaction, or nothing.
- A change is made from a version. If that is not the newest at commit, nothing is written: RecordVersionMismatch.
- What was read must not have been changed at commit, else nothing is written: TransactionConflict. So units behave as
  if one had been run after the other. A unit that writes nothing has seen one moment, and is never refused.
- Hooks and predicates run before the store is asked to commit, never while it holds a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn, TypeAlias
from uuid import UUID

from limen import exc

from . import errors
from .arguments import uuid_bytes, whole
from .identity import CHANGED, ERASED, GONE, NEW, REVIVED, SEEN, IdentityMap, Snapshot
from .past import Frozen
from .port import DELETE, ERASE, PUT, REVIVE, Change, Conflict, Keep, Reads, RecordStore, Stale, Transaction
from .reader import ModelRegistry, Reader
from .record import Record, encode_fields
from .savepoint import Savepoint
from .undo import undo

Who: TypeAlias = tuple[str, str | None, str | None, str, str, str]
"""The first six of a Transaction: domain, user, impersonator, service, origin, reason."""
_KINDS = {GONE: DELETE, ERASED: ERASE, REVIVED: REVIVE}


class Work(NamedTuple):
    """What is to be committed: the arguments of `RecordStore.commit`, and whose records the changes are."""

    store: RecordStore
    who: Transaction
    changes: list[Change]
    reads: Reads | None
    records: list[Record]


class Unit(Reader):
    """*registry*: finds models and stores. *who*: writes, and why. *uuid*: makes the 16 bytes of a new record's UUID.
    *clock*: seconds since 1970, asked at commit."""

    __slots__ = ("_clock", "_new_uuid", "_spoilt", "_who")

    def __init__(
        self, registry: ModelRegistry, who: Who, uuid: Callable[[], bytes], clock: Callable[[], float]
    ) -> None:
        super().__init__(registry, who[0])
        self._who, self._new_uuid, self._clock = who, uuid, clock
        self._spoilt: BaseException | None = None

    # -- writing -----------------------------------------------------------------------------------
    def insert(self, model: type, /, **fields: Any) -> Record:
        """A new record: what the model's `initialize` gives it, then *fields*. Stored when the unit ends."""
        loaded = self._map(model)
        key = self._new_uuid()
        record = Record(loaded.model, key, 0, 0, "", {})
        loaded.model.begin(record)
        if fields:
            record.update(**fields)
        loaded.records[key] = record
        loaded.states[key] = NEW
        return record

    def update(self, what: Record | type, /, *which: Any, **fields: Any) -> Record:
        """`update(record, **fields)` or `update(model, id, vsn, **fields)`: a new version, also where nothing is
        different.

        A record may be one of an earlier unit. Raises RecordVersionMismatch where the version is not the newest.
        """
        record, loaded = self._which("update", what, which, fields)
        record.update(fields)
        if loaded.states[record._key] < NEW:
            loaded.states[record._key] = CHANGED
        return record

    def delete(self, what: Record | type, /, *which: Any) -> Record:
        """`delete(record)` or `delete(model, id, vsn)`. The versions before stay in the history."""
        record, loaded = self._which("delete", what, which, None)
        loaded.states[record._key] = GONE
        return record

    def forget(self, model: type, uuid: UUID | str) -> None:
        """Erases a record for ever, where the law asks for it: when the unit ends it is deleted, and the contents of
        all its versions are taken away. That there was one, and who wrote when, stays. A record that was deleted before
        can be forgotten, too. Raises RecordNotFound where there never was one."""
        loaded, key = self._map(model), uuid_bytes(uuid)
        if key is not None and key not in loaded.records:
            version = self._version(loaded, key)
            if version is not None and not version.erased:
                self._see(loaded, version, GONE if version.deleted else SEEN)
        if key is None or key not in loaded.records:
            raise errors.not_found(loaded.model, uuid)
        loaded.states[key] = ERASED

    def undo(self, txn: int, model: type | None = None) -> list[Record]:
        """Takes back what transaction *txn* has done, as a part of this one: what it inserted is deleted, what it
        deleted is there again, and of what it changed the fields that it changed are what they were before. Gives these
        records.

        What others changed later in other fields stays. Where a record was changed later in the same fields, or was
        deleted or erased, UndoRefused names it, and nothing is taken back. What is no longer kept, and what was written
        to models with keep=0, is not taken back; HistoryGone where that is all. *model*: any model of the store that
        *txn* was in, where a program keeps records in several.
        """
        store = self._registry.find(model)[1] if model is not None else self._registry.main()
        return undo(self, self._snapshot(store), whole(txn, "A transaction's number"))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """`with db.savepoint():` What was done to records of this unit inside the block is undone where the block
        raises; the exception goes on. What was read there still counts as read."""
        self._open_still()
        before = Savepoint(self._maps)
        spoilt = self._spoilt
        try:
            yield
        except BaseException:
            before.restore(self._maps)
            self._spoilt = spoilt
            raise

    # -- the end -----------------------------------------------------------------------------------
    def commit(self) -> int | None:
        """Checks and writes everything; gives the transaction's number, None where there was nothing to write.

        Raises RecordValidationError, RecordVersionMismatch, TransactionConflict or InvalidValue; then nothing was
        written, and the unit is over. OutcomeUnknown: the store can't find out.
        """
        work = self.prepare()
        if work is None:
            return None
        try:
            txn = work.store.commit(work.who, work.changes, work.reads)
        except (Stale, Conflict) as refused:
            self.refused(work, refused)
        self.done(work, txn)
        return txn

    def prepare(self) -> Work | None:
        """What is to be committed, None where that is nothing. The unit is over."""
        self._open_still()
        self._open = False
        if self._spoilt is not None:
            raise exc.StoreError("A unit of work inside this one failed: nothing was written.") from self._spoilt
        changes: list[Change] = []
        records: list[Record] = []
        snapshot: Snapshot | None = None
        for loaded in dict.fromkeys(self._maps.values()):
            states, before = loaded.states, len(changes)
            for key, record in loaded.records.items():
                change = _change(loaded, record, states[key])
                if change is not None:
                    states[key] = CHANGED
                    changes.append(change)
                    records.append(record)
            if len(changes) > before:
                if snapshot is not None and snapshot is not loaded.snapshot:
                    raise exc.StoreError(
                        "One unit of work can't write to two stores: it would not be all or nothing. "
                        "Use one unit for each."
                    )
                snapshot = loaded.snapshot
        if snapshot is None:
            return None
        now = int(self._clock() * 1e6) / 1e6  # microseconds, as a datetime has them
        return Work(snapshot.store, Transaction(*self._who, now), changes, self._reads(snapshot), records)

    def done(self, work: Work, txn: int) -> None:
        """*work* is written, as transaction *txn*."""
        for record, change in zip(work.records, work.changes, strict=True):
            gone = change.kind == DELETE or change.kind == ERASE
            record._was_stored(change.base + 1, txn, change.fields, gone)

    def refused(self, work: Work, refused: Stale | Conflict) -> NoReturn:
        """Says why the store did not take *work*."""
        if isinstance(refused, Conflict):
            keys = work.reads.keys if work.reads is not None else ()
            raise errors.conflict(refused, keys) from None
        change = refused.change
        record = next(record for record, of in zip(work.records, work.changes, strict=True) if of is change)
        if refused.newest is None:
            raise errors.not_found(record._about, record._uuid) from None
        loaded = self._maps.get(record._model)
        if loaded is not None and not refused.newest.erased and not loaded.shows(refused.newest):
            raise errors.not_found(record._about, record._uuid) from None  # it was hidden from the caller meanwhile
        yours = None if change.deleted else change.fields
        raise errors.mismatch(record._about, change.uuid, change.base, refused.newest, refused.by, yours) from None

    def discard(self) -> None:
        """Ends the unit; nothing is written."""
        self._open = False

    def spoil(self, error: BaseException) -> None:
        """A unit inside this one failed: what it did can't be told from the rest, so none of it may be written."""
        self._spoilt = self._spoilt or error

    # -- inside ------------------------------------------------------------------------------------
    def _reads(self, snapshot: Snapshot) -> Reads | None:
        """What must still be so in the store that is written to. What is written is looked at anyway."""
        if snapshot.at is None:
            return None
        keys: set[tuple[str, bytes]] = set()
        models = {}
        found: set[tuple[str, bytes]] = set()
        for loaded in self._maps.values():
            if loaded.snapshot is not snapshot:
                continue
            name = loaded.model.name
            keys.update((name, key) for key, state in loaded.states.items() if state == SEEN)
            if loaded.keys is not None:
                keys.update((name, key) for key in loaded.keys)
            if loaded.searched is not None:
                models[name] = loaded.searched
            if loaded.found is not None:
                found.update((name, key) for key in loaded.found if loaded.states.get(key, SEEN) < NEW)
        return Reads(snapshot.at, keys, models, frozenset(found)) if keys or models or found else None

    def _which(
        self, verb: str, what: Record | type, which: tuple[Any, ...], fields: dict[str, Any] | None
    ) -> tuple[Record, IdentityMap]:
        """The record that the arguments of update and delete mean."""
        if not isinstance(what, Record):
            if len(which) != 2:
                raise TypeError(f"{verb}() takes a record, or a model, id and vsn (these three by position)")
            loaded = self._map(what)
            return self._fetch(loaded, which[0], whole(which[1]), None, None, fields), loaded
        if which:
            raise TypeError(f"{verb}() takes a record, or a model, id and vsn")
        if isinstance(what, Frozen):
            what._refuse()
        loaded, key = self._map(what._model), what._key
        known = loaded.records.get(key)
        if known is None:
            if not what._vsn:
                raise exc.RecordNotFound(f"This {loaded.model.name} was never stored.", model=loaded.model.name)
            loaded.records[key] = known = what
            loaded.states[key] = CHANGED
        if loaded.states[key] >= GONE:
            raise errors.not_found(what._about, what._uuid)
        if known is not what:
            raise exc.StoreError(
                f"This unit of work has another object for {loaded.model.name} {what._uuid}; change that one."
            )
        return what, loaded


def _change(loaded: IdentityMap, record: Record, state: int) -> Change | None:
    """What is to be written of a record; None: nothing."""
    model = loaded.model
    keep: Keep = model.keep
    if state >= GONE:
        if not record._vsn:
            return None  # it was never stored: nothing is left to say
        return Change(
            model.name, record._key, record._vsn, record._stored, _KINDS[state], model.index_definition, None, keep
        )
    if state < NEW and record._unstored() is None:
        return None
    index, values = model.check(record)
    kind = REVIVE if state == REVIVED else PUT
    return Change(model.name, record._key, record._vsn, encode_fields(record._fields), kind, index, values, keep)
