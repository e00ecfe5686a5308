"""Accounts, slots, the ledger and what a database knows of itself, in an SQL store."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from limen.core.guard.accounts import Account, LedgerRow, Slot

from . import statements as sql
from .sqlite import File
from .sqlrecords import Names, SQLRecords


def _bump(writer: sqlite3.Connection) -> None:
    """Counts a change of accounts or slots: a database that was put back is recognised by such numbers, too."""
    writer.execute(sql.BUMP, ("changes", "1"))


class SQLAccounts:
    """See `limen.core.guard.accounts.AccountStore`."""

    def __init__(self, file: File, domains: Names) -> None:
        self._file, self._domains = file, domains
        self.changes = 0  # one server a file, and it is told whatever changes: see Claim

    def get(self, domain: str, user: str) -> Account | None:
        row = self._file.row(sql.ACCOUNT, (domain, user))
        return None if row is None else _account(row)

    def put(self, account: Account, *, create: bool = False) -> bool:
        a = account
        roles, profile = json.dumps(list(a.roles)), json.dumps(dict(a.profile))

        def work(writer: sqlite3.Connection) -> bool:
            domain = self._domains.make(writer, a.domain)
            row = (domain, a.user, a.record, a.key_number, roles, profile, int(a.disabled), a.created)
            try:
                writer.execute(sql.ADD_ACCOUNT if create else sql.PUT_ACCOUNT, row)
            except sqlite3.IntegrityError:
                if not create:
                    raise
                return False
            _bump(writer)
            return True

        done = self._file.write(work)
        self.changes += done  # only now: what is read from here on has it
        return done

    def remove(self, domain: str, user: str) -> bool:
        def work(writer: sqlite3.Connection) -> bool:
            of = self._domains.make(writer, domain)
            _end(writer, (row[1] for row in writer.execute(sql.SLOTS_OF_USER, (domain, user)).fetchall()))
            if not writer.execute(sql.REMOVE_ACCOUNT, (of, user)).rowcount:
                return False
            _bump(writer)
            return True

        done = self._domains.find(domain) is not None and self._file.write(work)
        self.changes += done
        return done

    def list(self, domain: str | None = None) -> builtins.list[Account]:
        rows = self._file.rows(sql.ACCOUNTS) if domain is None else self._file.rows(sql.ACCOUNTS_OF, (domain,))
        return [_account(row) for row in rows]


class SQLSlots:
    """See `limen.core.guard.accounts.SlotStore`."""

    def __init__(self, file: File, domains: Names) -> None:
        self._file, self._domains = file, domains

    def get(self, handle: bytes) -> Slot | None:
        row = self._file.row(sql.SLOT, (handle,))
        return None if row is None else _slot(row)

    def put(self, slot: Slot, *, at_most: int | None = None) -> bool:
        s = slot

        def work(writer: sqlite3.Connection) -> bool:
            domain = self._domains.make(writer, s.domain)
            if at_most is not None:
                of_user = writer.execute(sql.SLOTS_OF_USER, (s.domain, s.user)).fetchall()
                if sum(row[1] != s.handle for row in of_user) >= at_most:
                    return False
            row = (s.handle, domain, s.user, s.public, s.opened, s.used, s.login, s.epoch, s.origin, s.key_number)
            writer.execute(sql.PUT_SLOT, row)
            _bump(writer)
            return True

        return self._file.write(work)

    def remove(self, handle: bytes) -> bool:
        return bool(self._file.write(lambda writer: _end(writer, [handle])))

    def remove_user(self, domain: str, user: str, *, keep: bytes | None = None) -> builtins.list[bytes]:
        def work(writer: sqlite3.Connection) -> builtins.list[bytes]:
            rows = writer.execute(sql.SLOTS_OF_USER, (domain, user)).fetchall()
            return _end(writer, (row[1] for row in rows if row[1] != keep))

        return self._file.write(work)

    def touch(self, used: Mapping[bytes, float]) -> None:
        if used:
            rows = [(time, handle, time) for handle, time in used.items()]
            self._file.write(lambda writer: writer.executemany(sql.TOUCH_SLOT, rows))

    def count(self, domain: str, user: str) -> int:
        return len(self.list(domain, user))

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[Slot]:
        if domain is None:
            rows = self._file.rows(sql.SLOTS)
        elif user is None:
            rows = self._file.rows(sql.SLOTS_OF, (domain,))
        else:
            rows = self._file.rows(sql.SLOTS_OF_USER, (domain, user))
        return [slot for slot in map(_slot, rows) if user in (None, slot.user)]

    def purge(self, *, used_before: float, login_before: float, epoch: int) -> builtins.list[bytes]:
        dead = (used_before, login_before, epoch)
        if not self._file.rows(sql.DEAD_SLOTS, dead):
            return []

        def work(writer: sqlite3.Connection) -> builtins.list[bytes]:
            return _end(writer, (row[0] for row in writer.execute(sql.DEAD_SLOTS, dead).fetchall()))

        return self._file.write(work)


class SQLLedger:
    """See `limen.core.guard.accounts.LedgerStore`."""

    def __init__(self, file: File) -> None:
        self._file = file

    def load(self, now: float) -> list[LedgerRow]:
        return [LedgerRow(*row) for row in self._file.rows(sql.LEDGER, (now,))]

    def flush(self, batch: Iterable[LedgerRow], now: float) -> None:
        rows = list(batch)
        kept = [(r.domain, r.scope, r.key, r.until, r.data) for r in rows if r.data is not None]
        gone = [(r.domain, r.scope, r.key) for r in rows if r.data is None]

        def work(writer: sqlite3.Connection) -> None:
            writer.executemany(sql.PUT_LEDGER, kept)
            writer.executemany(sql.REMOVE_LEDGER, gone)
            writer.execute(sql.EXPIRE_LEDGER, (now,))

        self._file.write(work)

    def clear(self, domain: str | None = None, key: str | None = None) -> int:
        if domain is None:
            return self._file.do(sql.CLEAR_LEDGER) if key is None else self._file.do(sql.CLEAR_LEDGER_KEY, key)
        if key is None:
            return self._file.do(sql.CLEAR_LEDGER_OF, domain)
        return self._file.do(sql.CLEAR_LEDGER_KEY_OF, domain, key)


class SQLMeta:
    """See `limen.core.guard.accounts.MetaStore`."""

    def __init__(self, file: File, records: SQLRecords) -> None:
        self._file, self._records = file, records
        self.database_id: str = file.row(sql.META, ("database_id",))[0]

    def get(self, name: str) -> str | None:
        row = self._file.row(sql.META, (name,))
        return None if row is None else row[0]

    def set(self, name: str, value: str) -> None:
        self._file.do(sql.SET_META, name, value)

    def highest_txn(self) -> int:
        return self._records.highest() + int(self.get("changes") or 0)


def _account(row: tuple[Any, ...]) -> Account:
    domain, user, record, key_number, roles, profile, disabled, created = row
    return Account(
        domain, user, record, key_number, tuple(json.loads(roles)), json.loads(profile), disabled == 1, created
    )


def _slot(row: tuple[Any, ...]) -> Slot:
    domain, handle, user, public, opened, used, login, epoch, origin, key_number = row
    return Slot(handle, domain, user, public, opened, used, login, epoch, origin, key_number)


def _end(writer: sqlite3.Connection, handles: Iterable[bytes]) -> list[bytes]:
    gone = [handle for handle in handles if writer.execute(sql.REMOVE_SLOT, (handle,)).rowcount]
    if gone:
        _bump(writer)
    return gone
