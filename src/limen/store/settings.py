"""What a database knows of itself, as records of any store: its id, its epoch, the fingerprints of its keys."""

from __future__ import annotations

import secrets

import msgspec

from limen.core.record.port import RecordStore, Version

from .rows import Edit, alive, key, own, put, until_fresh

SETTING = "limen.setting"
"""A record for each, in the domain ''."""
NOWHERE = ""
"""The domain of what belongs to no tenant."""
ID = "database_id"


class _Setting(msgspec.Struct):
    name: str
    value: str


_decode = msgspec.json.Decoder(_Setting).decode


class Settings:
    """See `limen.core.guard.accounts.MetaStore`.

    >>> from limen.store.memory import MemDictStore
    >>> settings = Settings(MemDictStore().records)
    >>> settings.set("epoch", "2")
    >>> settings.get("epoch"), len(settings.database_id)
    ('2', 32)
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._id: str | None = None

    @property
    def database_id(self) -> str:
        if self._id is None:
            self.swap(ID, None, secrets.token_hex(16))  # of two processes the second finds that of the first
            self._id = self.get(ID)
        return self._id or ""

    def get(self, name: str) -> str | None:
        return _value(self._records.read(NOWHERE, SETTING, key(name))[1])

    def set(self, name: str, value: str) -> None:
        while not self.swap(name, self.get(name), value):
            """Somebody else has set it meanwhile."""

    def swap(self, name: str, was: str | None, value: str) -> bool:
        def work() -> bool:
            edit = Edit(self._records, NOWHERE)
            before = edit.read(SETTING, key(name))
            if _value(before) != was:
                return False
            if was != value:
                fields = msgspec.json.encode(_Setting(name, value)).decode()
                edit.commit(own(NOWHERE), [put(SETTING, key(name), before, fields, keep=0)])
            return True

        return until_fresh(work)

    def progress(self) -> int:
        return self._records.progress()


def _value(version: Version | None) -> str | None:
    there = alive(version)
    return None if there is None else _decode(there.fields).value
