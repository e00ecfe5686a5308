"""Permissions as records of any store.

limen.permission    a role and a pattern, under both; with history: who gave it, who took it away, when and why
limen.permissions   of each domain that ever had any: how often they changed, so that a server that looks every
                    second reads one row; no history
"""

from __future__ import annotations

import builtins

import msgspec

from limen.core.guard.accounts import Permission
from limen.core.record.port import RecordStore, Version

from .rows import Edit, alive, by_caller, drop, everything, key, put, until_fresh

PERMISSION = "limen.permission"
PERMISSIONS = "limen.permissions"


class _Permission(msgspec.Struct):
    role: str
    pattern: str


class _Count(msgspec.Struct):
    changes: int


_permission = msgspec.json.Decoder(_Permission).decode
_count = msgspec.json.Decoder(_Count).decode
_encode = msgspec.json.Encoder().encode


class Permissions:
    """See `limen.core.guard.accounts.PermissionStore`.

    >>> from limen.store.memory import MemDictStore
    >>> permissions = Permissions(MemDictStore().records)
    >>> permissions.grant("localhost", "nurse", "ward."), permissions.grant("localhost", "nurse", "ward.")
    (True, False)
    >>> permissions.list("localhost"), permissions.changes("localhost")
    ([Permission(domain='localhost', role='nurse', pattern='ward.')], 1)
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def grant(self, domain: str, role: str, pattern: str, *, reason: str = "") -> bool:
        return until_fresh(lambda: self._write(domain, role, pattern, reason or "granted", there=True))

    def revoke(self, domain: str, role: str, pattern: str, *, reason: str = "") -> bool:
        return until_fresh(lambda: self._write(domain, role, pattern, reason or "revoked", there=False))

    def list(self, domain: str | None = None) -> builtins.list[Permission]:
        names = self._records.domains() if domain is None else [domain]
        rows = [
            (name, _permission(row.fields)) for name in names for row in everything(self._records, name, PERMISSION)
        ]
        found = [Permission(name, row.role, row.pattern) for name, row in rows]
        return sorted(found, key=lambda p: (p.domain, p.pattern, p.role))

    def changes(self, domain: str) -> int:
        return _changes(self._records.read(domain, PERMISSIONS, key(domain))[1])

    # -- inside ------------------------------------------------------------------------------------
    def _write(self, domain: str, role: str, pattern: str, reason: str, *, there: bool) -> bool:
        edit, uuid = Edit(self._records, domain), key(role, pattern)
        before, count = edit.read(PERMISSION, uuid), edit.read(PERMISSIONS, key(domain))
        was = alive(before)
        if there is (was is not None):
            return False
        if was is None:
            change = put(PERMISSION, uuid, before, _encode(_Permission(role, pattern)).decode())
        else:
            change = drop(PERMISSION, was)
        counted = _encode(_Count(_changes(count) + 1)).decode()
        edit.commit(by_caller(domain, reason), [change, put(PERMISSIONS, key(domain), count, counted, keep=0)])
        return True


def _changes(row: Version | None) -> int:
    there = alive(row)
    return 0 if there is None else _count(there.fields).changes
