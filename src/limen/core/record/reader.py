"""The questions that a unit of work can be asked.

- All of it is read as of one transaction of the domain, the snapshot: what others commit meanwhile is not seen.
- One record is one object: fetching it twice gives the same, with what was changed meanwhile.
- What this unit has changed counts: the store's answers are overlaid with it.
- What is read is recorded, for the store to look at commit whether it is still so.
- Every read carries the unit's domain; there is no way to name another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, Protocol
from uuid import UUID

from limen import exc

from . import past, query
from .arguments import Fail, Moment, Predicate, Where, checked_moment, split, uuid_bytes, whole
from .errors import failed, mismatch, no_snapshot
from .expression import And, Expression, field
from .identity import FOUND, GONE, SEEN, IdentityMap, Snapshot, rows, seen_rows
from .model import Model
from .past import Frozen, Past, Written
from .port import RecordStore, See, Version
from .query import Cursor, Order, Page, Query
from .record import Record, decode_fields, encode_fields

_MOST = 10_000
"""So many records are asked for at once at most, where a page must be filtered in Python."""


class ModelRegistry(Protocol):
    """Where a unit finds models and their stores."""

    def find(self, cls: type) -> tuple[Model, RecordStore]:
        """Raises StoreError for a class that is not known."""
        ...

    def named(self, name: str) -> tuple[Model, RecordStore]:
        """By the name that the store calls it. Raises StoreError where there is none of that name."""
        ...

    def main(self) -> RecordStore:
        """The store of models for which no other was said."""
        ...


class Plan(NamedTuple):
    """How a select is answered. *text*: in words. *in_database*: by the database itself; otherwise all records of the
    model are looked at in Python."""

    text: str
    in_database: bool

    def __str__(self) -> str:
        return self.text


class Reader:
    """The reading half of a unit of work in *domain*."""

    __slots__ = ("_domain", "_maps", "_open", "_registry", "_snapshots")

    def __init__(self, registry: ModelRegistry, domain: str) -> None:
        self._registry, self._domain = registry, domain
        self._maps: dict[type, IdentityMap] = {}
        self._snapshots: list[Snapshot] = []
        self._open = True

    # -- one record --------------------------------------------------------------------------------
    def fetch(
        self,
        model: type,
        uuid: UUID | str,
        vsn: int | None = None,
        txn: int | None = None,
        acl: Predicate | None = None,
        fail: Fail = None,
    ) -> Any:
        """The record of that *uuid* (as UUID or text).

        *vsn*: the version that the caller has seen; where it is not the newest, RecordVersionMismatch is raised. *txn*:
        the record as it was after that transaction, which can't be changed. *acl*: where `acl(record)` is falsy it is
        as if there were no such record. *fail*: what becomes of that: an exception (class or instance) is raised, a
        callable called, anything else returned; None raises RecordNotFound (to get None: `fail=lambda: None`).
        """
        if txn is not None:
            return self.as_of(whole(txn, "A transaction's number")).fetch(model, uuid, vsn, None, acl, fail)
        return self._fetch(self._map(model), uuid, vsn, acl, fail, None)

    def history(self, model: type, uuid: UUID | str, *, after: int = 0, limit: int | None = None) -> list[Past]:
        """The versions of a record that are kept, the oldest first, deletions too; empty where there never was one.
        What this unit has not yet written is not among them.

        *after*: only versions greater than this one. *limit*: at most so many.
        """
        loaded, key = self._map(model), uuid_bytes(uuid)
        limit = query.checked_limit(limit)
        if key is None:
            return []
        at = self._now(loaded.snapshot)
        loaded.note_key(key)
        before = max(whole(after) - 1, 0)  # with the version before, to tell what the first one has changed
        most = None if limit is None else limit + 1
        found = loaded.snapshot.store.history(self._domain, loaded.model.name, key, after=before, limit=most)
        told = past.line(loaded.model, [row for row in found if row[0].txn <= at])
        return [version for version in told if version._vsn > after][:limit]

    def diff(self, a: Record, b: Record) -> dict[str, tuple[Any, Any]]:
        """The fields in which two records are different: by name the value in *a* and that in *b*, None for one that is
        not there."""
        return past.diff(a, b)

    def as_of(self, moment: Moment) -> Reader:
        """A read-only unit on the past, with the same questions: all as it was after a transaction, its own writes
        included.

        *moment*: an aware datetime or a float (seconds since 1970), for the last transaction that was not later; or
        an int, the number of a transaction (`record._txn`). Reading before what is kept raises HistoryGone; so far as
        a model keeps no history it has no past.
        """
        self._open_still()
        return PastReader(self._registry, self._domain, checked_moment(moment))

    @property
    def txn(self) -> int:
        """The number of the transaction as of which everything is read here, fixed by the first read; 0 before the
        domain's first. That of the main store, where a program keeps models in several. (A property here; in
        coroutines, where it may have to ask the database, a method: `await db.txn()`.)"""
        self._open_still()
        return self._now(self._snapshot(self._registry.main()))

    def transaction(self, number: int, model: type | None = None) -> Written | None:
        """Who wrote what has that `_txn`, when and why; None where there is none, or it is not kept. *model*: any model
        of the store that is meant, where a program keeps records in several."""
        self._open_still()
        store = self._registry.main() if model is None else self._registry.find(model)[1]
        by = store.transaction(self._domain, whole(number, "A transaction's number"))
        return None if by is None else past.written(by)

    # -- many records ------------------------------------------------------------------------------
    def select(
        self,
        model: type,
        where: Where = None,
        *,
        acl: Predicate | None = None,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[Any]:
        """The records of *model* for which *where* (and *acl*) is true, what this unit has inserted, changed and
        deleted included.

        *where*: an expression (`(Todo.done == False) & Todo.text.contains("milk")`), which the database can answer, or
        a function of the record, for which all of them are looked at. *order_by*: a field, `field.asc()`,
        `field.desc()` or a list of these; otherwise in the order in which they were made. *limit*: at most so many;
        then `.cursor` of the result is the place where the next page begins, None if there is none: give it as *after*.
        """
        loaded = self._map(model)
        order = query.ordering(order_by)
        place = None if after is None else query.read_cursor(after, order)
        condition, test = split(where, acl)
        loaded.note_search(condition)
        page = self._page(loaded, condition, test, order, query.checked_limit(limit), place)
        if acl is not None:
            loaded.acls.update((record._key, acl) for record in page)
        return page

    def select_one(
        self, model: type, where: Where = None, *, fail: Fail = None, acl: Predicate | None = None, order_by: Any = None
    ) -> Any:
        """The first of `select`; where there is none, *fail* as for `fetch`."""
        for record in self.select(model, where, acl=acl, order_by=order_by, limit=1):
            return record
        return failed(fail, self._map(model).model, None)

    def find(
        self,
        model: type,
        /,
        *,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
        **equal: Any,
    ) -> Page[Any]:
        """`select` by equality: `db.find(Todo, done=False, owner="ada")`."""
        parts = tuple(field(name) == value for name, value in equal.items())
        where = And(parts) if len(parts) > 1 else parts[0] if parts else None
        return self.select(model, where, order_by=order_by, limit=limit, after=after)

    def count(self, model: type, where: Where = None, *, cap: int = 10_000) -> int:
        """How many records `select` would give; where there are *cap* or more, *cap*: counting ends there."""
        loaded = self._map(model)
        cap = query.checked_limit(cap) or whole(cap, "cap")
        condition, test = split(where, None)
        loaded.note_search(condition)
        if test is None and loaded.model.keep != 0 and not loaded.own():
            snapshot = loaded.snapshot
            question = _question(loaded, condition, (), cap, None)
            counted = self._ask(loaded, lambda: snapshot.store.count(self._domain, question, snapshot.at))
            if counted is not None:
                snapshot.at = counted[0]
                return int(counted[1])
        return len(self._page(loaded, condition, test, (), cap, None))

    def explain(
        self,
        model: type,
        where: Where = None,
        *,
        acl: Predicate | None = None,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Plan:
        """How `select` with these arguments is answered: in the database, by which index, or in Python, and why. Not
        all of it is asked for that, and nothing else comes of it."""
        loaded = self._map(model)
        order = query.ordering(order_by)
        place = None if after is None else query.read_cursor(after, order)
        condition, test = split(where, acl)
        question = replace(_question(loaded, condition, order, query.checked_limit(limit), place), explain=True)
        answer = self._ask(loaded, lambda: loaded.snapshot.store.select(self._domain, question, loaded.snapshot.at))
        asked = "" if test is None else "; what it gives is looked at by a function, in Python"
        index = loaded.model.index_definition
        if index is not None and (computed := sorted(index.computed & query.names(condition, order))):
            asked = f"; {', '.join(computed)}: what index() computes{asked}"
        return Plan(answer.how + asked, not answer.complete and test is None)

    # -- inside ------------------------------------------------------------------------------------
    @property
    def is_open(self) -> bool:
        return self._open

    def _open_still(self) -> None:
        if not self._open:
            raise exc.StoreError("This unit of work is over; begin another: with storage() as db: …")

    def _map(self, model: type) -> IdentityMap:
        try:
            loaded = self._maps.get(model) if self._open else None
        except TypeError:  # an instance that can't be hashed
            loaded = None
        return loaded if loaded is not None else self._new_map(model)

    def _new_map(self, model: type) -> IdentityMap:
        self._open_still()
        if not isinstance(model, (type, str)):
            name = type(model).__name__
            raise TypeError(
                f"a model is a class, not a {name} object; give its fields by name: insert({name}, field=…)"
            )
        about, store = self._registry.find(model)
        for loaded in self._maps.values():
            if loaded.model.name == about.name and loaded.snapshot.store is store:  # a class that was loaded anew
                break
        else:
            loaded = IdentityMap(about, self._snapshot(store))
        self._maps[model] = loaded
        return loaded

    def _snapshot(self, store: RecordStore) -> Snapshot:
        for snapshot in self._snapshots:
            if snapshot.store is store:
                return snapshot
        snapshot = Snapshot(store, self._begin(store))
        self._snapshots.append(snapshot)
        return snapshot

    def _begin(self, store: RecordStore) -> int | None:
        """As of which transaction *store* is read; None: of the last one at the first read."""
        return None

    def _now(self, snapshot: Snapshot) -> int:
        if snapshot.at is None:
            snapshot.at = snapshot.store.last(self._domain)
        return snapshot.at

    def _ask(self, loaded: IdentityMap, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except exc.HistoryGone as gone:
            raise self._gone(loaded, gone) from None

    def _gone(self, loaded: IdentityMap, gone: exc.HistoryGone) -> exc.Error:
        """What is raised where a model was changed after the snapshot and keeps no history."""
        return no_snapshot(loaded.model)

    def _version(self, loaded: IdentityMap, key: bytes) -> Version | None:
        snapshot = loaded.snapshot
        if snapshot.at is None:
            snapshot.at, version = snapshot.store.read(self._domain, loaded.model.name, key)
        else:
            try:
                version = snapshot.store.read(self._domain, loaded.model.name, key, snapshot.at)[1]
            except exc.HistoryGone as gone:
                raise self._gone(loaded, gone) from None
        return version

    def _fetch(
        self,
        loaded: IdentityMap,
        uuid: UUID | str,
        vsn: int | None,
        acl: Predicate | None,
        fail: Fail,
        fields: dict[str, Any] | None,
    ) -> Any:
        """*fields*: what the caller wants to set in the version that they have seen."""
        key = uuid_bytes(uuid)
        record = self._load(loaded, key) if key is not None else None
        if record is None and vsn is not None and key is not None:
            self._say_if_deleted(loaded, key, whole(vsn), acl, fields)
        if record is None or (acl is not None and not acl(record)):
            return failed(fail, loaded.model, uuid)
        if acl is not None:
            loaded.acls[record._key] = acl
        if vsn is not None and whole(vsn) != record._vsn:
            newest = Version(record._key, record._vsn, record._txn, record._stored, False)
            self._mismatch(loaded, vsn, newest, fields)
        return record

    def _load(self, loaded: IdentityMap, key: bytes) -> Record | None:
        record = loaded.records.get(key)
        if record is not None:
            return record if loaded.states[key] < GONE else None
        version = self._version(loaded, key)
        if version is None or version.deleted:
            loaded.note_key(key)
            return None
        if loaded.model.keep == 0:
            loaded.note_found(key)
        return self._see(loaded, version, SEEN)

    def _see(self, loaded: IdentityMap, version: Version, state: int, fields: dict[str, Any] | None = None) -> Record:
        """The record of a version, which is not at hand yet."""
        key, vsn, txn, stored, _, _ = version
        record = loaded.records[key] = Record(loaded.model, key, vsn, txn, stored, fields)
        loaded.states[key] = state
        return record

    def _page(
        self,
        loaded: IdentityMap,
        where: Expression | None,
        test: Predicate | None,
        order: Sequence[Order],
        limit: int | None,
        place: Cursor | None,
    ) -> Page[Any]:
        snapshot = loaded.snapshot
        see = loaded.model.see(query.names(where, order))
        row = rows if see is None else seen_rows(see)
        own = loaded.own() if loaded.records else {}
        mine = [
            record
            for record in own.values()
            if record is not None
            and (where is None or where.matches(row(record)[0]))
            and (test is None or test(record))
        ]
        found: list[Record] = []
        ask = None if limit is None else limit + len(own) + 1
        question = _question(loaded, where, order, ask, place)
        while True:
            answer = self._ask(loaded, lambda: snapshot.store.select(self._domain, question, snapshot.at))  # noqa: B023 used at once
            snapshot.at = answer.at
            versions = answer.versions
            for version in versions:
                record = self._candidate(loaded, version, where, see, own)
                if record is not None and (test is None or test(record)):
                    found.append(record)
            if answer.complete or ask is None or len(versions) < ask or len(found) > limit:  # type: ignore[operator]
                break
            last: Mapping[str, Any] = decode_fields(versions[-1].fields)
            if see is not None:
                last = see(versions[-1].uuid, last)
            behind = Cursor(tuple(last.get(term.field) for term in order), versions[-1].uuid)
            ask = min(2 * ask, _MOST)
            question = _question(loaded, where, order, ask, behind)
        if answer.complete:
            page = query.page(found + mine, order, limit, place, row)
        else:
            if mine:
                behind_place = None if place is None else query.after(place, order)
                found += [record for record in mine if behind_place is None or behind_place(*row(record))]
                found = query.sort(found, order, row)
            page = query.cut(found, order, limit, row)
        self._keep(loaded, page)
        return page

    def _candidate(
        self,
        loaded: IdentityMap,
        version: Version,
        where: Expression | None,
        see: See | None,
        own: dict[bytes, Record | None],
    ) -> Record | None:
        """The record of a version that the store has found, if it is found here, too."""
        key, vsn, txn, stored, _, _ = version
        if key in own:
            return None
        record = loaded.records.get(key)
        if record is None:
            fields = decode_fields(stored)
            if where is not None and not where.matches(fields if see is None else see(key, fields)):
                return None
            record = self._made(loaded, key, vsn, txn, stored, fields)
        elif where is not None and not where.matches(record._fields if see is None else see(key, record._fields)):
            return None
        if loaded.model.keep == 0:
            loaded.note_found(key)
        return record

    def _made(self, loaded: IdentityMap, key: bytes, vsn: int, txn: int, stored: str, fields: dict[str, Any]) -> Record:
        return Record(loaded.model, key, vsn, txn, stored, fields)

    def _keep(self, loaded: IdentityMap, page: list[Record]) -> None:
        """From now on these are the unit's objects for these records."""
        records, states = loaded.records, loaded.states
        for record in page:
            key = record._key
            if key not in records:
                records[key] = record
                states[key] = FOUND

    def _say_if_deleted(
        self, loaded: IdentityMap, key: bytes, vsn: int, acl: Predicate | None, fields: dict[str, Any] | None
    ) -> None:
        """Who has seen a record that is deleted by now is told so, rather than that there never was one."""
        if key in loaded.records:
            return
        version = self._version(loaded, key)
        if version is None or not version.deleted or version.erased or version.vsn == vsn:
            return
        if loaded.shows(version, acl):
            if acl is not None:
                loaded.acls[key] = acl
            self._mismatch(loaded, vsn, version, fields)

    def _mismatch(self, loaded: IdentityMap, vsn: int, newest: Version, fields: dict[str, Any] | None) -> NoReturn:
        """*vsn* is what the caller has seen."""
        store, name = loaded.snapshot.store, loaded.model.name
        by = store.transaction(self._domain, newest.txn)
        seen = store.history(self._domain, name, newest.uuid, after=vsn - 1, limit=1) if vsn > 0 else []
        # Whoever names a version need not have seen it: what it held may be hidden from them.
        yours = seen[0][0].fields if seen and seen[0][0].vsn == vsn and loaded.shows(seen[0][0]) else None
        if yours is not None and fields:
            yours = encode_fields({**decode_fields(yours), **fields})
        raise mismatch(loaded.model, newest.uuid, vsn, newest, by, yours)


