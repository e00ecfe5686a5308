"""Lists in a store, in two shapes, and transactions on them: what the makers of histories do, in process or served.

- The lists r0, r1, … are records: one `Shelf` each, whose field `values` is the list. Who appends has read it.
- The lists s0, s1, … are sets of records: an `Item` for each value, in the order of their transactions. Who appends
  reads nothing: a new item is inserted, or one that lay about is moved there. What reads such a list is a predicate,
  whose answer changes by records that were not in it: phantoms.

A plan is a list of ["append", key, value] and ["r", key, how]; *how* is one of READS. It can travel as JSON, and so can
what `transact` gives: for each of the plan's lines the list that was read (before the append; None for a set), or the
number that was counted.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from limen import exc
from limen.app.datastore import DataStore, Storage

READS = {
    "r": ("fetch", "expression", "python", "find"),
    "s": ("expression", "python", "find", "count", "count python", "pages"),
}
Plan = list[list[Any]]


class Shelf:
    """`name`, `values`."""

    @classmethod
    def initialize(cls, record):
        record.merge(name="", values=[])

    @classmethod
    def index(cls, record):
        return {"name": record.name}


class Item:
    """`list`: of which it is; `value`; `place`: in its transaction."""

    @classmethod
    def initialize(cls, record):
        record.merge(list="", value=0, place=0)

    @classmethod
    def index(cls, record):
        return {"list": record.list, "value": record.value}


class Doc:
    """`value`: that of the write that made this version."""

    @classmethod
    def initialize(cls, record):
        record.merge(value="")


MODELS = Shelf, Item, Doc


def storage_on(store: Any) -> Storage:
    """Units of work on *store*."""
    there = DataStore(store)
    storage = Storage(lambda: there)
    storage.add_models(there, *MODELS)
    return storage


def prepare(storage: Storage, count: int) -> None:
    """Makes the lists r0 … of that *count*, where they are not there."""
    with storage("prepare") as db:
        known = {shelf.name for shelf in db.select(Shelf)}
        for number in range(count):
            if f"r{number}" not in known:
                db.insert(Shelf, name=f"r{number}")


class Lists:
    """Transactions on the lists of *storage*."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._uuids: dict[str, UUID] = {}

    def transact(self, plan: Plan) -> list[Any]:
        """All of *plan* in one unit of work."""
        self._learn(plan)
        moved = self._lay_about(plan)
        with self.storage("transact") as db:
            given: list[Any] = []
            for place, (what, key, detail) in enumerate(plan):
                if what == "append" and key[0] == "r":
                    shelf = self._shelf(db, key, "fetch")
                    given.append(list(shelf.values))
                    shelf.values = [*shelf.values, detail]
                elif what == "append":
                    given.append(None)
                    if place in moved:
                        db.update(db.fetch(Item, moved[place]), list=key, place=place)
                    else:
                        db.insert(Item, list=key, value=detail, place=place)
                elif key[0] == "r":
                    given.append(list(self._shelf(db, key, detail).values))
                else:
                    given.append(self._set(db, key, detail, _own(plan[:place], key)))
            return given

    async def transact_async(self, plan: Plan) -> list[Any]:
        """The same with `async with`."""
        import asyncio

        await asyncio.to_thread(self._learn, plan)
        async with self.storage("transact") as db:
            given: list[Any] = []
            for place, (what, key, detail) in enumerate(plan):
                if key[0] == "r":
                    shelf = await db.fetch(Shelf, self._uuids[key])
                    given.append(list(shelf.values))
                    if what == "append":
                        shelf.values = [*shelf.values, detail]
                elif what == "append":
                    given.append(None)
                    await db.insert(Item, list=key, value=detail, place=place)
                elif detail == "count":
                    given.append(await db.count(Item, Item.list == key))
                else:
                    where = Item.list == key if detail == "expression" else lambda r, key=key: r.list == key
                    given.append(_values(await db.select(Item, where), _own(plan[:place], key)))
            return given

    def _learn(self, plan: Plan) -> None:
        if any(key not in self._uuids for _, key, _ in plan if key[0] == "r"):
            with self.storage("look") as db:
                self._uuids = {shelf.name: shelf._uuid for shelf in db.select(Shelf)}

    def _lay_about(self, plan: Plan) -> dict[int, UUID]:
        """Items for every third append of a set, which lie about from a transaction before."""
        places = [
            n for n, (what, key, value) in enumerate(plan) if what == "append" and key[0] == "s" and value % 3 == 0
        ]
        if not places:
            return {}
        with self.storage("lay about") as db:
            made = {place: db.insert(Item, value=plan[place][2]) for place in places}
        return {place: item._uuid for place, item in made.items()}

    def _shelf(self, db: Any, key: str, how: str) -> Any:
        if how == "fetch":
            return db.fetch(Shelf, self._uuids[key])
        if how == "find":
            return db.find(Shelf, name=key)[0]
        return db.select_one(Shelf, Shelf.name == key if how == "expression" else lambda shelf: shelf.name == key)

    def _set(self, db: Any, key: str, how: str, own: list[int]) -> Any:
        if how == "count":
            return db.count(Item, Item.list == key)
        if how == "count python":
            return db.count(Item, lambda item: item.list == key)
        if how == "find":
            return _values(db.find(Item, list=key), own)
        if how == "pages":
            found, page = [], db.select(Item, Item.list == key, limit=5)
            found += page
            while page.cursor is not None:
                page = db.select(Item, Item.list == key, limit=5, after=page.cursor)
                found += page
            return _values(found, own)
        return _values(db.select(Item, Item.list == key if how == "expression" else lambda item: item.list == key), own)


