"""The unit of work: reads, and writes that are kept back until all of them can be done at once.

Invariants:

- Nothing reaches the store before `commit`; then all of it does, as one transaction, or nothing.
- One record is one object in a unit: fetching it twice gives the same, with what was changed meanwhile.
- A change is made from a version. If that is not the newest at commit, nothing is written: RecordVersionMismatch.
- Every read and write carries the unit's domain; there is no way to name another.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from limen import exc

from .model import Model
from .port import Change, RecordStore, Stale, Transaction, Version
from .record import Record, decode_fields, encode_fields

T = TypeVar("T")
Fail = Any
"""What becomes of a fetch that finds nothing: an exception (class or instance) is raised, a callable called, anything
else returned; None raises RecordNotFound."""
_Predicate = Callable[[Record], Any]
_NEW, _SEEN, _CHANGED, _GONE = range(4)


class Unit:
    """*find*: gives the Model and the store of a class (or raises). *who*: the transaction, but for number and time.
    *uuid*: makes the UUID of a new record. *clock*: seconds since 1970, asked at commit."""

    def __init__(
        self,
        find: Callable[[type], tuple[Model, RecordStore]],
        who: Transaction,
        uuid: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._find, self._who, self._new_uuid, self._clock = find, who, uuid, clock
        self._records: dict[tuple[str, bytes], tuple[Record, RecordStore]] = {}
        self._states: dict[tuple[str, bytes], int] = {}
        self._open = True
        self._spoilt: BaseException | None = None

    # -- reading -----------------------------------------------------------------------------------
    def fetch(
        self,
        model: type,
        uuid: UUID | str,
        vsn: int | None = None,
        fail: Fail = None,
        acl: _Predicate | None = None,
    ) -> Any:
        """The record of that *uuid* (as UUID or text).

        *vsn*: the version that the caller has seen; where it is not the newest, RecordVersionMismatch is raised.
        *acl*: where `acl(record)` is falsy it is as if there were no such record. *fail*: what becomes of that: an
        exception (class or instance) is raised, a callable called, anything else returned; None raises
        RecordNotFound.
        """
        about, store = self._at(model)
        key = _key(uuid)
        record = self._load(about, store, key) if key is not None else None
        if record is None and vsn is not None and key is not None:
            self._say_if_deleted(about, store, key, _vsn(vsn), acl)
        if record is None or (acl is not None and not acl(record)):
            return _failed(fail, about, uuid)
        if vsn is not None and _vsn(vsn) != record._vsn:
            newest = store.newest(self._who.domain, about.name, record._key)
            raise self._mismatch(about, record._key, vsn, newest, store)
        return record

    def select(self, model: type, predicate: _Predicate | None = None, acl: _Predicate | None = None) -> list[Record]:
        """All records of *model* for which *predicate* (and *acl*) is true, in the order in which they were made.

        What this unit has inserted, changed and deleted counts.
        """
        about, store = self._at(model)
        found = {}
        for version in store.all(self._who.domain, about.name):
            known = self._records.get((about.name, version.uuid))
            if known is None:
                found[version.uuid] = self._see(about, store, version)
            elif self._states[about.name, version.uuid] != _GONE:
                found[version.uuid] = known[0]
        for (name, uuid), (record, _) in self._records.items():
            if name == about.name and self._states[name, uuid] in (_NEW, _CHANGED):
                found[uuid] = record
        records = [found[uuid] for uuid in sorted(found)]
        return [r for r in records if (predicate is None or predicate(r)) and (acl is None or acl(r))]

    def select_one(
        self, model: type, predicate: _Predicate | None = None, fail: Fail = None, acl: _Predicate | None = None
    ) -> Any:
        """The first of `select`; where there is none, *fail* as for `fetch`."""
        for record in self.select(model, predicate, acl):
            return record
        return _failed(fail, self._at(model)[0], None)

    # -- writing -----------------------------------------------------------------------------------
    def insert(self, model: type, /, **fields: Any) -> Record:
        """A new record: what the model's `initialize` gives it, then *fields*. Stored when the unit ends."""
        about, store = self._at(model)
        record = Record(about, self._new_uuid().bytes)
        if about.initialize is not None:
            about.initialize(record)
        record.update(fields)
        self._keep(record, store, _NEW)
        return record

    def update(self, what: Record | type, /, *which: Any, **fields: Any) -> Record:
        """`update(record, **fields)` or `update(model, id, vsn, **fields)`: a new version, also where nothing is
        different.

        A record may be one of an earlier unit. Raises RecordVersionMismatch where the version is not the newest.
        """
        record = self._which("update", what, which)
        record.update(fields)
        if self._states[record._about.name, record._key] == _SEEN:
            self._states[record._about.name, record._key] = _CHANGED
        return record

    def delete(self, what: Record | type, /, *which: Any) -> Record:
        """`delete(record)` or `delete(model, id, vsn)`. The versions before stay in the store's history."""
        record = self._which("delete", what, which)
        name = record._about.name, record._key
        if self._states[name] == _NEW:
            del self._records[name]  # it was never stored: nothing is left to say
        self._states[name] = _GONE
        return record

    # -- the end -----------------------------------------------------------------------------------
    def commit(self) -> int | None:
        """Checks and writes everything; gives the transaction's number, None where there was nothing to write.

        Raises RecordValidationError, RecordVersionMismatch or InvalidValue; then nothing was written, and the unit
        is over.
        """
        self._open_still()
        self._open = False
        if self._spoilt is not None:
            raise exc.StoreError("A unit of work inside this one failed: nothing was written.") from self._spoilt
        changed: list[tuple[Record, Change]] = []
        stores: list[RecordStore] = []
        for name, (record, store) in self._records.items():
            change = self._change(record, self._states[name])
            if change is not None:
                changed.append((record, change))
                if all(store is not other for other in stores):
                    stores.append(store)
        if not changed:
            return None
        if len(stores) > 1:
            raise exc.StoreError(
                "One unit of work can't write to two stores: it would not be all or nothing. Use one unit for each."
            )
        try:
            txn = stores[0].commit(self._who._replace(time=self._clock()), [change for _, change in changed])
        except Stale as stale:
            about = next(record._about for record, change in changed if change is stale.change)
            change = stale.change
            raise self._mismatch(about, change.uuid, change.base, stale.newest, stores[0], stale.by) from None
        for record, change in changed:
            record._was_stored(change.base + 1, txn, change.fields)
        return txn

    def discard(self) -> None:
        """Ends the unit; nothing is written."""
        self._open = False

    def spoil(self, error: BaseException) -> None:
        """A unit inside this one failed: what it did can't be told from the rest, so none of it may be written."""
        self._spoilt = self._spoilt or error

    @property
    def is_open(self) -> bool:
        return self._open

    # -- inside ------------------------------------------------------------------------------------
    def _open_still(self) -> None:
        if not self._open:
            raise exc.StoreError("This unit of work is over; begin another: with storage() as db: …")

    def _at(self, model: type) -> tuple[Model, RecordStore]:
        self._open_still()
        return self._find(model)

    def _keep(self, record: Record, store: RecordStore, state: int) -> None:
        self._records[record._about.name, record._key] = record, store
        self._states[record._about.name, record._key] = state

    def _see(self, about: Model, store: RecordStore, version: Version) -> Record:
        record = Record(about, version.uuid, version.vsn, version.txn, version.fields)
        self._keep(record, store, _SEEN)
        return record

    def _load(self, about: Model, store: RecordStore, key: bytes) -> Record | None:
        known = self._records.get((about.name, key))
        if known is not None or (about.name, key) in self._states:
            return known[0] if known is not None and self._states[about.name, key] != _GONE else None
        version = store.newest(self._who.domain, about.name, key)
        return None if version is None or version.deleted else self._see(about, store, version)

    def _which(self, verb: str, what: Record | type, which: tuple[Any, ...]) -> Record:
        """The record that the arguments of update and delete mean."""
        if not isinstance(what, Record):
            if len(which) != 2:
                raise TypeError(f"{verb}() takes a record, or a model, id and vsn (these three by position)")
            found: Record = self.fetch(what, which[0], _vsn(which[1]))
            return found
        if which:
            raise TypeError(f"{verb}() takes a record, or a model, id and vsn")
        _, store = self._at(what._model)
        name = what._about.name, what._key
        if name not in self._states:
            if not what._vsn:
                raise exc.RecordNotFound(f"This {name[0]} was never stored.", model=name[0])
            self._keep(what, store, _SEEN)
        known = self._records.get(name)
        if known is None or self._states[name] == _GONE:
            raise _not_found(what._about, what._uuid)
        if known[0] is not what:
            raise exc.StoreError(f"This unit of work has another object for {name[0]} {what._uuid}; change that one.")
        return what

    def _change(self, record: Record, state: int) -> Change | None:
        about = record._about
        if state == _GONE:
            return Change(about.name, record._key, record._vsn, record._stored, True) if record._vsn else None
        if state == _SEEN and not record._dirty():
            return None
        about.check(record)
        return Change(about.name, record._key, record._vsn, encode_fields(record._fields), False)

    def _say_if_deleted(self, about: Model, store: RecordStore, key: bytes, vsn: int, acl: _Predicate | None) -> None:
        """Who has seen a record that is deleted by now is told so, rather than that there never was one."""
        version = store.newest(self._who.domain, about.name, key)
        if version is None or not version.deleted or version.vsn == vsn or (about.name, key) in self._states:
            return
        if acl is None or acl(Record(about, key, version.vsn, version.txn, version.fields)):
            raise self._mismatch(about, key, vsn, version, store)

    def _mismatch(
        self,
        about: Model,
        key: bytes,
        vsn: int,
        newest: Version | None,
        store: RecordStore,
        by: Transaction | None = None,
    ) -> exc.Error:
        """What the caller should know of the version that is in the way."""
        id = str(UUID(bytes=key))
        if newest is None:
            return _not_found(about, id)
        by = by or store.transaction(newest.txn)
        who = (by.user if by is not None else None) or "someone"
        done = "deleted" if newest.deleted else "changed"
        theirs = None if newest.deleted else decode_fields(newest.fields)
        return exc.RecordVersionMismatch(
            f"{who} {done} this {about.name} meanwhile: you have version {vsn}, the newest is {newest.vsn}.",
            model=about.name,
            id=id,
            vsn=vsn,
            newest=newest.vsn,
            deleted=newest.deleted,
            fields=theirs,
            user=by.user if by is not None else None,
            when=datetime.fromtimestamp(by.time, UTC).isoformat(timespec="milliseconds") if by is not None else None,
        )


def _key(uuid: UUID | str | Any) -> bytes | None:
    """The bytes of a UUID; None for what is none, which no record can have."""
    if isinstance(uuid, UUID):
        return uuid.bytes
    try:
        return UUID(uuid).bytes
    except (ValueError, TypeError, AttributeError):
        return None


def _vsn(vsn: Any) -> int:
    if type(vsn) is not int:
        raise exc.InvalidValue(f"A version is a whole number, not {type(vsn).__name__}.")
    return vsn


def _not_found(about: Model, uuid: object) -> exc.RecordNotFound:
    if uuid is None:
        return exc.RecordNotFound(f"There is no such {about.name}.", model=about.name)
    return exc.RecordNotFound(f"There is no {about.name} {str(uuid)[:64]!r}.", model=about.name, id=str(uuid)[:64])


def _failed(fail: Fail, about: Model, uuid: object) -> Any:
    if fail is None:
        raise _not_found(about, uuid)
    if isinstance(fail, BaseException) or (isinstance(fail, type) and issubclass(fail, BaseException)):
        raise fail
    return fail() if callable(fail) else fail
