"""Why a value cannot travel, and the bounds that say so."""

from __future__ import annotations

from typing import Final, Literal

from limen import exc

Encoding = Literal["json", "msgpack", "cbor"]

MAX_DEPTH: Final = 128
"""Deepest nesting of lists and dicts, counted in the tree that travels."""
MAX_DIGITS: Final = 4300
"""Most digits of an int or a Decimal (Python's own bound for int(text), whose cost grows with the square)."""
MAX_EXPONENT: Final = 6144
"""Largest exponent of a Decimal (decimal128's), so that int() or format() of one can't be a bomb."""
SAFE_INT: Final = 2**53 - 1
"""Largest int that a JavaScript number holds exactly."""


class Refused(Exception):
    """Raised where a walk stops; each level adds its key to `path` as the walk unwinds."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.path: list[object] = []

    def error(self) -> exc.InvalidValue:
        """The error for the caller, with the path written out: `$.a[2]`.

        >>> refused = Refused("No.")
        >>> refused.path += [2, "a", "not a name"]
        >>> refused.error()
        InvalidValue("No. At: $['not a name'].a[2]")
        """
        path = "$" + "".join(map(_segment, reversed(self.path)))
        return exc.InvalidValue(f"{self.why} At: {path}", path=path)


def _segment(key: object) -> str:
    if type(key) is int:
        return f"[{key}]"
    text = str(key)[:64].encode("utf-8", "replace").decode()
    return f".{text}" if text.isidentifier() else f"['{text}']"


def too_deep() -> Refused:
    return Refused(f"Values nest at most {MAX_DEPTH} deep.")