def _own(plan: Plan, key: str) -> list[int]:
    return [value for what, of, value in plan if what == "append" and of == key]


def _values(items: list[Any], own: list[int]) -> list[int]:
    """In the order of the transactions that put them there; this unit's own come last."""
    order = sorted(items, key=lambda item: (1, 0, item.place) if item.value in own else (0, item._txn, item.place))
    return [item.value for item in order]


def happened(plan: Plan, given: list[Any]) -> list[list[Any]]:
    """The lines of a history: what was read and appended; ["count", key, number] where only a number is known."""
    ops: list[list[Any]] = []
    for (what, key, detail), got in zip(plan, given, strict=True):
        if what == "append":
            if got is not None:
                ops.append(["r", key, got])
            ops.append(["append", key, detail])
        elif isinstance(got, int):
            ops.append(["count", key, got])
        else:
            ops.append(["r", key, got])
    return ops


def resolve(history: list[dict[str, Any]], final: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Numbers that were counted become what was read: of a list that only grows the first so many, then what the
    transaction itself has appended. *final*: the lists at the end."""
    for transaction in history:
        own: dict[str, list[Any]] = {}
        for op in transaction["ops"]:
            if op[0] == "append":
                own.setdefault(op[1], []).append(op[2])
            elif op[0] == "count":
                mine, of = own.get(op[1], []), final.get(op[1], [])
                others = op[2] - len(mine)
                if others > len(of) and transaction["status"] == "ok":
                    of = [*of, *(f"counted {n}" for n in range(len(of), others))]
                op[0], op[2] = "r", of[: max(0, others)] + mine if others >= 0 else ["counted too few"]
    return history


def final_lists(storage: Storage) -> dict[str, list[Any]]:
    """All lists, read in one unit of work."""
    with storage("the end") as db:
        lists: dict[str, list[Any]] = {shelf.name: list(shelf.values) for shelf in db.select(Shelf)}
        items: dict[str, list[Any]] = {}
        for item in db.select(Item):
            items.setdefault(item.list, []).append(item)
    items.pop("", None)
    return lists | {key: _values(of, []) for key, of in items.items()}


class Docs:
    """Versioned writes and reads of single records, as versions.py wants them. Each method gives (status, version,
    value) of what it did."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def insert(self, value: str) -> list[Any]:
        with self.storage(value) as db:
            doc = db.insert(Doc, value=value)
        return ["ok", doc._vsn, str(doc._uuid)]

    def update(self, record: str, base: int, value: str) -> list[Any]:
        try:
            with self.storage(value) as db:
                doc = db.update(Doc, record, base, value=value)
        except (exc.RecordVersionMismatch, exc.RecordNotFound) as error:
            return ["stale" if isinstance(error, exc.RecordVersionMismatch) else "fail", None, None]
        return ["ok", doc._vsn, value]

    def delete(self, record: str, base: int, value: str) -> list[Any]:
        try:
            with self.storage(value) as db:
                doc = db.delete(Doc, record, base)
        except (exc.RecordVersionMismatch, exc.RecordNotFound) as error:
            return ["stale" if isinstance(error, exc.RecordVersionMismatch) else "fail", None, None]
        return ["ok", doc._vsn, value]

    def fetch(self, record: str) -> list[Any]:
        with self.storage() as db:
            doc = db.fetch(Doc, record, fail=lambda: None)
        return ["fail", None, None] if doc is None else ["ok", doc._vsn, doc.value]

    def history(self, record: str) -> list[Any]:
        """Versions with their values; that of a deletion is the reason of its transaction, as of every version."""
        with self.storage() as db:
            versions = []
            for past in db.history(Doc, record):
                reason = past.transaction.reason
                if not past.deleted and past.value != reason:
                    raise AssertionError(f"version {past._vsn} holds {past.value}, its transaction says {reason}")
                versions.append([past._vsn, reason])
        return ["ok", versions, None]
