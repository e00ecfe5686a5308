"""Records in an SQL store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from limen.core.record.port import Change, Stale, Transaction, Version

from . import statements as sql
from .sqlite import File


class Names:
    """Names to the numbers that the tables carry. What was once committed is remembered."""

    def __init__(self, file: File, find: str, add: str) -> None:
        self._file, self._find, self._add = file, find, add
        self._known: dict[str, int] = {}

    def find(self, name: str) -> int | None:
        """The number of *name*, None where nothing was ever written under it."""
        number = self._known.get(name)
        if number is None:
            row = self._file.row(self._find, (name,))
            if row is None:
                return None
            number = self._known[name] = row[0]
        return number

    def make(self, writer: sqlite3.Connection, name: str) -> int:
        """The number of *name*. A new one belongs to the transaction of *writer*: not remembered before its end."""
        number = self._known.get(name)
        if number is not None:
            return number
        row = writer.execute(self._find, (name,)).fetchone()
        if row is None:
            row = (writer.execute(self._add, (name,)).lastrowid,)
        return int(row[0])


class SQLRecords:
    """See `limen.core.record.port.RecordStore`."""

    def __init__(self, file: File, domains: Names) -> None:
        self._file, self._domains = file, domains
        self._models = Names(file, sql.FIND_MODEL, sql.ADD_MODEL)

    def newest(self, domain: str, model: str, uuid: bytes) -> Version | None:
        row = self._file.row(sql.NEWEST, (self._domains.find(domain), self._models.find(model), uuid))
        return None if row is None else _version(row)

    def all(self, domain: str, model: str) -> list[Version]:
        rows = self._file.rows(sql.ALL, (self._domains.find(domain), self._models.find(model), 0))
        return [_version(row) for row in rows]

    def history(self, domain: str, model: str, uuid: bytes) -> list[tuple[Version, Transaction]]:
        rows = self._file.rows(sql.HISTORY, (self._domains.find(domain), self._models.find(model), uuid))
        return [(_version(row[:5]), Transaction(*row[5:])) for row in rows]

    def transaction(self, number: int) -> Transaction | None:
        row = self._file.row(sql.TRANSACTION, (number,))
        return None if row is None else Transaction(*row)

    def highest(self) -> int:
        return self._file.row(sql.HIGHEST)[0] or 0

    def commit(self, transaction: Transaction, changes: Sequence[Change]) -> int:
        txn = self._file.write(lambda writer: self._commit(writer, transaction, changes))
        self._domains.find(transaction.domain)
        for change in changes:
            self._models.find(change.model)
        return txn

    def _commit(self, writer: sqlite3.Connection, who: Transaction, changes: Sequence[Change]) -> int:
        execute = writer.execute
        domain = self._domains.make(writer, who.domain)
        txn = execute(
            sql.ADD_TRANSACTION,
            (domain, who.user, who.impersonator, who.service, who.origin, who.reason, who.time),
        ).lastrowid
        for change in changes:
            name, uuid, base, fields, deleted = change
            model = self._models.make(writer, name)
            try:
                row = execute(sql.ADD_VERSION, (domain, model, uuid, base + 1, txn, fields, int(deleted))).lastrowid
                if base == 0:
                    execute(sql.ADD_NEWEST, (domain, model, uuid, 1, int(deleted), row))
                elif not execute(sql.MOVE_NEWEST, (base + 1, int(deleted), row, domain, model, uuid, base, 0)).rowcount:
                    raise self._stale(writer, change, domain, model)
            except sqlite3.IntegrityError:  # that version is there already
                raise self._stale(writer, change, domain, model) from None
        return txn  # type: ignore[return-value]

    def _stale(self, writer: sqlite3.Connection, change: Change, domain: int, model: int) -> Stale:
        # Asked on the writer, which sees what is committed; our own half of it is about other records or not there.
        found = writer.execute(sql.NEWEST, (domain, model, change.uuid)).fetchone()
        if found is None:
            return Stale(change, None, None)
        newest = _version(found)
        by = writer.execute(sql.TRANSACTION, (newest.txn,)).fetchone()
        return Stale(change, newest, Transaction(*by))


def _version(row: tuple[bytes, int, int, str, int]) -> Version:
    return Version(row[0], row[1], row[2], row[3], row[4] == 1)
