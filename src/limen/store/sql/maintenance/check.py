"""`limen db check`: whether a database is what it should be, and by name what is wrong where it is not.

    lines of versions    of each record without gap from the first that is kept, built from keyframes and deltas
    records              each is its newest version, field by field
    transactions         each version's is there; by domain their numbers rise, and time does not go back
    domains              have come as far as what was written in them
    indexes              have a row for each record, with the values that the record has (what the program computes
                         is not looked at)
    the file             SQLite's own integrity_check

It reads one moment of the database, beside a server or without one, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from limen import exc
from limen.core.record import delta
from limen.core.record.record import decode_fields
from limen.store.sql import schema
from limen.store.sql.index import catalog

from .backup import check_schema
from .database import Progress, Reading, nobody, reading

Key = tuple[int, int, bytes]
"""Domain, model, uuid."""


class _Row(NamedTuple):
    """A row of `version`."""

    vsn: int
    txn: int
    kind: int
    body: str | None
    changed: str | None


class _Newest(NamedTuple):
    """A row of `record`."""

    vsn: int
    txn: int
    deleted: int
    fields: str


def check(url: str, progress: Progress = nobody) -> Iterator[str]:
    """A sentence for everything that is wrong; none where nothing is.

    Raises `StoreError` where there is no database, or it is not of this program's schema.
    """
    with reading(url) as db:
        check_schema(db)
        schema.usable(db.found, db.name, url)
        if db.dialect == "sqlite":
            yield from _file(db)
        names = _Names(db)
        yield from _domains(db)
        yield from _transactions(db, names, progress)
        yield from _records(db, names, progress)
        for id, model, text in db.rows("SELECT id, name, catalog FROM model WHERE catalog IS NOT NULL ORDER BY name"):
            for kept in catalog.read(text).tables:
                # One of a newer program's is its affair; one that is being built is not asked yet.
                if kept.state == "ready" and kept.format <= catalog.FORMAT:
                    yield from _index(db, names, id, model, kept, progress)


class _Names:
    """What the numbers of domains and models stand for."""

    def __init__(self, db: Reading) -> None:
        self.domains: dict[int, str] = dict(db.rows("SELECT id, name FROM domain"))
        self.models: dict[int, str] = dict(db.rows("SELECT id, name FROM model"))

    def domain(self, number: int) -> str:
        name = self.domains.get(number)
        return f"domain number {number}, of which there is no row" if name is None else f"domain {name!r}"

    def record(self, key: Key) -> str:
        model = self.models.get(key[1], f"(model number {key[1]}, of which there is no row)")
        uuid = str(UUID(bytes=key[2])) if len(key[2]) == 16 else key[2].hex()
        return f"{self.domain(key[0])}, {model} {uuid}"


# -- the file ---------------------------------------------------------------------------------------------------------
def _file(db: Reading) -> Iterator[str]:
    for (line,) in db.rows("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield f"the file: {line}"
    stamped = db.rows("SELECT version_num FROM alembic_version")
    if stamped != [(str(db.found),)]:
        yield f"alembic_version says {[row[0] for row in stamped]}, and user_version {db.found}"


# -- domains and transactions -----------------------------------------------------------------------------------------
def _domains(db: Reading) -> Iterator[str]:
    for table, column in (("transaction", "number"), ("record", "txn"), ("version", "txn")):
        ahead = db.rows(
            f'SELECT d.name, d.txn, max(t.{column}) FROM domain AS d JOIN "{table}" AS t ON t.domain = d.id '  # noqa: S608
            f"GROUP BY d.id, d.name, d.txn HAVING max(t.{column}) > d.txn ORDER BY d.name"
        )
        for name, txn, last in ahead:
            yield f"domain {name!r} has come to transaction {txn}, but in the table {table} there is {last}"


def _transactions(db: Reading, names: _Names, progress: Progress) -> Iterator[str]:
    ends: dict[int, float] = dict(db.rows("SELECT id, time FROM domain"))
    total, done = db.rows('SELECT count(*) FROM "transaction"')[0][0], 0
    rows = db.stream('SELECT domain, number, time FROM "transaction" ORDER BY domain, number')
    for domain, group in groupby(rows, key=itemgetter(0)):
        if domain not in ends:
            yield f"there are transactions of {names.domain(domain)}"
        before, latest = 0, 0.0
        for _, number, time in group:
            done += 1
            if done % 1000 == 0:
                progress("transactions", done, total)
            if number <= before:
                yield f"{names.domain(domain)}: transaction {number} is there twice, or is no number of one"
            if time < latest:
                yield f"{names.domain(domain)}: transaction {number} is {latest - time:.3f} s earlier than {before}"
            before, latest = number, max(latest, time)
        if latest > ends.get(domain, latest):
            yield f"{names.domain(domain)}: its time is earlier than that of transaction {before}"
    progress("transactions", done, total)


# -- records and versions ---------------------------------------------------------------------------------------------
def _records(db: Reading, names: _Names, progress: Progress) -> Iterator[str]:
    # Transactions in which only models without history were written are not kept. Of a record of such a model there is
    # one version, a whole one.
    no_transaction = set(
        db.rows(
            "SELECT DISTINCT v.domain, v.txn FROM version AS v WHERE NOT EXISTS "
            '(SELECT 1 FROM "transaction" AS t WHERE t.domain = v.domain AND t.number = v.txn)'
        )
    )
    with_history = {model for (model,) in db.rows("SELECT DISTINCT model FROM version WHERE kind <> 0")}
    for key, record, versions in _side_by_side(db, progress):
        where = names.record(key)
        if key[0] not in names.domains or key[1] not in names.models:
            yield f"there is a record of {where}"
        if record is None:
            yield f"{where}: there are versions, but no record"
        elif not versions:
            yield f"{where}: all its versions are missing"
        line = _Line(where)
        for row in versions:
            yield from line.take(row)
            if (key[0], row.txn) in no_transaction and (len(versions) > 1 or (row.vsn == 1 and key[1] in with_history)):
                yield f"{where}: transaction {row.txn}, which wrote version {row.vsn}, is missing"
        if record is not None and line.last is not None:
            yield from _newest(where, record, line.last, line.fields)


class _Line:
    """The versions of a record, one after the other. *fields*: of the last one, None where they can't be known."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.last: _Row | None = None
        self.fields: str | None = None

    def take(self, row: _Row) -> Iterator[str]:
        """What is wrong with the next version."""
        before, fields = self.last, self.fields
        here = f"{self.where}, version {row.vsn}"
        if before is None:
            if row.vsn < 1:
                yield f"{here}: versions begin with 1"
        elif row.vsn != before.vsn + 1:
            missing = f"{before.vsn + 1}" if row.vsn == before.vsn + 2 else f"{before.vsn + 1} to {row.vsn - 1}"
            yield f"{here}: is there twice" if row.vsn == before.vsn else f"{self.where}: version {missing} is missing"
            fields = None
        if before is not None and row.txn <= before.txn:
            yield f"{here}: transaction {row.txn} is not later than {before.txn}, which wrote version {before.vsn}"
        self.last, self.fields = row, None
        try:
            self.fields = _fields(row, fields, first=before is None)
        except (exc.StoreError, ValueError) as error:
            yield f"{here}: {error}"
            return
        if before is not None and before.kind in _WRITTEN and row.kind in _WRITTEN and fields and self.fields:
            _, _, changed = delta.row(row.vsn, fields, self.fields)
            if row.changed is None or sorted(_names(row.changed)) != sorted(changed or ()):
                yield f"{here}: it is said to have changed {row.changed}, and changed {sorted(changed or ())}"


