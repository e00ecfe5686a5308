"""What a unit's records were at one point of its work."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .identity import NEW, IdentityMap
from .record import decode_fields

_Saved = tuple[int, dict[str, Any], bool]
"""State, fields, touched."""


class Savepoint:
    """Takes a copy of all that the unit has at hand; what it comes to know later is not in it."""

    __slots__ = ("_saved",)

    def __init__(self, maps: Mapping[type, IdentityMap]) -> None:
        self._saved: dict[int, dict[bytes, _Saved]] = {}
        for loaded in maps.values():
            self._saved[id(loaded)] = {
                key: (loaded.states[key], deepcopy(record._fields), record._touched)
                for key, record in loaded.records.items()
            }

    def restore(self, maps: Mapping[type, IdentityMap]) -> None:
        """The records are what they were. Those that were first read since are as they were read; those that were
        inserted since, or taken over from another unit, are no longer the unit's."""
        for loaded in dict.fromkeys(maps.values()):
            saved = self._saved.get(id(loaded), {})
            for key, record in [*loaded.records.items()]:
                known = saved.get(key)
                if known is not None:
                    loaded.states[key], fields, touched = known
                    record._put_back(fields, touched)
                elif loaded.states[key] < NEW:
                    record._put_back(decode_fields(record._stored), False)
                else:
                    del loaded.records[key], loaded.states[key]
                    loaded.note_key(key)
