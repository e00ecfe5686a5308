"""Indexes: what a program declares to be searched by, as tables that every commit keeps up.

`prepare` makes a table for what is declared and not there yet, `write` is the part of a commit, `build.py` brings in
what was written before, `query.py` asks. See catalog.py for the states of a table.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from limen.core.record.port import ERASE, Answer, Change, Index

from . import catalog as catalogs
from .build import Builder, Task
from .catalog import CHANGING, FORMAT, Catalog, Kept, columns_of
from .columns import kind_of

if TYPE_CHECKING:
    from limen.core.record.query import Query
    from limen.store.sql.engine import Engine, Hand

    from .query import Past, Queries

_log = logging.getLogger("limen.store")


class Status(NamedTuple):
    """A table of an index. *state*: building, ready or old. *done* of *total* records are in it (while it is built)."""

    model: str
    table: str
    columns: tuple[str, ...]
    state: str
    done: int
    total: int


class _Declared(NamedTuple):
    """What was declared for a model and is taken care of. *open*: fields whose kind is still to be learnt."""

    what: Index
    open: tuple[str, ...]


class Indexes:
    """The indexes of one store. May be used from any thread.

    *past*: `past(domain, model, at, most)` gives, as of number *at*, the versions of all records of the model that
    were changed after it (none for those that were not there then); None where more than *most* were.
    """

    def __init__(self, engine: Engine, past: Past) -> None:
        self._engine, self._past = engine, past
        self._lock = Lock()
        self._catalog: Catalog | None = None
        self._looked = 0.0
        self._stale = False
        self._declared: dict[str, _Declared] = {}
        self._later: dict[str, tuple[Index, Mapping[str, str]]] = {}
        self._queries: Queries | None = None
        self._builder = Builder(engine, self._step)

    # -- writing -----------------------------------------------------------------------------------
    def prepare(self, changes: Sequence[Change], wait: bool = True) -> None:
        """To be called before *changes* are committed: sees to it that their indexes are there, or under way.

        *wait* False: for callers that must not wait; then it is done a little later, on another thread.
        """
        last: Index | None = None
        for change in changes:
            index = change.index
            if index is None or index is last:
                continue
            declared = self._declared.get(change.model)
            if declared is None or (declared.what is not index and declared.what != index):
                unknown = (name for name, kind in index.columns if kind is None)
                self._declare(change.model, index, _learnt(unknown, change.values or {}), wait)
            elif declared.open and change.values is not None:
                learnt = _learnt(declared.open, change.values)
                if learnt:
                    self._declare(change.model, index, learnt, wait)
            else:
                last = index
        if self._stale:
            self.refresh()

    def write(self, hand: Hand, domain: int, revision: str | None, changes: Sequence[Change]) -> None:
        """The part of a commit: brings the tables up to date with *changes* of *domain* (its number).

        *revision*: of the catalogs, as it was read in this transaction after the domain was locked.
        """
        catalog = self._catalog
        if catalog is None or catalog.revision != revision:
            [rows] = hand.ask((self._engine.sql.catalogs, ()))
            catalog = Catalog(rows, self._engine.dialect)
            self._stale = True  # not kept from here: this transaction may be undone
        if not catalog.models:
            return
        if len(changes) == 1:
            for statement, row in self._rows(hand, catalog, domain, changes[0]):
                hand.tell(statement, row)
            return
        told: dict[str, list[Any]] = {}
        for change in changes:
            for statement, row in self._rows(hand, catalog, domain, change):
                told.setdefault(statement, []).append(row)
        for statement, rows in told.items():
            hand.many(statement, rows)

    def _rows(self, hand: Hand, catalog: Catalog, domain: int, change: Change) -> Iterable[tuple[str, Any]]:
        model = catalog.models.get(change.model)
        if model is None:
            return
        for table in model.tables:
            if change.deleted:
                yield table.remove, (domain, change.uuid)
            elif table.computed_by(change.index) and (change.values is not None or not table.computed):
                yield table.put, table.row(domain, change.uuid, table.values(change))
            else:
                yield table.remove, (domain, change.uuid)
                self._build_again(hand, change.model, table.name)
        if change.kind == ERASE:
            for table in model.old:
                yield table.remove, (domain, change.uuid)

    def _build_again(self, hand: Hand, model: str, table: str) -> None:
        """A table of another version of the program, which this one can't keep up: that one has to go through all
        records once more."""
        sql = self._engine.sql
        [[(id, text)]] = hand.ask((sql.catalog, (model,)))
        stored = catalogs.read(text)
        kept = stored.of(table)
        if kept is not None and (kept.state != "building" or kept.domain or kept.uuid != ""):
            kept.again()
            hand.tell(sql.set_catalog, (stored.text(), id))
            hand.tell(sql.bump)

    # -- asking ------------------------------------------------------------------------------------
    def select(self, domain: str, query: Query, at: int | None = None) -> Answer | str:
        """See `RecordStore.select`; a text says why it has to be found in Python."""
        self._see(query)
        return self._asked().select(domain, query, at)

    def count(self, domain: str, query: Query, at: int | None = None) -> tuple[int, int] | None:
        """See `RecordStore.count`."""
        self._see(query)
        return self._asked().count(domain, query, at)

    def _see(self, query: Query) -> None:
        if query.index is not None:
            declared = self._declared.get(query.model)
            if declared is None or (declared.what is not query.index and declared.what != query.index):
                self._declare(query.model, query.index, {}, True)

    def _asked(self) -> Queries:
        if self._queries is None:
            from .query import Queries  # what follows it is loaded by whoever asks for the first time

            self._queries = Queries(self._engine, self, self._past)
        return self._queries

    def catalog(self) -> Catalog:
        """What is known of the indexes."""
        found = self._catalog
        return self.refresh() if found is None or self._stale else found

    def refresh(self, every: float = 0.0) -> Catalog:
        """Reads the catalogs anew, where they were not read within *every* seconds."""
        now = time.monotonic()
        if self._catalog is None or not every or now - self._looked >= every:
            self._stale = False
            rows = self._engine.rows(self._engine.sql.catalogs)
            first, self._catalog = self._catalog is None, Catalog(rows, self._engine.dialect, self._catalog)
            self._looked = now
            if first and self._to_do() is not None:
                self._builder.wake()  # what another process, or this one before it was killed, has left half done
        return self._catalog

    def status(self) -> list[Status]:
        """All tables of indexes, by model: for `limen db status`."""
        self.refresh()
        return [
            Status(model, table.name, tuple(table.columns), table.state, table.done, table.total)
            for model, table in self._all()
        ]

    def settle(self, timeout: float = 60.0) -> bool:
        """Waits until nothing is building any more. False: it was not so after *timeout* seconds."""
        return self._builder.settle(timeout)

    def close(self) -> None:
        """Ends building, which goes on when the store is opened again. To be called before the engine is closed."""
        self._builder.close()

    def _all(self) -> Iterable[tuple[str, catalogs.Table]]:
        catalog = self._catalog
        for name, model in sorted(catalog.models.items()) if catalog is not None else ():
            for table in (*model.tables, *model.old):
                yield name, table

    # -- declaring ---------------------------------------------------------------------------------
    def _declare(self, model: str, index: Index, learnt: Mapping[str, str], wait: bool) -> None:
        if not wait:
            self._later[model] = index, learnt
            self._builder.wake()
            return
        with self._lock:
            catalog = self.refresh()
            found = catalog.models.get(model)
            kinds = {**(found.learnt if found is not None else {}), **learnt}
            columns = columns_of(index.columns, kinds)
            current = found.tables[-1] if found is not None and found.tables else None
            same = current is not None and current.kept.is_of(index, columns)
            if (columns and not same) or (learnt and found is not None and learnt.items() - found.learnt.items()):
                self._register(model, index, columns, learnt)
            self._declared[model] = _Declared(
                index, tuple(name for name, kind in index.columns if kind is None and name not in kinds)
            )
            if self._to_do() is not None:
                self._builder.wake()

    def _register(self, model: str, index: Index, columns: list[tuple[str, str]], learnt: Mapping[str, str]) -> None:
        """Makes a table for *columns*, which *index* declares, in a transaction of its own."""
        from . import compile as make

        sql, dialect = self._engine.sql, self._engine.dialect

        def work(hand: Hand) -> str:
            for statement in CHANGING[dialect]:
                hand.tell(statement)
            hand.tell(sql.add_model, (model,))
            [[(id, text)]] = hand.ask((sql.catalog, (model,)))
            stored = catalogs.read(text)
            current = stored.current()
            state = "there"  # another process was quicker
            there = current is not None and current.is_of(index, columns)
            if there and learnt.items() <= stored.learnt.items():
                return state
            stored.learnt = {**stored.learnt, **learnt}
            if columns and not there:
                stored.generation += 1
                made = make.define(dialect, id, stored.generation, columns)
                for statement in made.create:
                    hand.tell(statement)
                for table in stored.tables:
                    if table.state == "building":
                        table.state = "old"
                kept = Kept(made.table, columns, made.put, made.remove, made.clear)
                kept.computed = sorted(name for name, _ in columns if name in index.computed)
                kept.format, kept.version = (FORMAT, index.version) if kept.computed else (1, 1)
                stored.tables = [*stored.tables, kept]
                [records] = hand.ask((sql.any_record, (id,)))
                if not records:
                    stored.ready(kept)
                state = kept.state
            hand.tell(sql.set_catalog, (stored.text(), id))
            hand.tell(sql.bump)
            return state

        state = self._engine.write(work)
        names = ", ".join(name for name, _ in columns)
        if state == "building":
            _log.info("the index of %s (%s) is being built", model, names)
        self.refresh()

    # -- what is done a little later ---------------------------------------------------------------
    def _step(self) -> Task | None:
        """For the builder: what was declared where nobody could wait is made; then a table that it has something to do
        with, None where there is none."""
        while self._later:
            model, (index, learnt) = next(iter(self._later.items()))
            self._declare(model, index, learnt, True)
            self._later.pop(model, None)
        self.refresh()
        return self._to_do()

    def _to_do(self) -> Task | None:
        for model, table in self._all():
            declared = self._declared.get(model)
            index = None if declared is None else declared.what
            if table.state == "old":
                return Task(model, table.name, table.state, None)
            if table.state == "building" and table.computed_by(index) and table.name not in self._builder.stopped:
                compute = index.compute if index is not None and table.computed else None
                return Task(model, table.name, table.state, compute)
        return None

    def stopped(self, table: str) -> str | None:
        """Why a table is not built; None: it is."""
        return self._builder.stopped.get(table)


def _learnt(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, str]:
    """The kinds of the columns of these *names* of which there is a value for the first time."""
    found = {name: kind_of(values[name]) for name in names if values.get(name) is not None}
    return {name: kind for name, kind in found.items() if kind is not None}
