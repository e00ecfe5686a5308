"""The neutral notation of `vectors/values.json`: `{"type": "decimal", "text": "1.50"}` and the value it stands for."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from limen import exc
from limen.base.files import Given, Sent


class Color(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    y: Decimal


class Dotted:
    """Like a Hict or a record: what has a to_dict()."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self.content = content

    def to_dict(self) -> dict[Any, Any]:
        return self.content


def value(note: dict[str, Any]) -> Any:
    """The Python value that *note* stands for."""
    kind = note["type"]
    if kind in TEXTS:
        return TEXTS[kind](note["text"])
    if kind in ("list", "tuple", "set", "frozenset"):
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](map(value, note["items"]))
    if kind == "dict":
        return {value(key): value(item) for key, item in note["items"]}
    if kind == "dataclass":
        return Point(**{key: value(item) for key, item in note["fields"].items()})
    if kind == "hict":
        return Dotted(value(note["dict"]))
    if kind == "error":
        return exc.TABLE[note["exc"]](*note["err"], **{key: value(item) for key, item in note["facts"].items()})
    if kind == "given":
        return Given(**note["facts"])
    raise ValueError(kind)


TEXTS: dict[str, Any] = {
    "none": lambda text: None,
    "bool": lambda text: text == "true",
    "int": int,
    "float": float,
    "str": str,
    "bytes": bytes.fromhex,
    "decimal": Decimal,
    "uuid": UUID,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "datetime": datetime.fromisoformat,
    "timedelta": lambda text: timedelta(microseconds=int(text)),
    "enum": Color,
    "sent": Sent,
}


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down (NaN equals NaN)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set | frozenset):
        return a == b and {type(x) for x in a} == {type(x) for x in b}
    if isinstance(a, exc.Error):
        return same(a.to_wire(), b.to_wire())
    if isinstance(a, Sent):
        return a == b
    return repr(a) == repr(b)
