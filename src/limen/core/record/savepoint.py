"""What a unit's records were at one point of its work."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .record import decode_fields
from .shelf import NEW, Shelf

_Saved = tuple[int, dict[str, Any], bool]
"""State, fields, touched."""


class Savepoint:
    """Takes a copy of all that the unit has at hand; what it comes to know later is not in it."""

    __slots__ = ("_saved",)

    def __init__(self, shelves: Mapping[type, Shelf]) -> None:
        self._saved: dict[int, dict[bytes, _Saved]] = {}
        for shelf in shelves.values():
            self._saved[id(shelf)] = {
                key: (shelf.states[key], deepcopy(record._fields), record._touched)
                for key, record in shelf.records.items()
            }

    def restore(self, shelves: Mapping[type, Shelf]) -> None:
        """The records are what they were. Those that were first read since are as they were read; those that were
        inserted since, or taken over from another unit, are no longer the unit's."""
        for shelf in dict.fromkeys(shelves.values()):
            saved = self._saved.get(id(shelf), {})
            for key, record in [*shelf.records.items()]:
                known = saved.get(key)
                if known is not None:
                    shelf.states[key], fields, touched = known
                    record._put_back(fields, touched)
                elif shelf.states[key] < NEW:
                    record._put_back(decode_fields(record._stored), False)
                else:
                    del shelf.records[key], shelf.states[key]
                    shelf.read(key)
