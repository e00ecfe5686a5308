"""What a version's row holds: the whole fields now and then (a keyframe), else what is different from the version
before.

    whole     {"text":"a","done":false}
    delta     {"set":{"done":true}}            "set": fields that are new or different; "unset": names that are gone

Deltas are by top-level field. Values are never decoded: they are compared and copied as text. `apply` gives back
exactly the text that was committed; where a delta could not (the order of the fields is another), or where it would not
be smaller, the whole fields are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from limen import exc

WHOLE, DELTA, DELETED, ERASED = range(4)
"""Kinds of a version's row."""

GROUP: Final = 32
"""Each GROUP versions there is a keyframe: reading a version takes at most so many rows."""

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


def is_keyframe(vsn: int) -> bool:
    """True for the versions that are always kept whole: 1, 33, 65 …

    >>> [vsn for vsn in range(1, 100) if is_keyframe(vsn)]
    [1, 33, 65, 97]
    """
    return vsn % GROUP == 1


def keyframe(vsn: int) -> int:
    """The keyframe from which version *vsn* can be read: the greatest that is not greater.

    >>> keyframe(1), keyframe(32), keyframe(33), keyframe(40)
    (1, 1, 33, 33)
    """
    return (vsn - 1) // GROUP * GROUP + 1


def row(vsn: int, before: str | None, after: str) -> tuple[int, str, tuple[str, ...] | None]:
    """Kind, body and changed names of the row of version *vsn* with the fields *after*, where the version before it had
    the fields *before* (None: there is none).

    >>> row(1, None, '{"a":1,"b":2}')
    (0, '{"a":1,"b":2}', None)
    >>> row(2, '{"a":1,"b":"long enough"}', '{"a":2,"b":"long enough"}')
    (1, '{"set":{"a":2}}', ('a',))
    >>> row(33, '{"a":1,"b":"long enough"}', '{"a":2,"b":"long enough"}')
    (0, '{"a":2,"b":"long enough"}', ('a',))
    """
    if before is None:
        return WHOLE, after, None
    if before == after:
        return (WHOLE, after, ()) if is_keyframe(vsn) else (DELTA, "{}", ())
    old, new = _fields(before), _fields(after)
    put = {name: value for name, value in new.items() if name not in old or bytes(old[name]) != bytes(value)}
    gone = [name for name in old if name not in new]
    changed = tuple(sorted([*put, *gone]))
    if is_keyframe(vsn) or [*(name for name in old if name in new), *(name for name in put if name not in old)] != [
        *new
    ]:
        return WHOLE, after, changed
    body: dict[str, object] = {}
    if put:
        body["set"] = put
    if gone:
        body["unset"] = gone
    delta = _encode(body).decode()
    return (DELTA, delta, changed) if len(delta) < len(after) else (WHOLE, after, changed)


def names(before: str, after: str) -> tuple[str, ...]:
    """The names of the fields that are different, sorted.

    >>> names('{"a":1,"b":2,"c":3}', '{"c":3,"b":1,"d":0}')
    ('a', 'b', 'd')
    """
    old, new = _fields(before), _fields(after)
    put = [name for name, value in new.items() if name not in old or bytes(old[name]) != bytes(value)]
    return tuple(sorted([*put, *(name for name in old if name not in new)]))


def pick(fields: str, of: Iterable[str]) -> dict[str, bytes]:
    """Of each of the fields *of* that there is, its value as text.

    >>> pick('{"a":1,"b":"x"}', ["b", "c"])
    {'b': b'"x"'}
    """
    found = _fields(fields)
    return {name: bytes(found[name]) for name in of if name in found}


def apply(before: str, delta: str) -> str:
    """The fields of the version that *delta* describes, where the one before had the fields *before*.

    >>> apply('{"a":1,"b":2}', '{"set":{"a":3,"c":4},"unset":["b"]}')
    '{"a":3,"c":4}'
    """
    if delta == "{}":
        return before
    try:
        parts, fields = _split(delta), _fields(before)
        for name in _list(parts["unset"]) if "unset" in parts else ():
            fields.pop(name, None)
        if "set" in parts:
            fields.update(_split(parts["set"]))
        if len(fields) == 1:
            [(name, value)] = fields.items()
            if name[:1] == "$":
                fields = {"$" + name: value}
        return _encode(fields).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise exc.StoreError("A version of a stored record is damaged.") from None


def rebuild(rows: Iterable[tuple[int, str | None]]) -> str:
    """The fields of the last of *rows*, each (kind, body), that follow each other from a keyframe on. A deletion leaves
    the fields as they were; an erased version has none.

    >>> rebuild([(WHOLE, '{"a":1}'), (DELTA, '{"set":{"b":2}}'), (DELETED, None)])
    '{"a":1,"b":2}'
    """
    fields = ""
    for kind, body in rows:
        fields = step(fields, kind, body)
    return fields


def step(before: str, kind: int, body: str | None) -> str:
    """The fields of a version with the row (*kind*, *body*), where the version before had the fields *before*."""
    if kind == WHOLE:
        return body or ""
    if kind == DELTA:
        return apply(before, body or "")
    return "{}" if kind == ERASED else before


def _fields(text: str) -> dict[str, msgspec.Raw]:
    """By the names that the program sees: one alone that begins with "$" was written with one more
    (`limen.base.values`)."""
    try:
        fields = _split(text)
        if len(fields) == 1:
            [(name, value)] = fields.items()
            if name[:2] == "$$":
                return {name[1:]: value}
        return fields
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise exc.StoreError("The fields of a stored record are damaged.") from None