class PastReader(Reader):
    """A read-only unit on the past. *moment*: the number of a transaction, or seconds since 1970."""

    __slots__ = ("_moment",)

    def __init__(self, registry: ModelRegistry, domain: str, moment: int | float) -> None:
        super().__init__(registry, domain)
        self._moment = moment

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("insert", "update", "delete", "undo", "forget", "savepoint"):
            raise exc.StoreError(f"The past can be read, not changed: {name} is a method of the unit, not of as_of(…).")
        raise AttributeError(name)

    def _begin(self, store: RecordStore) -> int:
        if isinstance(self._moment, float):
            return store.at_time(self._domain, self._moment)
        last = store.last(self._domain)
        if self._moment > last:
            raise exc.InvalidValue(f"There is no transaction {self._moment} yet: the last one is {last}.")
        return self._moment

    def _gone(self, loaded: IdentityMap, gone: exc.HistoryGone) -> exc.Error:
        return gone

    def _see(self, loaded: IdentityMap, version: Version, state: int, fields: dict[str, Any] | None = None) -> Record:
        key, vsn, txn, stored, _, _ = version
        return Frozen(loaded.model, key, vsn, txn, stored, fields)

    def _made(self, loaded: IdentityMap, key: bytes, vsn: int, txn: int, stored: str, fields: dict[str, Any]) -> Record:
        return Frozen(loaded.model, key, vsn, txn, stored, fields)

    def _keep(self, loaded: IdentityMap, page: list[Record]) -> None:
        """Nothing can become of these."""


def _question(
    loaded: IdentityMap, where: Expression | None, order: Sequence[Order], limit: int | None, after: Cursor | None
) -> Query:
    model = loaded.model
    return Query(model.name, model.index_definition, where, tuple(order), limit, after)
