"""`MemDictStore`: everything in dicts of this process. The reference that other stores are compared with; forgets at
exit."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from limen.core.guard.accounts import Account, LedgerRow, Slot
from limen.core.record.port import Change, Stale, Transaction, Version


class MemDictStore:
    """A store that needs nothing and keeps nothing.

    >>> store = MemDictStore()
    >>> store.meta.set("epoch", "2")
    >>> store.meta.get("epoch"), store.meta.highest_txn()
    ('2', 0)
    """

    url = ""

    def __init__(self) -> None:
        self.records = _Records()
        self.slots = _Slots()
        self.accounts = _Accounts(self.slots)
        self.ledger = _Ledger()
        self.meta = _Meta(lambda: self.records.highest() + self.slots.changes + self.accounts.changes)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """No other process can reach this store."""
        yield

    def close(self) -> None:
        """Nothing to let go of."""


class _Records:
    def __init__(self) -> None:
        self._lock = Lock()
        self._transactions: list[Transaction] = []
        self._versions: dict[tuple[str, str], dict[bytes, list[Version]]] = {}

    def newest(self, domain: str, model: str, uuid: bytes) -> Version | None:
        versions = self._versions.get((domain, model), {}).get(uuid)
        return versions[-1] if versions else None

    def all(self, domain: str, model: str) -> list[Version]:
        with self._lock:  # the records as they are at one moment
            newest = [versions[-1] for versions in self._versions.get((domain, model), {}).values()]
        return sorted(version for version in newest if not version.deleted)

    def history(self, domain: str, model: str, uuid: bytes) -> list[tuple[Version, Transaction]]:
        with self._lock:
            versions = list(self._versions.get((domain, model), {}).get(uuid, ()))
        return [(version, self._transactions[version.txn - 1]) for version in versions]

    def transaction(self, number: int) -> Transaction | None:
        return self._transactions[number - 1] if 1 <= number <= len(self._transactions) else None

    def commit(self, transaction: Transaction, changes: Sequence[Change]) -> int:
        domain = transaction.domain
        with self._lock:
            for change in changes:
                newest = self.newest(domain, change.model, change.uuid)
                if change.base != (newest.vsn if newest else 0) or (newest and newest.deleted):
                    raise Stale(change, newest, self.transaction(newest.txn) if newest else None)
            number = len(self._transactions) + 1
            self._transactions.append(transaction._replace(number=number))
            for change in changes:
                version = Version(change.uuid, change.base + 1, number, change.fields, change.deleted)
                of_model = self._versions.setdefault((domain, change.model), {})
                of_model.setdefault(change.uuid, []).append(version)
            return number

    def highest(self) -> int:
        return len(self._transactions)


class _Slots:
    def __init__(self) -> None:
        self.changes = 0
        self._lock = Lock()
        self._rows: dict[bytes, Slot] = {}

    def get(self, handle: bytes) -> Slot | None:
        return self._rows.get(handle)

    def put(self, slot: Slot, *, at_most: int | None = None) -> bool:
        with self._lock:
            others = [s for s in self.list(slot.domain, slot.user) if s.handle != slot.handle]
            if at_most is not None and len(others) >= at_most:
                return False
            self._rows[slot.handle] = slot
            self.changes += 1
            return True

    def remove(self, handle: bytes) -> bool:
        with self._lock:
            return bool(self._end([handle]))

    def remove_user(self, domain: str, user: str, *, keep: bytes | None = None) -> list[bytes]:
        with self._lock:
            return self._end(s.handle for s in self.list(domain, user) if s.handle != keep)

    def touch(self, used: Mapping[bytes, float]) -> None:
        with self._lock:
            for handle, time in used.items():
                slot = self._rows.get(handle)
                if slot is not None and slot.used < time:
                    self._rows[handle] = replace(slot, used=time)

    def count(self, domain: str, user: str) -> int:
        return len(self.list(domain, user))

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[Slot]:
        rows = [s for s in tuple(self._rows.values()) if domain in (None, s.domain) and user in (None, s.user)]
        return sorted(rows, key=lambda s: (s.opened, s.handle))

    def purge(self, *, used_before: float, login_before: float, epoch: int) -> builtins.list[bytes]:
        with self._lock:
            return self._end(
                s.handle for s in self.list() if s.used < used_before or s.login < login_before or s.epoch != epoch
            )

    def _end(self, handles: Iterable[bytes]) -> builtins.list[bytes]:
        gone = [handle for handle in builtins.list(handles) if self._rows.pop(handle, None) is not None]
        self.changes += len(gone)
        return gone


class _Accounts:
    def __init__(self, slots: _Slots) -> None:
        self.changes = 0
        self._lock = Lock()
        self._slots = slots
        self._rows: dict[tuple[str, str], Account] = {}

    def get(self, domain: str, user: str) -> Account | None:
        return self._rows.get((domain, user))

    def put(self, account: Account, *, create: bool = False) -> bool:
        with self._lock:
            if create and (account.domain, account.user) in self._rows:
                return False
            self._rows[account.domain, account.user] = replace(account, profile=dict(account.profile))
            self.changes += 1
            return True

    def remove(self, domain: str, user: str) -> bool:
        with self._lock:
            self._slots.remove_user(domain, user)
            found = self._rows.pop((domain, user), None) is not None
            self.changes += found
            return found

    def list(self, domain: str | None = None) -> builtins.list[Account]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [account for (of, _), account in rows if domain in (None, of)]


class _Ledger:
    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: dict[tuple[str, str, str], LedgerRow] = {}

    def load(self, now: float) -> list[LedgerRow]:
        with self._lock:
            return [row for row in self._rows.values() if row.until > now]

    def flush(self, batch: Iterable[LedgerRow], now: float) -> None:
        with self._lock:
            self._rows.update({(row.domain, row.scope, row.key): row for row in batch})
            self._rows = {key: row for key, row in self._rows.items() if row.data is not None and row.until > now}

    def clear(self, domain: str | None = None, key: str | None = None) -> int:
        with self._lock:
            gone = [k for k in self._rows if domain in (None, k[0]) and key in (None, k[2])]
            for row in gone:
                del self._rows[row]
            return len(gone)


class _Meta:
    def __init__(self, highest: Callable[[], int]) -> None:
        self.highest_txn = highest
        self._values: dict[str, str] = {}
        self.database_id = secrets.token_hex(16)

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        self._values[name] = value
