"""The catalog of indexes: which tables there are for each model, what state they are in, and how they are kept up.

It stands as JSON in the row of the model, so that all processes know the same. The statements that keep an index up
are part of it: a server whose indexes are all there never makes statements itself.

    building   kept up by every commit since it was made; what was there before is on its way in. Not asked yet
    ready      holds every record: questions go to it
    old        a newer one is ready: neither kept up nor asked, only erased from, until it is gone

A **revision** (a number in `meta`, for all models) rises with each change that writers or readers must know of. Who
commits gets it together with the number of the transaction, who reads with each row, and looks again where it differs.
On PostgreSQL such a change waits until nobody is in the middle of a commit (`CHANGING`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from limen import exc
from limen.core.record.port import Change, Index
from limen.core.record.record import decode_fields
from limen.store.sql.engine import Row

from .columns import ODD, Dialect, fitter

FORMAT: Final = 2
"""How values stand in the columns. A program that meets a greater one can't keep such a table up. 1: values of fields;
2: computed ones, too."""
CHANGING: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "sqlite": (),  # one writer at a time anyway
    "postgresql": ("LOCK TABLE domain IN SHARE ROW EXCLUSIVE MODE",),
}
"""The first statements of a transaction that changes what writers must know."""


class Kept(msgspec.Struct, omit_defaults=True):
    """One table, as the catalog has it. *columns*: (field, kind). *put*, *remove*, *clear*: statements. *domain* (its
    name) and *uuid* (hex, of the last record; None: that domain is done): building has come so far. *through*: all is
    in it. *done* of *total* records. *computed*: columns of what the program computes, by that *version* of it."""

    table: str
    columns: list[tuple[str, str]]
    put: str
    remove: str
    clear: str
    state: str = "building"
    format: int = 1
    domain: str = ""
    uuid: str | None = ""
    through: bool = False
    done: int = 0
    total: int = 0
    computed: list[str] = []
    version: int = 1

    def is_of(self, index: Index, columns: list[tuple[str, str]]) -> bool:
        """Whether it has these *columns*, which *index* declares, and computes the same."""
        computed = sorted(name for name, _ in columns if name in index.computed)
        same = sorted(self.columns) == columns and sorted(self.computed) == computed
        return same and (not computed or self.version == index.version)

    def again(self) -> None:
        """Some records are not in it as they are: from the beginning."""
        self.state, self.domain, self.uuid, self.through, self.done = "building", "", "", False, 0


class Stored(msgspec.Struct, omit_defaults=True):
    """What stands in `model.catalog`. *generation*: so many tables were made. *learnt*: kinds of columns whose kind
    nobody declared."""

    generation: int = 0
    learnt: dict[str, str] = {}
    tables: list[Kept] = []

    def current(self) -> Kept | None:
        """The newest table that is not old."""
        return next((table for table in reversed(self.tables) if table.state != "old"), None)

    def of(self, name: str) -> Kept | None:
        return next((table for table in self.tables if table.table == name), None)

    def ready(self, kept: Kept) -> None:
        """*kept* is ready, and takes the place of all others."""
        for table in self.tables:
            table.state = "ready" if table is kept else "old"

    def text(self) -> str:
        return _encode(self).decode()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Stored).decode


def read(text: str | None) -> Stored:
    """The catalog of a model from its text; an empty one where there is none."""
    try:
        return _decode(text) if text else Stored()
    except msgspec.DecodeError:
        raise exc.StoreError(
            "What is noted of a model's index is damaged. A restored backup has it built anew."
        ) from None


class Table:
    """A table of an index as this program uses it. *columns*: field to (number, kind). *foreign*: of a newer format,
    which this program can't keep up. *computed*, *version*: see `Kept`."""

    __slots__ = (
        "_fits",
        "cache",
        "columns",
        "computed",
        "done",
        "fields",
        "foreign",
        "kept",
        "name",
        "put",
        "remove",
        "state",
        "total",
        "version",
    )

    def __init__(self, kept: Kept, dialect: Dialect) -> None:
        self.name, self.state, self.put, self.remove = kept.table, kept.state, kept.put, kept.remove
        self.done, self.total = kept.done, kept.total
        self.foreign = kept.format > FORMAT
        self.kept, self.computed, self.version = kept, frozenset(kept.computed), kept.version
        self.columns = {field: (number, kind) for number, (field, kind) in enumerate(kept.columns)}
        self.fields = frozenset(self.columns)
        self._fits = [] if self.foreign else [(field, fitter(kind, dialect)) for field, kind in kept.columns]
        self.cache: dict[Any, Any] = {}
        """What was made to ask this table, by shape."""

    def computed_by(self, index: Index | None) -> bool:
        """Whether a program with this *index* can keep it up."""
        if self.foreign or not self.computed:
            return not self.foreign
        return index is not None and index.version == self.version and self.computed <= index.computed

    def columns_for(self, index: Index | None) -> Mapping[str, tuple[int, str]]:
        """The columns that mean what they mean for a program with this *index*."""
        computed: frozenset[str] = frozenset() if index is None else index.computed
        if not computed and not self.computed:
            return self.columns
        same = index is not None and index.version == self.version
        return {
            field: column
            for field, column in self.columns.items()
            if (field in computed) is (field in self.computed) and (same or field not in computed)
        }

    def values(self, change: Change) -> Mapping[str, Any]:
        """The values of a change for `row`, those that are computed as they were computed before."""
        values = change.values
        of_fields = self.fields - self.computed
        known = change.index.computed if change.index is not None else frozenset()
        if values is not None and self.fields <= values.keys() and of_fields.isdisjoint(known):
            return values
        fields = decode_fields(change.fields)  # of a program that has declared other columns
        return fields if values is None else {**fields, **{name: values.get(name) for name in self.computed}}

    def row(self, domain: int, uuid: bytes, values: Mapping[str, Any]) -> list[Any]:
        """The parameters of *put* for a record with these *values*."""
        row: list[Any] = [domain, uuid]
        for field, fit in self._fits:
            value = values.get(field)
            if value is not None:
                value = fit(value)
                if value is ODD:
                    row += (1, None)
                    continue
            row += (0, value)
        return row


