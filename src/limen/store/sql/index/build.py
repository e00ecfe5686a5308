"""Building: what was written before there was an index is brought into its table, while the program runs.

In small steps, each a short transaction that does not hold up writers for long, with pauses between them; how far it
has come is in the catalog, so that a program that was killed goes on where it stopped. Several processes may build at
once: each step begins where the last one of any of them has ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from limen import exc
from limen.core.record.record import decode_fields

from . import catalog as catalogs
from .catalog import CHANGING, Kept, Stored, Table

if TYPE_CHECKING:
    from limen.store.sql.engine import Engine, Hand

MOST: Final = 500
"""Records in one step."""
LONG: Final = 0.01
"""Seconds that a step may hold up writers; steps become smaller or larger accordingly."""
PAUSE: Final = 0.005
"""Seconds between two steps, at least; as long as the step took, if that is more."""
TROUBLE: Final = 5.0
"""Seconds before it is tried again where the database has failed."""
WAITS: Final = {"sqlite": (), "postgresql": ("SET LOCAL lock_timeout = '200ms'",)}
"""Whoever drops a table waits no longer for those who still read it: others wait behind."""
_log = logging.getLogger("limen.store")
Compute = Callable[[bytes, Mapping[str, Any]], Mapping[str, Any]]
_Record = tuple[str, int, bytes, str]
"""Name and number of its domain, uuid, fields."""


class Task(NamedTuple):
    """What there is to do with a table. *compute*: see `Index`; None where all columns are fields."""

    model: str
    table: str
    state: str
    compute: Compute | None


class Builder:
    """The thread that builds for one store; it lives as long as there is something to do. *find*: gives that.

    *stopped*: tables that it has given up, as what is to stand there could not be computed, and why.
    """

    def __init__(self, engine: Engine, find: Callable[[], Task | None]) -> None:
        self._engine, self._find = engine, find
        self._changed = Condition(Lock())
        self._thread: Thread | None = None
        self._wanted = self._closed = False
        self._size = 50
        self._said: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def wake(self) -> None:
        """There may be something to do."""
        with self._changed:
            self._wanted = True
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, name="limen-index", daemon=True)
                self._thread.start()

    def settle(self, timeout: float) -> bool:
        """Waits until there is nothing to do, for *timeout* seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Waits for the step that is under way; no further one begins."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wanted = False
            pause = PAUSE
            try:
                begun = time.monotonic()
                task = self._find()
                if task is not None:
                    self._step(task)
                    pause = max(PAUSE, time.monotonic() - begun)
            except exc.Error as error:
                task = None
                if not self._closed:
                    _log.warning("building an index failed, it is tried again in %g s: %s", TROUBLE, error)
                    task, pause = Task("", "", "", None), TROUBLE
            with self._changed:
                if self._closed or (task is None and not self._wanted):
                    self._thread = None
                    self._changed.notify_all()
                    return
                self._changed.wait_for(lambda: self._closed, pause)

    # -- one step ----------------------------------------------------------------------------------
    def _step(self, task: Task) -> None:
        model, table, state, compute = task
        if state == "old":
            self._drop(model, table)
        elif self._count(model, table) and self._bring(model, table, compute):
            if self._engine.dialect == "postgresql":  # which would know how many rows there are a minute later only
                self._engine.write(lambda hand: hand.tell(f'ANALYZE "{table}"'))
            self._engine.write(lambda hand: self._ready(hand, model, table))
            self._said.pop(table, None)
            _log.info("the index of %s is ready", model)

    def _count(self, model: str, table: str) -> bool:
        """Counts what there is to do, once, for those who ask how far it is. False: there is no such table."""
        sql = self._engine.sql
        kept = self._kept(model, table)
        if kept is None or kept[1].total:
            return kept is not None
        [(total,)] = self._engine.rows(sql.count_records, (kept[0],))

        def note(hand: Hand) -> None:
            id, stored, now = self._held(hand, model, table)
            if now is not None:
                now.total = max(total, 1)
                hand.tell(sql.set_catalog, (stored.text(), id))

        self._engine.write(note)
        return True

    def _bring(self, model: str, table: str, compute: Compute | None) -> bool:
        """Brings in a few records; True where all are in.

        What is computed is computed before the records are locked, and holds for those that still are what they were.
        """
        sql, size = self._engine.sql, self._size
        took = 0.0
        known: dict[tuple[bytes, str], Mapping[str, Any]] = {}

        def look(hand: Hand) -> list[_Record]:
            id, _, kept = self._held(hand, model, table)
            building = kept is not None and kept.state == "building" and not kept.through
            return self._walk(hand, id, kept, size) if kept is not None and building else []

        def work(hand: Hand) -> Kept | None:
            nonlocal took
            id, stored, kept = self._held(hand, model, table)
            if kept is None or kept.state != "building" or kept.through:
                return kept
            begun = time.perf_counter()
            its = Table(kept, self._engine.dialect)
            if its.foreign:
                return None
            place = kept.domain, kept.uuid
            found = self._walk(hand, id, kept, size)
            if compute is None:
                rows = [its.row(domain, uuid, decode_fields(fields)) for _, domain, uuid, fields in found]
            else:
                rows = []
                for name, domain, uuid, fields in found:
                    values = known.get((uuid, fields))
                    if values is None:  # it was changed meanwhile: from here on in the next step
                        (kept.domain, kept.uuid), kept.through = place, False
                        break
                    rows.append(its.row(domain, uuid, values))
                    place = name, uuid.hex()
            hand.many(kept.put, rows)
            kept.done += len(rows)
            hand.tell(sql.set_catalog, (stored.text(), id))
            took = time.perf_counter() - begun
            return kept

        if compute is not None:
            for _, _, uuid, text in self._engine.write(look):
                fields = decode_fields(text)
                try:
                    known[uuid, text] = {**fields, **compute(uuid, fields)}
                except Exception as error:
                    why = (
                        f"the index of {model} can't be built: {model}.index raised {error!r:.200} for the record "
                        f"{UUID(bytes=uuid)}. Let it take every record that is there, and start the program again"
                    )
                    self.stopped[table] = why
                    _log.error("%s; until then it is searched in Python.", why)
                    return False
        kept = self._engine.write(work)
        if took:
            self._size = max(10, min(MOST, int(size * min(2.0, LONG / took))))
        if kept is not None and kept.total and not kept.through:
            part = 10 * kept.done // kept.total
            if self._said.get(table) != part:
                self._said[table] = part
                _log.info("the index of %s is being built: %d %%", model, min(10 * part, 99))
        return kept is not None and kept.state == "building" and kept.through

    def _walk(self, hand: Hand, id: int, kept: Kept, room: int) -> list[_Record]:
        """The next records, *room* at most, in domains that are held by then; *kept* is where they end."""
        sql, found = self._engine.sql, list[_Record]()
        number = 0
        while room > 0:  # by the names of the domains: that is the order in which all lock them
            if kept.uuid is None:
                [rows] = hand.ask((sql.hold, (kept.domain, id)))
                if not rows:
                    kept.through = True
                    break
                (number, kept.domain), kept.uuid = rows[0], ""
            else:
                [rows] = hand.ask((sql.lock, (kept.domain,)))
                number = rows[0][0] if rows else 0
            [some] = hand.ask((sql.batch, (number, id, bytes.fromhex(kept.uuid), room)))
            found += [(kept.domain, number, uuid, fields) for uuid, fields in some]
            kept.uuid = some[-1][0].hex() if len(some) == room else None
            room -= len(some) + 1  # many domains with a record each are to come to an end, too
        return found

    def _ready(self, hand: Hand, model: str, table: str) -> None:
        sql = self._engine.sql
        for statement in CHANGING[self._engine.dialect]:
            hand.tell(statement)
        id, stored, kept = self._held(hand, model, table)
        if kept is not None and kept.state == "building" and kept.through:
            stored.ready(kept)
            hand.tell(sql.set_catalog, (stored.text(), id))
            hand.tell(sql.bump)

    def _drop(self, model: str, table: str) -> None:
        """Takes an old table away; on SQLite row by row first, as dropping a large one takes long."""
        sql, dialect = self._engine.sql, self._engine.dialect

        def work(hand: Hand) -> None:
            for statement in (*WAITS[dialect], *CHANGING[dialect]):
                hand.tell(statement)
            id, stored, kept = self._held(hand, model, table)
            if kept is None or kept.state != "old":
                return
            if dialect == "sqlite":
                [gone] = hand.ask((kept.clear, (MOST,)))
                if gone:
                    return
            hand.tell(f'DROP TABLE "{kept.table}"')
            stored.tables.remove(kept)
            hand.tell(sql.set_catalog, (stored.text(), id))
            hand.tell(sql.bump)

        self._engine.write(work)

    def _held(self, hand: Hand, model: str, table: str) -> tuple[int, Stored, Kept | None]:
        """The catalog of *model*, which nobody else changes until the transaction ends."""
        [rows] = hand.ask((self._engine.sql.catalog, (model,)))
        if not rows:
            return 0, Stored(), None
        id, text = rows[0]
        stored = catalogs.read(text)
        return id, stored, stored.of(table)

    def _kept(self, model: str, table: str) -> tuple[int, Kept] | None:
        for _, id, name, text in self._engine.rows(self._engine.sql.catalogs):
            if name == model:
                kept = catalogs.read(text).of(table)
                return None if kept is None else (id, kept)
        return None
