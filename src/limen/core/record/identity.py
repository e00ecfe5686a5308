"""What a unit of work has at hand: of each store a snapshot, of each model the records it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .expression import Expression
from .model import Model
from .past import Frozen
from .port import RecordStore, See, Version
from .record import Record

SEEN, FOUND, NEW, CHANGED, REVIVED, GONE, ERASED = range(7)
"""What became of a record here. SEEN: fetched by its id. FOUND: by a search. Both are written where their fields were
changed. NEW: to be inserted. CHANGED: to be written in any case. REVIVED: to be written again after it was deleted.
GONE: deleted. ERASED: forgotten."""


class Snapshot:
    """A store and the number of the transaction as of which all is read there; None before the first read."""

    __slots__ = ("at", "store")

    def __init__(self, store: RecordStore, at: int | None = None) -> None:
        self.store, self.at = store, at


class IdentityMap:
    """The records of one model. *records*, *states*: by the bytes of their uuid; one record is one object. *keys*: what
    else was read by key, without success for the most part. *searched*: by which conditions it was searched, None for
    "all". *found*: of a model with keep=0 what was found. *acls*: who may see what was fetched under a condition."""

    __slots__ = ("acls", "found", "keys", "model", "records", "searched", "snapshot", "states")

    def __init__(self, model: Model, snapshot: Snapshot) -> None:
        self.model, self.snapshot = model, snapshot
        self.records: dict[bytes, Record] = {}
        self.states: dict[bytes, int] = {}
        self.keys: set[bytes] | None = None
        self.searched: list[Expression | None] | None = None
        self.found: set[bytes] | None = None
        self.acls: dict[bytes, Callable[[Record], Any]] = {}

    def note_key(self, key: bytes) -> None:
        if self.keys is None:
            self.keys = set()
        self.keys.add(key)

    def note_search(self, where: Expression | None) -> None:
        if where is not None and self.model.see(where.fields) is not None:
            where = None  # `index` is not asked under the store's lock: any change of the model counts
        if self.searched is None:
            self.searched = [where]
        elif where not in self.searched and None not in self.searched:
            self.searched.append(where)

    def note_found(self, key: bytes) -> None:
        if self.found is None:
            self.found = set()
        self.found.add(key)

    def shows(self, version: Version, acl: Callable[[Record], Any] | None = None) -> bool:
        """Whether *version* may be told to who has this record under *acl*, or under the one it was found with."""
        acl = acl or self.acls.get(version.uuid)
        return acl is None or bool(acl(Frozen(self.model, version.uuid, version.vsn, version.txn, version.fields)))

    def own(self) -> dict[bytes, Record | None]:
        """The records that are not as the store has them; None for those that are gone."""
        own: dict[bytes, Record | None] = {}
        for key, record in self.records.items():
            state = self.states[key]
            if state >= GONE:
                own[key] = None
            elif state >= NEW or record._unstored() is not None:
                own[key] = record
        return own


def seen_rows(see: See) -> Callable[[Record], tuple[Mapping[str, Any], bytes]]:
    """`rows` where something is asked for that `index` computes."""
    return lambda record: (see(record._key, record._fields), record._key)


def rows(record: Record) -> tuple[dict[str, Any], bytes]:
    """What a record is sorted and paged by."""
    return record._fields, record._key
