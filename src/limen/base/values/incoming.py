"""From plain trees back to values. What comes in was written by someone else: every tag is read strictly."""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from limen import exc
from limen.base.files import Given, Sent
from limen.base.values.refused import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, Refused, too_deep

_MAX_COLLISIONS = 8
_BRANCHES = frozenset({dict, list})


def untag(tree: Any, depth: int) -> Any:
    kind: type = type(tree)
    if kind is not dict and kind is not list:
        return tree
    if depth >= MAX_DEPTH:
        raise too_deep()
    if kind is list and _BRANCHES.isdisjoint(map(type, tree)):
        return tree  # most lists of arguments, at the speed of C
    key: Any = None
    if kind is dict and len(tree) == 1:
        (key,) = tree
        if type(key) is str and key[:1] == "$":
            return _read_tag(key, tree[key], depth)
    changed: Any = None
    try:
        for key, item in tree.items() if kind is dict else enumerate(tree):
            if kind is dict and type(key) is not str:
                raise Refused("Keys are texts.")
            inner = type(item)
            if (inner is dict or inner is list) and (new := untag(item, depth + 1)) is not item:
                if changed is None:
                    changed = tree.copy()
                changed[key] = new
    except Refused as refused:
        refused.path.append(key)
        raise
    return tree if changed is None else changed


def _read_tag(key: str, item: Any, depth: int) -> Any:
    if key[:2] == "$$":
        try:
            return {key[1:]: untag(item, depth + 1)}
        except Refused as refused:
            refused.path.append(key[1:])
            raise
    if key not in _READERS:
        raise Refused(f"There is no tag {key[:32]}.")
    expected, read = _READERS[key]
    kind: type = type(item)
    if kind is not expected:
        raise Refused(f"This is no {key}.")
    if expected is list:
        item = untag(item, depth + 1)
    elif expected is dict:
        item = {name: untag(fact, depth + 2) for name, fact in item.items()}
    try:
        return read(item)
    except (ValueError, TypeError, ArithmeticError):
        raise Refused(f"This is no {key}.") from None


def _matching(pattern: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    whole = re.compile(pattern, re.ASCII).fullmatch

    def matching(text: str) -> Any:
        if whole(text) is None:
            raise ValueError
        return read(text)

    return matching


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if value.is_finite() and not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise ValueError
    return value


def _seconds(text: str) -> timedelta:
    whole, _, micro = text.lstrip("-").partition(".")
    value = timedelta(seconds=int(whole), microseconds=int(micro.ljust(6, "0")))
    return -value if text[0] == "-" else value


def _check_hashes(items: list[Any]) -> None:
    """Refuses items that were chosen to collide: the hashes of numbers, UUIDs and tuples are no secret, and putting n
    colliding ones into a set takes n² steps."""
    same, last = 0, None
    for h in sorted(map(hash, items)):
        same = same + 1 if h == last else 1
        last = h
        if same > _MAX_COLLISIONS:
            raise ValueError


def _distinct(make: type[set[Any]] | type[frozenset[Any]]) -> Callable[[list[Any]], Any]:
    def read(items: list[Any]) -> Any:
        _check_hashes(items)
        value = make(items)
        if len(value) != len(items):
            raise ValueError
        return value

    return read


def _dict(pairs: list[Any]) -> dict[Any, Any]:
    if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) is not bytes for pair in pairs):
        raise ValueError
    _check_hashes([key for key, _ in pairs])
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _error(wire: dict[str, Any]) -> exc.Error:
    try:
        return exc.from_wire("", wire)
    except Exception:
        raise ValueError from None  # a program's own class of error that wants other facts


def _bytes(text: str) -> bytes:
    return a2b_base64(text.encode("ascii"), strict_mode=True)


_TIME = r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
_ZONE = r"(Z|[+-]\d{2}:\d{2}(:\d{2})?)?"
_DATE = r"\d{4}-\d{2}-\d{2}"
_DECIMAL = rf"-?(?=[\d.]{{1,{MAX_DIGITS}}}(E|$))(\d+\.?\d*|\.\d+)(E[+-]?\d{{1,5}})?|NaN|-?Infinity"

_READERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "$decimal": (str, _matching(_DECIMAL, _decimal)),
    "$uuid": (str, _matching(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", UUID)),
    "$date": (str, _matching(_DATE, date.fromisoformat)),
    "$time": (str, _matching(_TIME + _ZONE, time.fromisoformat)),
    "$datetime": (str, _matching(f"{_DATE}T{_TIME}{_ZONE}", datetime.fromisoformat)),
    "$timedelta": (str, _matching(r"-?\d{1,14}(\.\d{1,6})?", _seconds)),
    "$int": (str, _matching(rf"-?\d{{1,{MAX_DIGITS}}}", int)),
    "$float": (str, _matching(r"nan|-?inf", float)),
    "$bytes": (str, _bytes),
    "$tuple": (list, tuple),
    "$set": (list, _distinct(set)),
    "$frozenset": (list, _distinct(frozenset)),
    "$dict": (list, _dict),
    "$error": (dict, _error),
    "$upload": (str, Sent),
    "$file": (dict, lambda facts: Given(**facts)),
}
"""Each tag: the plain type it holds, and how that is read (ValueError, TypeError, ArithmeticError: it can't be)."""


def binary(tree: Any, depth: int) -> Any:
    kind: type = type(tree)
    if kind is str:
        if tree[:1] != "\0":
            return tree
        try:
            return _bytes(tree[1:])
        except ValueError:
            raise Refused("A text that begins with U+0000 is bytes, in base64.") from None
    if kind is not dict and kind is not list:
        return tree
    if depth >= MAX_DEPTH:
        raise too_deep()
    out = tree.copy()
    key: Any = None
    try:
        for key, item in tree.items() if kind is dict else enumerate(tree):
            out[key] = binary(item, depth + 1)
    except Refused as refused:
        refused.path.append(key)
        raise
    return out


def find_surrogate(tree: Any, depth: int) -> None:
    """Raises Refused at the first text (or key) that is not Unicode."""
    kind: type = type(tree)
    if kind is str:
        try:
            tree.encode()
        except UnicodeEncodeError:
            raise Refused("A text holds a lone surrogate.") from None
    if (kind is not dict and kind is not list) or depth >= MAX_DEPTH:
        return
    key: Any = None
    try:
        for key, item in tree.items() if kind is dict else enumerate(tree):
            find_surrogate(key, depth + 1)
            find_surrogate(item, depth + 1)
    except Refused as refused:
        refused.path.append(key)
        raise
