"""Keys of machines as records of any store, beside the accounts that they belong to.

    limen.key      a key, under its id
    limen.keys     of each user that has any: their ids

Neither keeps history: of a key that was removed nothing is left. An account that is removed takes its keys along, in
the same transaction (`accounts.py`).
"""

from __future__ import annotations

import builtins

import msgspec

from limen.core.guard.accounts import MachineKey
from limen.core.record.port import Change, RecordStore, Version

from .ended import telling
from .rows import Edit, alive, by_caller, drop, everything, key, put, until_fresh

KEY = "limen.key"
KEYS = "limen.keys"


class _Key(msgspec.Struct):
    user: str
    kind: str
    public: bytes
    key_number: int
    created: float


class _Ids(msgspec.Struct):
    user: str
    ids: list[bytes]


_key = msgspec.json.Decoder(_Key).decode
_ids = msgspec.json.Decoder(_Ids).decode
_encode = msgspec.json.Encoder().encode


class MachineKeys:
    """See `limen.core.guard.accounts.KeyStore`. *alone*: no other server works on *records*.

    >>> from limen.store.memory import MemDictStore
    >>> keys = MachineKeys(MemDictStore().records)
    >>> keys.put(MachineKey("localhost", "robot", bytes(16), "x25519", bytes(32)))
    True
    >>> keys.get("localhost", bytes(16)).user, keys.get("other.example", bytes(16))
    ('robot', None)
    """

    def __init__(self, records: RecordStore, *, alone: bool = True) -> None:
        self._records, self._alone = records, alone

    def get(self, domain: str, id: bytes) -> MachineKey | None:
        version = alive(self._records.read(domain, KEY, id)[1])
        return None if version is None else _as_key(domain, version)

    def put(self, machine: MachineKey) -> bool:
        def work() -> bool:
            edit = Edit(self._records, machine.domain)
            before, of_user = edit.read(KEY, machine.id), edit.read(KEYS, key(machine.user))
            if alive(before) is not None:
                return False
            row = _Key(machine.user, machine.kind, machine.public, machine.key_number, machine.created)
            ids = _Ids(machine.user, [*_of_user(of_user), machine.id])
            changes = [
                put(KEY, machine.id, before, _encode(row).decode(), keep=0),
                put(KEYS, key(machine.user), of_user, _encode(ids).decode(), keep=0),
            ]
            edit.commit(by_caller(machine.domain, "key added"), changes)
            return True

        return until_fresh(work)

    def remove(self, domain: str, id: bytes) -> MachineKey | None:
        def work() -> MachineKey | None:
            edit = Edit(self._records, domain)
            before = alive(edit.read(KEY, id))
            if before is None:
                return None
            machine = _as_key(domain, before)
            of_user = edit.read(KEYS, key(machine.user))
            changes = [drop(KEY, before, keep=0)]
            if of_user is not None and not of_user.deleted:
                left = [other for other in _of_user(of_user) if other != id]
                rest = _encode(_Ids(machine.user, left)).decode()
                row = put(KEYS, of_user.uuid, of_user, rest, keep=0) if left else drop(KEYS, of_user, keep=0)
                changes.append(row)
            if not self._alone:
                changes.append(telling(edit, machine.user))
            edit.commit(by_caller(domain, "key removed"), changes)
            return machine

        return until_fresh(work)

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[MachineKey]:
        names = self._records.domains() if domain is None else [domain]
        found = [_as_key(name, version) for name in names for version in everything(self._records, name, KEY)]
        wanted = [machine for machine in found if user in (None, machine.user)]
        return sorted(wanted, key=lambda machine: (machine.domain, machine.user, machine.created, machine.id))


def ending_keys(edit: Edit, user: str) -> list[Change]:
    """What ends all keys of a user, to be committed with *edit*."""
    of_user = edit.read(KEYS, key(user))
    if of_user is None or of_user.deleted:
        return []
    rows = (alive(edit.read(KEY, id)) for id in _of_user(of_user))
    return [drop(KEYS, of_user, keep=0), *(drop(KEY, row, keep=0) for row in rows if row is not None)]


def _of_user(row: Version | None) -> list[bytes]:
    there = alive(row)
    return [] if there is None else _ids(there.fields).ids


def _as_key(domain: str, version: Version) -> MachineKey:
    row = _key(version.fields)
    return MachineKey(domain, row.user, version.uuid, row.kind, row.public, row.key_number, row.created)