class Indexed:
    """A model that has indexes. *tables*: those to be kept up; *old*: those to be erased from."""

    __slots__ = ("id", "learnt", "old", "tables")

    def __init__(self, id: int, stored: Stored, dialect: Dialect) -> None:
        self.id, self.learnt = id, stored.learnt
        tables = [Table(kept, dialect) for kept in stored.tables]
        self.tables = [table for table in tables if table.state != "old"]
        self.old = [table for table in tables if table.state == "old"]


class Catalog:
    """All models that have indexes, by name, as of one *revision* (None: there never was one)."""

    __slots__ = ("models", "revision")

    def __init__(self, rows: Iterable[Row], dialect: Dialect, before: Catalog | None = None) -> None:
        self.revision: str | None = None
        self.models: dict[str, Indexed] = {}
        known = {} if before is None else before._tables()
        for revision, id, name, text in rows:
            self.revision = revision
            if id is not None:
                made = self.models[name] = Indexed(id, read(text), dialect)
                for table in made.tables:
                    same = known.get(table.name)
                    if same is not None:
                        table.cache = same.cache

    def _tables(self) -> dict[str, Table]:
        return {table.name: table for model in self.models.values() for table in model.tables}


def columns_of(declared: Sequence[tuple[str, str | None]], learnt: Mapping[str, str]) -> list[tuple[str, str]]:
    """The columns of *declared* whose kind is known, sorted by name.

    >>> columns_of([("text", "text"), ("due", None), ("done", "bool")], {})
    [('done', 'bool'), ('text', 'text')]
    """
    found = ((name, kind or learnt.get(name)) for name, kind in declared)
    return sorted((name, kind) for name, kind in found if kind is not None)
