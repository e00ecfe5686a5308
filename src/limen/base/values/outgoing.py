"""From values to plain trees: one walk for each encoding and kind of peer, built once.

A walk looks at the exact type of each value, leaves alone what passes as it is, and copies a list or dict only when
something in it has changed: most payloads are plain already, and cost one look at each item.
"""

from __future__ import annotations

import dataclasses
import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

import msgspec

from limen import exc
from limen.base.files import File, Given, Sent, Upload
from limen.base.values.refused import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, SAFE_INT, Encoding, Refused, too_deep

Walk = Callable[[Any, int], Any]
"""(value, depth: how many lists and dicts are round it) -> plain tree."""

_MAX_BITS = 14_284
"""Bits of the largest int of MAX_DIGITS digits."""
_RANGES = {"json": (-(2**53), 2**53), "msgpack": (-(2**63), 2**64 - 1), "cbor": (-(2**512), 2**512 - 1)}
"""The ints that a plain peer gets without a further look."""


def _walker(encoding: Encoding, tagged: bool) -> Walk:
    json = encoding == "json"
    passes: frozenset[type] = frozenset({type(None), bool} if json else {type(None), bool, float, bytes})
    # A plain JSON peer takes a text that begins with U+0000 for bytes: there, texts have to be looked at.
    texts_pass = tagged or not json
    low, high = (-SAFE_INT, SAFE_INT) if tagged else _RANGES[encoding]

    def walk(value: Any, depth: int) -> Any:
        kind = type(value)
        # Lists and dicts first: what stands in them is looked at there, and comes here only if it is odd.
        if kind is list:
            return list_(value, depth)
        if kind is dict:
            return dict_(value, depth)
        if kind is str:
            if not texts_pass and value[:1] == "\0":
                raise Refused("In JSON a text that begins with U+0000 would be taken for bytes.")
            return value
        if kind in passes or (kind is int and low <= value <= high):
            return value
        make = makers.get(kind)
        return make(value, depth) if make is not None else other(value, depth)

    def dict_(value: dict[Any, Any], depth: int) -> Any:
        if depth >= MAX_DEPTH:
            raise too_deep()
        changed = None
        key: Any = None
        try:
            for key, item in value.items():
                if type(key) is not str:
                    break
                kind = type(item)
                if kind is str:
                    if not texts_pass and item[:1] == "\0":
                        walk(item, depth)
                elif kind in passes or (kind is int and low <= item <= high):
                    pass
                elif (new := walk(item, depth + 1)) is not item:
                    if changed is None:
                        changed = value.copy()
                    changed[key] = new
        except Refused as refused:
            refused.path.append(key)
            raise
        if type(key) is not str and value:
            return odd_keys(value, depth)
        out = value if changed is None else changed
        if tagged and len(out) == 1 and key[:1] == "$":
            return {"$" + key: out[key]}
        return out

    def odd_keys(value: dict[Any, Any], depth: int) -> Any:
        keys = [_key(key, tagged) for key in value]
        if all(type(key) is str for key in keys):
            if len(set(keys)) != len(keys):
                raise Refused("Two keys of this dict are the same text.")
            return dict_(dict(zip(keys, value.values(), strict=True)), depth)
        pairs = [[key, item] for key, item in zip(keys, value.values(), strict=True)]
        return wrapped("$dict", pairs, depth)

    def list_(value: list[Any], depth: int) -> list[Any]:
        if depth >= MAX_DEPTH:
            raise too_deep()
        changed = None
        i = 0
        try:
            for i, item in enumerate(value):
                kind = type(item)
                if kind is str:
                    if not texts_pass and item[:1] == "\0":
                        walk(item, depth)
                    continue
                if kind in passes or (kind is int and low <= item <= high):
                    continue
                if (new := walk(item, depth + 1)) is not item:
                    if changed is None:
                        changed = value.copy()
                    changed[i] = new
        except Refused as refused:
            refused.path.append(i)
            raise
        return value if changed is None else changed

    def wrapped(name: str, value: Any, depth: int) -> dict[str, Any]:
        """*value* (a text, a list or a dict with texts for keys) under the tag *name*."""
        if depth >= MAX_DEPTH:
            raise too_deep()
        return {name: value if type(value) is str else list_(value, depth + 1)}

    def text(name: str, of: Callable[[Any], str]) -> Walk:
        return (lambda value, depth: wrapped(name, of(value), depth)) if tagged else (lambda value, depth: of(value))

    def tuple_(value: tuple[Any, ...], depth: int) -> Any:
        return wrapped("$tuple", list(value), depth) if tagged else list_(list(value), depth)

    def set_(value: frozenset[Any], depth: int) -> Any:
        if not tagged:
            return list_(_in_order(value), depth)
        if not all(map(_stays_hashable, value)):
            raise Refused("An item of this set would become a dict, which no set can hold.")
        return wrapped("$set" if isinstance(value, set) else "$frozenset", _in_order(value), depth)

    def int_(value: int, depth: int) -> Any:
        # Not between `low` and `high`.
        if value.bit_length() > _MAX_BITS or (encoding == "cbor" and not tagged):
            raise Refused("This int has too many digits.")
        if tagged:
            return wrapped("$int", str(value), depth)
        return str(value) if encoding == "msgpack" else value

    def float_(value: float, depth: int) -> Any:
        if isfinite(value):
            return value
        if not tagged:
            raise Refused("JSON has no NaN and no infinity.")
        return wrapped("$float", str(value), depth)

    def decimal(value: Decimal, depth: int) -> Any:
        out = str(value)
        if not value.is_finite():
            if out not in ("NaN", "Infinity", "-Infinity"):
                raise Refused("This NaN cannot travel.")
            if json and not tagged:
                raise Refused("JSON has no NaN and no infinity.")
        elif not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT or len(out) > MAX_DIGITS:
            raise Refused("This Decimal has too many digits.")
        return wrapped("$decimal", out, depth) if tagged else out

    def bytes_(value: bytes, depth: int) -> Any:
        if not json:
            return bytes(value)
        encoded = b64encode(value).decode()
        return wrapped("$bytes", encoded, depth) if tagged else "\0" + encoded

    def error(value: BaseException, depth: int) -> Any:
        wire = value.to_wire() if isinstance(value, exc.Error) else _foreign_error(value)
        if not tagged:
            return dict_(wire, depth)
        if depth >= MAX_DEPTH:
            raise too_deep()
        return {"$error": dict_(wire, depth + 1)}

    def sent(value: Sent, depth: int) -> Any:
        if not tagged:
            raise Refused("A file that was sent ahead stands in sealed calls only.")
        return wrapped("$upload", value.id, depth)

    def given(value: Given, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            raise too_deep()
        return {"$file": value.facts()} if tagged else value.facts()

    def file(value: File | Upload, depth: int) -> Any:
        raise Refused("A file is the whole result of a service, or an argument of a call; it stands in nothing else.")

    def other(value: Any, depth: int) -> Any:
        for kind, make in by_base:
            if isinstance(value, kind):
                return make(value, depth)
        simpler = _simpler(value)
        if type(simpler) is dict:
            return dict_(simpler, depth)
        # One level deeper on purpose: a to_dict() that returns its own object ends at MAX_DEPTH.
        if depth >= MAX_DEPTH:
            raise too_deep()
        return walk(simpler, depth + 1)

    makers: dict[type, Walk] = {
        int: int_,
        float: float_,
        bytes: bytes_,
        bytearray: bytes_,
        memoryview: bytes_,
        tuple: tuple_,
        set: set_,
        frozenset: set_,
        Decimal: decimal,
        UUID: text("$uuid", str),
        datetime: text("$datetime", _clock),
        date: text("$date", date.isoformat),
        time: text("$time", _clock),
        timedelta: text("$timedelta", _seconds if tagged else _iso_duration),
        Sent: sent,
        Given: given,
        File: file,
        Upload: file,
    }
    bases = (tuple, bytes, set, frozenset, Decimal, UUID, datetime, date, time, timedelta)  # datetime is a date
    by_base: list[tuple[type, Walk]] = [
        (BaseException, error),
        (Enum, lambda value, depth: walk(value.value, depth)),
        # Subclasses of what passes are made plain: an encoder may not know them.
        (str, lambda value, depth: walk(str.__str__(value), depth)),
        (int, lambda value, depth: walk(int.__int__(value), depth)),
        (float, lambda value, depth: walk(float.__float__(value), depth)),
        *((kind, makers[kind]) for kind in bases),
        (list, lambda value, depth: list_(list(value), depth)),
    ]
    return walk


def _in_order(value: Iterable[Any]) -> list[Any]:
    """The items of a set, sorted where they can be: the same set gives the same bytes."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


_HASHABLE = (str, int, float, type(None), bytes, Decimal, UUID, date, time, timedelta, Enum)


def _stays_hashable(value: Any) -> bool:
    """Whether *value*, hashable here, is so again when it has crossed: a frozen dataclass is not."""
    if isinstance(value, tuple | frozenset):
        return all(map(_stays_hashable, value))
    return isinstance(value, _HASHABLE)


def _key(key: Any, tagged: bool) -> Any:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if not isinstance(key, bytes):
        if tagged and _stays_hashable(key):
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return str(int(key))
        if isinstance(key, UUID | Decimal):
            return str(key)
        if isinstance(key, date | time):
            return key.isoformat()
    raise Refused(f"A {type(key).__name__} cannot be a key.")


def _clock(value: datetime | time) -> str:
    offset = value.utcoffset()
    if offset is not None and offset.microseconds:
        raise Refused("A zone that is not whole seconds from UTC cannot travel.")  # fromisoformat gets some wrong
    return value.isoformat()


def _seconds(value: timedelta) -> str:
    """Exact seconds.

    >>> _seconds(timedelta(days=1, microseconds=1)), _seconds(timedelta(milliseconds=-1500))
    ('86400.000001', '-1.5')
    """
    whole, micro = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    out = f"{whole}.{micro:06d}".rstrip("0") if micro else str(whole)
    return "-" + out if value < timedelta(0) else out


def _iso_duration(value: timedelta) -> str:
    out: str = msgspec.to_builtins(value)
    return out


def _foreign_error(error: BaseException) -> dict[str, Any]:
    return {"exc": type(error).__name__, "err": [str(error)] if str(error) else []}


def _simpler(value: Any) -> Any:
    """What has fields as a dict of them; refuses everything else."""
    kind = type(value)
    if isinstance(value, type):
        raise Refused("A class cannot travel.")
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        fields: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
        for name, wire in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            if (item := getattr(value, name)) is not msgspec.UNSET:
                fields[wire] = item
        return fields
    if callable(getattr(value, "to_dict", None)):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(kind, "__pydantic_serializer__") and hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True)
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if isinstance(value, io.IOBase):
        raise Refused(
            f"A {kind.__name__} cannot travel. A client sends limen.Upload.of(path), a service gives limen.File."
        )
    raise Refused(f"A {kind.__name__} cannot travel." + (" Make it a list." if hasattr(value, "__iter__") else ""))


NATURAL: dict[str, Walk] = {name: _walker(name, tagged=False) for name in ("json", "msgpack", "cbor")}
TAG: dict[str, Walk] = {name: _walker(name, tagged=True) for name in ("json", "msgpack", "cbor")}