def _fields(row: _Row, before: str | None, *, first: bool) -> str | None:
    """The fields of a version, None where those before it are not known. Raises ValueError or `StoreError` with what is
    wrong with its row."""
    if (row.kind in _WRITTEN) != (row.body is not None):
        raise ValueError("its body is missing" if row.body is None else "it has a body, and should have none")
    match row.kind:
        case delta.WHOLE:
            delta.row(row.vsn, "{}", row.body or "")  # it can be taken apart
            return row.body
        case delta.DELTA if delta.is_keyframe(row.vsn):
            raise ValueError("a whole version must stand here (each 32nd), and there is a delta")
        case delta.DELTA if first:
            raise ValueError("it is a delta, and there is nothing before it")
        case delta.DELTA:
            return None if before is None else delta.apply(before, row.body or "")
        case delta.DELETED if first:
            raise ValueError("it is a deletion, and there is nothing before it")
        case delta.DELETED:
            return before
        case delta.ERASED:
            return "{}"
    raise ValueError(f"there is no kind {row.kind}")


_WRITTEN = (delta.WHOLE, delta.DELTA)


def _names(text: str) -> list[str]:
    names = json.loads(text)
    return [str(name) for name in names] if isinstance(names, list) else []


def _newest(where: str, record: _Newest, last: _Row, fields: str | None) -> Iterator[str]:
    """What of a record is not as its last version says."""
    if record.vsn != last.vsn:
        yield f"{where}: the record is version {record.vsn}, and its last version is {last.vsn}"
        return
    if record.txn != last.txn:
        yield f"{where}: the record is of transaction {record.txn}, and its last version of {last.txn}"
    gone = {delta.DELETED: 1, delta.ERASED: 2}.get(last.kind, 0)
    if record.deleted != gone:
        words = {0: "is there", 1: "is deleted", 2: "is erased"}
        yield f"{where}: the record {words.get(record.deleted, 'is neither')}, and its last version {words[gone]}"
    elif fields is not None and record.fields != fields:
        yield f"{where}: its fields are not those of its last version"


# -- indexes -----------------------------------------------------------------------------------------------------------
def _index(db: Reading, names: _Names, model: int, name: str, kept: catalog.Kept, progress: Progress) -> Iterator[str]:
    table = catalog.Table(kept, db.dialect)
    # What the program computes can't be computed here.
    alike = [
        0,
        1,
        *(at for name, (n, _) in table.columns.items() if name not in table.computed for at in (2 * n + 2, 2 * n + 3)),
    ]
    its = itemgetter(*alike)
    of_model = f"FROM record WHERE model = {int(model)} AND deleted = 0"
    there = {
        "sqlite": f"SELECT 1 FROM sqlite_master WHERE name = '{kept.table}'",  # noqa: S608
        "postgresql": f"SELECT 1 WHERE to_regclass('{kept.table}') IS NOT NULL",
    }
    if not db.rows(there[db.dialect]):
        yield f"the index of {name}: there is no table {kept.table}"
        return
    total = db.rows(f"SELECT count(*) {of_model}")[0][0]
    records = db.stream(f"SELECT domain, uuid, fields {of_model} ORDER BY domain, uuid")
    indexed = db.stream(f'SELECT * FROM "{kept.table}" ORDER BY domain, uuid')  # noqa: S608
    row = next(indexed, None)
    for done, (domain, uuid, fields) in enumerate(records, 1):
        where = names.record((domain, model, uuid))
        while row is not None and (row[0], bytes(row[1])) < (domain, uuid):
            yield f"{names.record((row[0], model, row[1]))}: the index has a row of it, and there is no such record"
            row = next(indexed, None)
        if row is None or (row[0], bytes(row[1])) != (domain, uuid):
            yield f"{where}: the index has no row of it"
        else:
            try:
                if its(row) != its(table.row(domain, uuid, decode_fields(fields))):
                    yield f"{where}: the index has other values than the record"
            except (exc.Error, ValueError):
                pass  # its fields can't be read, which was said before
            row = next(indexed, None)
        progress(f"index of {name}", done, total)
    while row is not None:
        yield f"{names.record((row[0], model, row[1]))}: the index has a row of it, and there is no such record"
        row = next(indexed, None)


def _side_by_side(db: Reading, progress: Progress) -> Iterator[tuple[Key, _Newest | None, list[_Row]]]:
    """Every record with all its versions; also those of which there is only the one or the other."""
    total, done = db.rows("SELECT count(*) FROM version")[0][0], 0
    records = db.stream(
        "SELECT domain, model, uuid, vsn, txn, deleted, fields FROM record ORDER BY domain, model, uuid"
    )
    versions = groupby(
        db.stream(
            "SELECT domain, model, uuid, vsn, txn, kind, body, changed FROM version ORDER BY domain, model, uuid, vsn"
        ),
        key=itemgetter(0, 1, 2),
    )
    record, group = next(records, None), next(versions, None)
    while record is not None or group is not None:
        if group is None or (record is not None and record[:3] < group[0]):
            assert record is not None
            yield record[:3], _Newest(*record[3:]), []
            record = next(records, None)
            continue
        key = group[0]
        rows = [_Row(*row[3:]) for row in group[1]]
        newest = None
        if record is not None and record[:3] == key:
            newest, record = _Newest(*record[3:]), next(records, None)
        yield key, newest, rows
        done += len(rows)
        progress("versions", done, total)
        group = next(versions, None)
    progress("versions", done, total)
